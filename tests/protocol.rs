//! The protocol page is enough: clients that were written from it alone, one a service, are served.

mod support;

use std::io::Write;
use std::process::{Child, Command, Stdio};
use support::{ROOM_PASSWORD, Server, eventually, skip};

/// A running client in Python. Dropping it kills the process by its id.
struct Stranger(Child);

impl Stranger {
    /// Starts `python3 tests/protocol/SERVICE.py HOST PORT arguments`.
    fn start(server: &Server, service: &str, arguments: &[&str]) -> Stranger {
        let address = server.address(service);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/protocol");
        let child = Command::new("python3")
            .arg("-B") // leaves no __pycache__ in the sources
            .arg(format!("{folder}/{service}.py"))
            .args([address.ip().to_string(), address.port().to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .expect("python3 starts");
        Stranger(child)
    }

    /// Every check of the client held.
    #[track_caller]
    fn passes(mut self) {
        let mut status = None;
        eventually("the client ends", || {
            status = self.0.try_wait().expect("our child");
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()));
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether there is a Python to run the clients; without one the test counts as skipped.
fn python(test: &str) -> bool {
    let mut version = Command::new("python3");
    let found = version
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        skip(test, "no python3");
    }
    found
}

#[test]
fn an_echo_client_written_from_the_protocol_page_works() {
    if !python("an_echo_client_written_from_the_protocol_page_works") {
        return;
    }
    let server = Server::start(&[]);
    Stranger::start(&server, "echo", &[]).passes();
}

#[test]
fn a_files_client_written_from_the_protocol_page_works() {
    if !python("a_files_client_written_from_the_protocol_page_works") {
        return;
    }
    let server = Server::start(&[]);
    Stranger::start(&server, "files", &[]).passes();
    assert_eq!(server.got("my file.txt"), b"abc");
    assert_eq!(server.files().len(), 2, "a.txt was removed");
}

#[test]
fn a_transfer_client_written_from_the_protocol_page_works() {
    if !python("a_transfer_client_written_from_the_protocol_page_works") {
        return;
    }
    let server = Server::start(&[]);
    Stranger::start(&server, "transfer", &[]).passes();
    assert_eq!(server.got("b.txt"), b"abc");
}

#[test]
fn a_talk_client_written_from_the_protocol_page_works() {
    if !python("a_talk_client_written_from_the_protocol_page_works") {
        return;
    }
    let (mut server, mut keys) = Server::operated(&[]);
    let stranger = Stranger::start(&server, "talk", &[]);
    server.shown_until("Client 1 connected");
    assert_eq!(server.shown(), "Client 1: good morning ☀");
    keys.write_all("good morning to you ☀\n".as_bytes())
        .expect("taken");
    assert_eq!(server.shown(), "Client 1: is the library open?");
    assert_eq!(server.shown(), "Client 1: \tuntil when?");
    keys.write_all(b"until six\n").expect("taken");
    assert_eq!(server.shown(), "Client 1: thank you");
    assert_eq!(server.shown(), "Client 1 disconnected");
    stranger.passes();
}

#[test]
fn a_room_client_written_from_the_protocol_page_works() {
    if !python("a_room_client_written_from_the_protocol_page_works") {
        return;
    }
    let server = Server::start(&[]);
    Stranger::start(&server, "room", &[ROOM_PASSWORD]).passes();
}
