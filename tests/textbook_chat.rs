//! Unchanged chat clients of the course are served: joining, messages in both directions, leaving.
//! `textbook.rs` tests echo and files.

mod support;

use std::io::Write;
use std::process::{Child, Command, Stdio};
use support::{ROOM_PASSWORD, Server, eventually};

/// A running Python client. Dropping it kills the process by its id.
struct CourseClient(Child);

impl CourseClient {
    fn start(server: &Server, service: &str, arguments: &[&str]) -> CourseClient {
        let address = server.address(service);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/textbook");
        let child = Command::new("python3")
            .arg("-B") // leaves no __pycache__ in the sources
            .arg(format!("{folder}/{service}.py"))
            .args([address.ip().to_string(), address.port().to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .expect("python3 starts");
        CourseClient(child)
    }

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

impl Drop for CourseClient {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether Python is installed. If not, the test is reported as skipped.
fn python(test: &str) -> bool {
    let mut version = Command::new("python3");
    let found = version
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        support::skip(test, "no python3");
    }
    found
}

#[test]
fn course_clients_log_into_the_room_with_wrong_and_right_answers() {
    if !python("course_clients_log_into_the_room_with_wrong_and_right_answers") {
        return;
    }
    let server = Server::start(&[]);
    CourseClient::start(&server, "room", &["login", ROOM_PASSWORD]).passes();
}

#[test]
fn two_course_clients_chat_in_the_room_and_one_leaves() {
    if !python("two_course_clients_chat_in_the_room_and_one_leaves") {
        return;
    }
    let server = Server::start(&[]);
    CourseClient::start(&server, "room", &["pair", ROOM_PASSWORD]).passes();
}

#[test]
fn the_operator_and_a_course_client_chat_in_both_directions() {
    if !python("the_operator_and_a_course_client_chat_in_both_directions") {
        return;
    }
    let (mut server, mut keys) = Server::operated(&[]);
    let client = CourseClient::start(
        &server,
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
