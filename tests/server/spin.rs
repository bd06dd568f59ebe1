//! `--spin`: the loop polls without sleeping while that finds events, and an idle one sleeps.

use crate::support::{Server, eventually};

#[test]
fn a_server_that_spins_answers_as_before_and_the_trace_counts_the_spins() {
    let server = Server::start(&["--trace", "--spin", "1000"]);
    let mut client = server.connect("echo");
    eventually("a spin finds an event", || {
        // The log grows with each message: to read it takes longer than a spin.
        for _ in 0..100 {
            client.send("hello").expect("hello");
        }
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
