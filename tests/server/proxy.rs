//! Behind a proxy of `--proxy-from` the client is the one that the PROXY header names. A header
//! from anywhere else gets no service, and neither does a proxy without one.

use crate::support;
use crate::support::proxied::{PROXY, connect_from, header, local, through_proxy};
use crate::support::{CREATED, Server, eventually};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

const FLAGS: [&str; 2] = ["--proxy-from", "127.0.0.9,127.0.9.0/24"];

fn start(flags: &[&str]) -> Server {
    Server::start(&[&FLAGS, flags].concat())
}

#[track_caller]
fn expect_log(server: &Server, words: &str) {
    eventually(words, || server.log().contains(words));
}

#[test]
fn all_tcp_services_serve_a_client_behind_a_proxy() {
    let mut server = start(&[]);
    server.put("a.txt", "abc");
    let mut echo = through_proxy(&server, "echo", 1);
    echo.send("hello").expect("hello");
    let mut files = through_proxy(&server, "files", 2);
    files.send("upload b.txt 3\nxyz").expect(CREATED);
    let mut transfer = through_proxy(&server, "transfer", 3);
    transfer
        .send("RECEIVE\na.txt\n")
        .expect("OK\na.txt<SEPARATOR>3\nabc");
    let mut http = through_proxy(&server, "http", 4);
    http.send("GET /a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
    http.expect("HTTP/1.1 200 OK\r\n");
    let mut talk = through_proxy(&server, "talk", 5);
    talk.send("hi\n");
    let line = server.shown_until("Client 1");
    assert!(
        line.contains("192.0.2.5:1005") || line.contains("hi"),
        "{line}"
    );
}

#[test]
fn the_header_may_arrive_in_pieces_and_with_the_first_bytes_of_the_client() {
    let server = start(&[]);
    let whole = [&header((Ipv4Addr::new(192, 0, 2, 7), 77))[..], b"first"].concat();
    for cut in 0..whole.len() {
        let mut client = connect_from(PROXY, &server, "echo");
        client.send(&whole[..cut]);
        if cut % 4 == 0 {
            std::thread::park_timeout(Duration::from_millis(2));
        }
        client.send(&whole[cut..]).expect("first");
        client.send(" second").expect(" second");
    }
    let mut client = connect_from(PROXY, &server, "echo");
    client.send(&whole).finish();
    assert_eq!(client.text(), "first", "with the end of the stream");
}

#[test]
fn logs_name_the_client_and_not_the_proxy() {
    let server = start(&["-v"]);
    let mut client = through_proxy(&server, "http", 8);
    client.send("GET / HTTP/1.0\r\n\r\n").text();
    eventually("the access line", || {
        let log = server.log();
        let line = log.lines().find(|line| line.contains("GET /"));
        line.is_some_and(|line| line.contains("192.0.2.8:1008"))
    });
    drop(client);
    eventually("the line of its end", || {
        let log = server.log();
        log.lines()
            .any(|line| line.contains("http 192.0.2.8:1008: closed"))
    });
}

#[test]
fn a_limit_per_address_counts_clients_and_no_proxy() {
    let server = start(&["--max-per-address", "2"]);
    let mut first = [1, 1, 2, 2].map(|last| through_proxy(&server, "files", last));
    for client in &mut first {
        client
            .send("size none\n")
            .expect("ERROR File Tidak Ditemukan\n");
    }
    // More connections of the proxy itself than one address may have.
    let checks = [(); 3].map(|()| {
        let mut check = connect_from(PROXY, &server, "files");
        check.send(local()).send("size none\n");
        check.expect("ERROR File Tidak Ditemukan\n");
        check
    });
    let mut third = through_proxy(&server, "files", 1);
    third.expect("ERROR too many connections from your address; close one first\n");
    assert_eq!(third.text(), "");
    expect_log(
        &server,
        "files: 192.0.2.1:1001 was rejected: its address is at the limit",
    );
    let [gone, ..] = first;
    drop(gone);
    eventually("a place is free", || {
        let mut again = through_proxy(&server, "files", 1);
        again.send("size none\n").finish().text().contains("Tidak")
    });
    drop(checks);
}

#[test]
fn wrong_tokens_count_for_the_client() {
    let folder = support::rooted();
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").expect("room");
    let token = token.to_str().expect("text").to_owned();
    let server = Server::start_in(
        folder,
        &[&FLAGS, &["--http-token-file", &token][..]].concat(),
    );
    let put = |last: u8, token: &str| {
        let request = format!(
            "PUT /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Length: 1\r\n\r\na"
        );
        let mut client = through_proxy(&server, "http", last);
        client.send(request).text()
    };
    eventually("too many", || put(1, "wrong").starts_with("HTTP/1.1 429"));
    assert!(put(1, "0123456789abcdef").starts_with("HTTP/1.1 429"));
    assert!(put(2, "0123456789abcdef").starts_with("HTTP/1.1 201"));
}

#[test]
fn behind_a_proxy_a_loopback_address_is_no_reason_to_need_no_token() {
    let server = start(&[]);
    assert!(server.made_token.is_some());
    let mut client = through_proxy(&server, "http", 1);
    client.send("DELETE /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    client.expect("HTTP/1.1 401 ");
    assert!(
        server
            .log()
            .contains("reaches a proxy in front of 127.0.0.1 can store")
    );
    assert!(Server::start(&[]).made_token.is_none());
}

/// Sends this, and checks that it gets nothing but the end, and the log the reason.
#[track_caller]
fn refused(server: &Server, from: &str, sent: &[u8], why: &str) {
    for service in ["echo", "transfer", "files", "talk", "http"] {
        let before = server.log().len();
        let mut client = connect_from(from, server, service);
        client.send(sent);
        let mut got = Vec::new();
        // The server may reset the connection.
        match std::io::Read::read_to_end(&mut client.0, &mut got) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        assert_eq!(got, b"", "{service} {why}");
        eventually(why, || {
            let log = server.log();
            let line = log[before..].lines().find(|line| line.contains(why));
            line.is_some_and(|line| line.contains(&format!("{service}: {from}")))
        });
    }
}

#[test]
fn a_proxy_without_a_header_of_version_2_gets_no_service() {
    let server = start(&[]);
    refused(
        &server,
        PROXY,
        b"GET / HTTP/1.1\r\n",
        "it sent no PROXY header",
    );
    let version_1 = b"PROXY TCP4 192.0.2.1 127.0.0.1 5 80\r\n";
    refused(&server, "127.0.9.44", version_1, "of version 1");
    let mut wrong = header((Ipv4Addr::LOCALHOST, 5));
    wrong[13] = 0x41;
    refused(&server, PROXY, &wrong, "0x41");
}

#[test]
fn a_header_from_anywhere_else_gets_no_service() {
    let server = start(&[]);
    let header = header((Ipv4Addr::new(192, 0, 2, 1), 5));
    refused(&server, "127.0.0.2", &header, "is not in --proxy-from");
}

#[test]
fn a_cut_header_ends_with_its_reason_and_a_check_that_only_connects_without() {
    let server = start(&[]);
    let mut check = connect_from(PROXY, &server, "echo");
    assert_eq!(check.finish().text(), "");
    assert!(!server.log().contains("rejected"));
    let mut cut = connect_from(PROXY, &server, "echo");
    assert_eq!(cut.send(&local()[..15]).finish().text(), "");
    expect_log(&server, "its PROXY header is cut");
}

#[test]
fn other_peers_are_served_as_without_proxies() {
    let mut server = start(&[]);
    // The beginning of a header is also two empty lines.
    for sent in ["\r\n", "\r\n\r\n", "\r", "hello"] {
        let mut client = connect_from("127.0.0.2", &server, "echo");
        client.send(sent).expect(sent);
        client.send("more").expect("more");
    }
    let mut client = connect_from("127.0.0.2", &server, "echo");
    assert_eq!(client.send("\r\n\r\n").finish().text(), "\r\n\r\n");
    // A talk client is announced before its first byte.
    let talk = connect_from("127.0.0.2", &server, "talk");
    let own = talk.0.local_addr().expect("an address").to_string();
    assert!(server.shown_until("Client 1").contains(&own));
}
