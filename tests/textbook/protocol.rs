//! The protocol page is enough: clients that were written from it alone, one a service, are served.

use crate::support::python::{PythonClient, python};
use crate::support::{ROOM_PASSWORD, Server};
use std::io::Write;

#[test]
fn an_echo_client_written_from_the_protocol_page_works() {
    if !python("an_echo_client_written_from_the_protocol_page_works") {
        return;
    }
    let server = Server::start(&[]);
    PythonClient::start(&server, "protocol", "echo", &[]).passes();
}

#[test]
fn a_files_client_written_from_the_protocol_page_works() {
    if !python("a_files_client_written_from_the_protocol_page_works") {
        return;
    }
    let server = Server::start(&[]);
    PythonClient::start(&server, "protocol", "files", &[]).passes();
    assert_eq!(server.got("my file.txt"), b"abc");
    assert_eq!(server.files().len(), 2, "a.txt was removed");
}

#[test]
fn a_transfer_client_written_from_the_protocol_page_works() {
    if !python("a_transfer_client_written_from_the_protocol_page_works") {
        return;
    }
    let server = Server::start(&[]);
    PythonClient::start(&server, "protocol", "transfer", &[]).passes();
    assert_eq!(server.got("b.txt"), b"abc");
}

#[test]
fn a_talk_client_written_from_the_protocol_page_works() {
    if !python("a_talk_client_written_from_the_protocol_page_works") {
        return;
    }
    let (mut server, mut keys) = Server::operated(&[]);
    let stranger = PythonClient::start(&server, "protocol", "talk", &[]);
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
    PythonClient::start(&server, "protocol", "room", &[ROOM_PASSWORD]).passes();
}
