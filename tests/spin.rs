//! `--spin`: the loop polls without sleeping while that finds events, and an idle one sleeps.

mod support;

use std::process::Command;
use support::{Server, eventually};

#[test]
fn a_server_that_spins_answers_as_before_and_the_trace_counts_the_spins() {
    let server = Server::start(&["--trace", "--spin", "1000"]);
    let mut client = server.connect("echo");
    eventually("a spin finds an event", || {
        client.send("hello").expect("hello");
        let log = server.log();
        log.contains(" us of spinning (") && log.contains(" spins found events, ")
    });
    let listing = server.ask("files", "ls\n");
    assert!(listing.starts_with("OK 0"), "{listing}");
}

#[test]
fn an_idle_server_that_may_spin_sleeps() {
    let server = Server::start(&["--spin", "1000"]);
    let mut client = server.connect("echo");
    (0..500).for_each(|_| {
        client.send("hello").expect("hello");
    });
    server.rests(500);
}

#[test]
fn spinning_for_more_than_a_millisecond_is_a_usage_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loket"));
    command.args(["serve", "--spin", "1001", "--root", "/no/such/folder"]);
    let ended = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{text}");
    assert!(
        text.contains("--spin <MICROS>") && text.contains("0..=1000"),
        "{text}"
    );
}
