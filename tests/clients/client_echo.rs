//! `loket echo` against a scripted server.

use crate::fake_server;
use crate::fake_server::{FakeServer, UnusedAddress, expect_output, noise, run, start, wait};
use std::env::temp_dir;
use std::io::Write;
use std::net::TcpListener;

#[test]
fn a_message_comes_back_and_both_sides_close() {
    let server = FakeServer::once(|peer| {
        peer.expect("good morning\n");
        peer.send("good mor");
        peer.send("ning\n");
        peer.expect_end();
    });
    let ended = server.run(&temp_dir(), &["echo", "good", "morning", "--at"]);
    ended.expect(0, "good morning\n", "");
}

#[test]
fn a_changed_a_missing_and_an_extra_byte_are_failures() {
    for (answer, words) in [
        ("abX\n", &["0x63", "0x58", "127.0.0.1:"][..]),
        ("abc\nd", &["more bytes came back than were sent"]),
    ] {
        let server = FakeServer::once(move |peer| {
            peer.expect("abc\n");
            peer.send(answer);
            peer.discard_rest();
        });
        let ended = server.run(&temp_dir(), &["echo", "abc", "--at"]);
        ended.expect_failure(1, words);
        assert!(
            answer.starts_with("abc") || ended.out.is_empty(),
            "{ended:?}"
        );
    }
    let server = FakeServer::closes_after(&[("abc\n", "ab")]);
    let ended = server.run(&temp_dir(), &["echo", "abc", "--at"]);
    ended.expect_failure(1, &["after 2 of 4 bytes"]);
}

#[test]
fn every_piped_line_is_one_round_trip() {
    let server = FakeServer::plays(&[("one\n", "one\n"), ("\n", "\n"), ("three", "three")]);
    let ended = server.run_with(&temp_dir(), &["echo", "--at"], b"one\n\nthree");
    ended.expect(0, "one\n\nthree", "");
}

#[test]
fn a_line_is_echoed_before_the_next_is_typed() {
    let server = FakeServer::plays(&[("first\n", "first\n")]);
    let mut child = start(&temp_dir(), &["echo", "--at", &server.address]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"first\n").unwrap();
    expect_output(&mut child, "first\n");
    drop(input);
    wait(child).expect(0, "", "");
    server.finish();
}

#[test]
fn a_line_of_megabytes_does_not_deadlock_with_a_server_that_blocks_on_writing() {
    let server = FakeServer::once(fake_server::Peer::echo);
    let letters = noise(5_000_000).into_iter().map(|byte| b'a' + byte % 26);
    let line: Vec<u8> = letters.collect();
    let ended = server.run_with(&temp_dir(), &["echo", "--at"], &line);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    assert!(ended.out.as_bytes() == line);
}

#[test]
fn a_refused_connection_is_reported_with_advice() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let wanted = format!(
        "cannot connect to {address}: Connection refused; \
         is the server running? start it with: loket serve\n"
    );
    run(&temp_dir(), &["echo", "a", "--at", &address]).expect(1, "", &wanted);
    run(&temp_dir(), &["files", "--at", &address]).expect(1, "", &wanted);
}

#[test]
fn an_address_without_a_port_is_a_usage_error() {
    let unused = UnusedAddress::new();
    for arguments in [
        &["echo", "a", "--at", "foo"][..],
        &["send", "/no/such/file", "--to", "foo"],
        &["receive", "a", "--from", "foo"],
        &["files", "ls", "--at", "foo"],
        &["files", "--at", "foo"],
    ] {
        let ended = run(&temp_dir(), arguments);
        ended.expect_failure(2, &["`foo`", "HOST:PORT"]);
    }
    unused.assert_no_connection();
}
