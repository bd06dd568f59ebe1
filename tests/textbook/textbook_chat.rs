//! Unchanged chat clients of the course are served: joining, messages in both directions, leaving.
//! `textbook.rs` tests echo and files.

use crate::support::python::{PythonClient, python};
use crate::support::{ROOM_PASSWORD, Server};
use std::io::Write;

#[test]
fn course_clients_log_into_the_room_with_wrong_and_right_answers() {
    if !python("course_clients_log_into_the_room_with_wrong_and_right_answers") {
        return;
    }
    let server = Server::start(&[]);
    PythonClient::start(&server, "textbook", "room", &["login", ROOM_PASSWORD]).passes();
}

#[test]
fn two_course_clients_chat_in_the_room_and_one_leaves() {
    if !python("two_course_clients_chat_in_the_room_and_one_leaves") {
        return;
    }
    let server = Server::start(&[]);
    PythonClient::start(&server, "textbook", "room", &["pair", ROOM_PASSWORD]).passes();
}

#[test]
fn the_operator_and_a_course_client_chat_in_both_directions() {
    if !python("the_operator_and_a_course_client_chat_in_both_directions") {
        return;
    }
    let (mut server, mut keys) = Server::operated(&[]);
    let client = PythonClient::start(
        &server,
        "textbook",
        "talk",
        &["halo, ada orang?", "ada, selamat pagi ☀"],
    );
    server.shown_until("Client 1 connected");
    for _ in 0..2 {
        assert_eq!(server.shown(), "Client 1: halo, ada orang?");
        keys.write_all("ada, selamat pagi ☀\n".as_bytes())
            .expect("taken");
    }
    assert_eq!(server.shown(), "Client 1 disconnected");
    client.passes();
}
