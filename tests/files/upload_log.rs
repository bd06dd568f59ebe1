//! The server logs name, client and reason of every upload that is not stored.

use crate::support;
use crate::support::{CREATED, Client, Server, eventually};
use rustix::process::Signal;
use std::fs::create_dir;

/// Waits until the log has a line about an upload from this client with this name and reason.
#[track_caller]
fn is_logged(server: &Server, from: &str, name: &str, why: &str) {
    let begins = format!("upload {name:?} from {from} failed: ");
    eventually(&format!("{begins}{why} is logged"), || {
        let is_it = |line: &str| {
            let found = line.split_once(&begins);
            found.is_some_and(|(_, told)| told.starts_with(why))
        };
        server.log().lines().any(is_it)
    });
}

fn from(client: &Client) -> String {
    client.0.local_addr().expect("an address").to_string()
}

/// Sends each piece, expects its answer, and checks that the upload is refused and logged.
#[track_caller]
fn is_refused(server: &Server, service: &str, pieces: &[(&[u8], &str)], name: &str, why: &str) {
    let mut client = server.connect(service);
    let address = from(&client);
    for (piece, answer) in pieces {
        client.send(piece).expect(answer);
    }
    client.finish();
    let rest = client.text();
    assert!(rest.contains("ERROR"), "{name}: {rest}");
    is_logged(server, &address, name, why);
}

#[test]
fn a_refused_upload_is_logged_with_name_peer_and_reason() {
    let server = Server::start(&["--max-file-size", "1000"]);
    create_dir(server.root().join("folder")).expect("room");
    #[rustfmt::skip] // a table
    let on_lines = [
        (&b"upload big 1001\n"[..], "big", "the file is too large"),
        (b"upload no/x 5\n", "no/x", "there is no such folder"),
        (b"upload folder 5\n", "folder", "it is not a regular file"),
        (b"upload .loket-1.part 5\n", ".loket-1.part", "the name cannot be used"),
        (b"upload a\x1b[2Jb 5\n", "a[2Jb 5", "the name holds a control character"),
        (b"upload caf\xe9 5\n", "caf\u{fffd} 5", "the name is not UTF-8 text"),
        (b"upload caf\xe9t", "caf\u{fffd}t", "the name is not UTF-8 text"),
        (b"upload n\n", "n", "the size is missing"),
        (b"upload \"q\"\" x\"1\n", "\"q\"\" x\"1", "the size is missing"),
        (b"upload short 9\n12345", "short", "only 5 of 9 bytes came"),
        (b"ls\nupload cut 5", "cut 5", "the connection ended in the middle"),
    ];
    for (unit, name, why) in on_lines {
        is_refused(&server, "files", &[(unit, "")], name, why);
    }
    #[rustfmt::skip] // a table
    let headers = [
        (&b"n\nbig<SEPARATOR>1001\n"[..], "big", "the file is too large"),
        (b"n\n\xff<SEPARATOR>1\n", "\u{fffd}", "the name is not UTF-8 text"),
        (b"n\nshort<SEPARATOR>9\n12345", "short", "only 5 of 9 bytes came"),
        (b"n\nn 5\n", "n 5", "write the header as"),
        (b"n\nm<SEPARATOR>-5\n", "m", "the size is not a number"),
        (b"once", "once", "the connection ended in the middle"),
        (b"twotwo<SEPARATOR>9hello", "two", "the size does not fit what came"),
    ];
    for (unit, name, why) in headers {
        is_refused(
            &server,
            "transfer",
            &[(b"SEND", "OK"), (unit, "")],
            name,
            why,
        );
    }
    #[rustfmt::skip] // a table
    let requests = [
        ("/big", "Content-Length: 1001", "", "big", "the file is too large"),
        ("/no/x", "Content-Length: 5", "", "no/x", "there is no such folder"),
        ("/fol%64er", "Content-Length: 5", "", "folder", "it is not a regular file"),
        ("/a%1bb", "Content-Length: 5", "", "a%1bb", "the path holds a control character"),
        ("/n", "X: y", "", "n", "the length is missing"),
        ("/short", "Content-Length: 9", "12345", "short", "only 5 of 9 bytes came"),
        ("/c", "Transfer-Encoding: chunked", "3\r\nab", "c", "2 bytes came, and no last chunk"),
        ("/d", "Transfer-Encoding: chunked", "3\r\nabc\r\n", "d", "3 bytes came, and no last"),
        ("/e", "Transfer-Encoding: chunked", "x\r\n", "e", "the size of a chunk"),
    ];
    for (target, field, body, name, why) in requests {
        let mut client = server.connect("http");
        let address = from(&client);
        let head = format!("PUT {target} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n");
        client.send(head + body).finish();
        assert!(client.text().starts_with("HTTP/1.1 4"), "{target}");
        is_logged(&server, &address, name, why);
    }
    assert!(server.contents().is_empty());
}

#[test]
fn a_read_only_server_logs_refused_uploads() {
    let server = Server::start(&["--read-only"]);
    let why = "this server is read-only";
    is_refused(&server, "files", &[(b"upload a 5\nhello", "")], "a", why);
    let mut bare = server.connect("files");
    bare.send("upload b").expect(format!("ERROR {why}"));
    is_logged(&server, &from(&bare), "b", why);
    let mut http = server.connect("http");
    http.send("PUT /d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n");
    is_logged(
        &server,
        &from(&http),
        "d",
        "this server was started with --read-only",
    );
    let send = &[(&b"SEND"[..], "OK"), (b"cc<SEPARATOR>1x", "")];
    is_refused(&server, "transfer", send, "c", why);
}

#[test]
fn an_interrupted_upload_is_logged_with_its_cause() {
    let mut server = Server::start(&[]);
    let mut reset = Vec::new();
    for (service, begin, name) in [
        ("files", "upload a 9\n12345", "a"),
        ("transfer", "SEND\nb\nb<SEPARATOR>9\n12345", "b"),
    ] {
        let mut client = server.connect(service);
        client.send(begin).expect("OK\n");
        reset.push((from(&client), name));
        client.reset();
    }
    let mut client = server.connect("http");
    let head = "PUT /c HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n";
    client.send(format!("{head}Content-Length: 9\r\n\r\n"));
    client.expect("HTTP/1.1 100 Continue\r\n\r\n").send("12345");
    reset.push((from(&client), "c"));
    client.reset();
    for (address, name) in reset {
        is_logged(&server, &address, name, "the connection broke");
    }
    // The last one is cut by the end of the server.
    let mut bare = server.connect("files");
    let address = from(&bare);
    bare.send("upload silent");
    is_logged(&server, &address, "silent", "no data came");
    let mut last = server.connect("files");
    let address = from(&last);
    last.send("upload last 9\n12345").expect("OK\n");
    server.signal(Signal::TERM);
    eventually("the first signal is logged", || {
        server.log().contains("no more connections")
    });
    server.signal(Signal::TERM);
    server.wait();
    is_logged(&server, &address, "last", "the server shuts down");
}

#[test]
fn an_idle_upload_is_logged() {
    let server = Server::start(&["--idle-timeout", "1"]);
    let clients = [
        ("files", "upload a 9\n12345", "a"),
        ("transfer", "SEND\nb\nb<SEPARATOR>9\n12345", "b"),
        ("transfer", "SEND", ""),
    ]
    .map(|(service, begin, name)| {
        let mut client = server.connect(service);
        client.send(begin).expect("OK");
        (client, name)
    });
    for (client, name) in &clients {
        is_logged(&server, &from(client), name, "idle for too long");
    }
}

#[test]
fn stored_uploads_and_other_commands_are_not_logged() {
    let server = Server::start(&[]);
    let mut client = server.connect("files");
    client
        .send("upload a 5\nhellorm nothing\nsize a\nupload b 0\n")
        .expect("OK\nOK File Berhasil Dibuat\nERROR File Tidak Ditemukan\nOK 5 0.00 MB\n")
        .expect(CREATED)
        .send("LS\n");
    assert!(client.rest().starts_with(b"ERROR unknown"));
    let mut bare = server.connect("files");
    bare.send("upload c");
    support::pause();
    bare.send("data").finish().expect("File Berhasil Dibuat");
    let mut receive = server.connect("transfer");
    receive.send(b"SEND\nd\nd<SEPARATOR>1\nxRECEIVE\n\xff\n");
    assert!(receive.rest().starts_with(b"OK\nOK 1\nOK\nERROR"));
    drop((client, bare));
    // Once this line is logged, all earlier ones are.
    is_refused(
        &server,
        "files",
        &[(b"upload e\n", "")],
        "e",
        "the size is missing",
    );
    assert_eq!(
        server.log().matches(" upload \"").count(),
        1,
        "{}",
        server.log()
    );
}

#[test]
fn a_peer_that_repeats_a_bad_upload_does_not_fill_the_log() {
    let server = Server::start(&["--max-file-size", "1"]);
    for number in 0..200 {
        let mut client = server.connect("files");
        client.send(format!("upload {number} 2\n"));
        assert!(client.rest().starts_with(b"ERROR the file is too large"));
    }
    let log = server.log();
    let lines = log.matches(" upload \"").count();
    // At most thirty lines a second.
    assert!((30..200).contains(&lines), "{lines} lines");
}
