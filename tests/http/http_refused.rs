//! HTTP requests that must be refused, over real sockets: one answer with a reason, then the end
//! of the stream, and nothing behind the refused bytes is read as a request.

use crate::support::{BOTH_WAYS, Client, Server};
use std::io::Write;

/// A request that must never be answered: it is sent behind each refused one.
const BEHIND: &str = "DELETE /kept HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A head of a chunked upload.
const CHUNKED: &str = "PUT /new HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The only answer on this connection, which the server ends.
#[track_caller]
fn only_answer(client: &mut Client, status: u16) {
    let text = client.text();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    for field in [
        "Connection: close".to_owned(),
        format!("Content-Length: {}", body.len()),
        "Content-Type: text/plain; charset=utf-8".to_owned(),
    ] {
        assert!(head.lines().any(|line| line == field), "{field}: {text}");
    }
    assert!(body.ends_with('\n') && body.lines().count() == 1, "{text}");
}

/// Sends each of these requests, in one piece and in two, to servers of both ways to move bodies.
/// No file is changed, and none is left.
#[track_caller]
fn refused(status: u16, requests: &[&str]) {
    for flags in BOTH_WAYS {
        let server = Server::start(flags);
        server.put("kept", "text");
        for raw in requests {
            let sent = [raw.as_bytes(), BEHIND.as_bytes()].concat();
            only_answer(server.connect("http").send(&sent), status);
            let (first, second) = raw.as_bytes().split_at(raw.len() / 2);
            let mut client = server.connect("http");
            client.send(first);
            // The first half may already be refused, so the server may have closed the connection.
            let _ = client.0.write_all(second);
            only_answer(&mut client, status);
        }
        assert_eq!(server.files().keys().collect::<Vec<_>>(), ["kept"]);
        assert_eq!(server.got("kept"), b"text");
    }
}

/// The head of an upload with these fields.
fn put(fields: &str) -> String {
    format!("PUT /new HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n")
}

#[test]
fn two_ways_to_tell_the_length_of_a_body_are_refused() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
    ] {
        refused(400, &[&(put(fields) + "5\r\nhello\r\n0\r\n\r\n")]);
    }
}

#[test]
fn a_length_that_is_not_a_number_is_refused() {
    let long = put("Content-Length: 00000000000000000005");
    refused(
        400,
        &[
            &put("Content-Length: +5"),
            &put("Content-Length:"),
            &put("Content-Length: 0x5"),
            &long,
        ],
    );
}

#[test]
fn a_transfer_encoding_other_than_chunked_in_http_1_1_is_refused() {
    refused(
        400,
        &[
            &put("Transfer-Encoding: gzip, chunked"),
            &put("Transfer-Encoding: chunked, chunked"),
            &put("Transfer-Encoding: \x0bchunked"),
            "PUT /new HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
    );
}

#[test]
fn a_wrong_line_end_or_a_control_character_is_refused() {
    refused(
        400,
        &[
            "GET /kept HTTP/1.1\nHost: localhost\n\n",
            "GET /kept HTTP/1.1\r\nHost: localhost\r\nA: b\rc\r\n\r\n",
            "GET /kept HTTP/1.1\r\nHost: localhost\r\nA: b\0\r\n\r\n",
            "GET /kept HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n",
        ],
    );
}

#[test]
fn a_field_without_a_valid_name_is_refused() {
    refused(
        400,
        &[
            "GET /kept HTTP/1.1\r\nHost: localhost\r\nA : b\r\n\r\n",
            "GET /kept HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n",
            "GET /kept HTTP/1.1\r\nHost: localhost\r\nA(: b\r\n\r\n",
            "GET /kept HTTP/1.1\r\nHost: localhost\r\nA\r\n\r\n",
        ],
    );
}

#[test]
fn a_request_without_one_valid_host_is_refused() {
    refused(
        400,
        &[
            "GET /kept HTTP/1.1\r\n\r\n",
            "GET /kept HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            "GET /kept HTTP/1.1\r\nHost: local host\r\n\r\n",
            "GET /kept HTTP/1.1\r\nHost: localhost:x\r\n\r\n",
        ],
    );
}

#[test]
fn other_protocols_are_refused() {
    refused(
        400,
        &["GET /kept\r\n", "\x16\x03\x01\x02\0\x01\0\x01\x03\x03"],
    );
    refused(
        505,
        &["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /kept HTTP/3.0\r\n"],
    );
}

#[test]
fn a_chunk_that_can_be_read_in_two_ways_is_refused() {
    let long = format!("{CHUNKED}5;{}\r\nhello\r\n", "a".repeat(257));
    let with = |body: &str| format!("{CHUNKED}{body}");
    refused(
        400,
        &[
            &with("\r\nhello\r\n"),
            &with("+5\r\nhello\r\n"),
            &with("5 \r\nhello\r\n"),
            &with("5\nhello\n"),
            &with("00000000000000005\r\nhello\r\n"),
            &with("5\r\nhello!\r\n"),
            &with("5\r\nhello\n0\r\n\r\n"),
            &with("5\r\nhello\r\n0\r\nA : b\r\n\r\n"),
            &long,
        ],
    );
}

#[test]
fn a_head_or_a_target_that_is_too_long_is_refused() {
    let field = format!(
        "GET /kept HTTP/1.1\r\nHost: localhost\r\nA: {}",
        "b".repeat(100_000)
    );
    let fields = "A: b\r\n".repeat(64);
    let fields = format!("GET /kept HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    refused(431, &[&field, &fields]);
    let target = format!(
        "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a".repeat(100_000)
    );
    refused(414, &[&target]);
}

#[test]
fn a_second_empty_line_before_a_request_is_refused() {
    refused(400, &["\r\n\r\n"]);
    let server = Server::start(&[]);
    server.put("kept", "text");
    let get = "GET /kept HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let text = server.ask("http", format!("\r\n{get}"));
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
}

#[test]
fn the_host_of_an_absolute_target_must_be_a_name_of_the_server() {
    let server = Server::start(&[]);
    server.put("kept", "text");
    for (target, host, status) in [
        ("http://localhost/kept", "elsewhere", "200 OK"),
        ("http://127.0.0.1:1/kept", "localhost", "200 OK"),
        (
            "http://elsewhere/kept",
            "localhost",
            "421 Misdirected Request",
        ),
    ] {
        let fields = format!("Host: {host}\r\nConnection: close\r\n");
        let text = server.ask("http", format!("GET {target} HTTP/1.1\r\n{fields}\r\n"));
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{text}"
        );
    }
}

#[test]
fn a_refused_request_does_not_stop_the_answers_to_those_before_it() {
    let server = Server::start(&[]);
    server.put("kept", "text");
    let get = "GET /kept HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut client = server.connect("http");
    let text = client.send(format!("{get}{get}GET /\n{BEHIND}")).text();
    let statuses: Vec<&str> = text.matches("HTTP/1.1 ").collect();
    assert_eq!(statuses.len(), 3, "{text}");
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
    assert!(text.contains("HTTP/1.1 400 Bad Request"), "{text}");
}

#[test]
fn a_refused_body_is_answered_and_only_its_beginning_is_read() {
    let server = Server::start(&["--read-only"]);
    let length = 64 << 20;
    let mut client = server.connect("http");
    client.send(put(&format!("Content-Length: {length}")));
    only_answer(&mut client, 403);
    // The server reads 1 MiB more, and the buffers of the kernel hold a few.
    let body = vec![0; length];
    assert!(client.0.write_all(&body).is_err(), "all of it was read");
    // A client that sends its body before it reads finds the answer.
    let small = [put("Content-Length: 100000").into_bytes(), vec![0; 100_000]].concat();
    only_answer(server.connect("http").send(small), 403);
}
