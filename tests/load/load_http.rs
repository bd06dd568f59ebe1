//! `loket load http` and `loket load redis` measure any server, and detect wrong answers.

use crate::fake_server::{Ended, run};
use crate::load_figures::Figures;
use crate::support::Server;
use loket::load::test_data::TestData;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

#[test]
fn own_files_are_stored_read_back_and_removed() {
    let server = Server::start(&["--no-sync"]);
    let at = server.address("http").to_string();
    for flags in [
        &["--mix", "-s", "600K", "-c", "3"][..],
        &["--put", "-s", "0"],
        &["--close", "--mix", "-c", "5"],
        &["-p", "8", "--mix", "-s", "1"],
        &["--discard", "-s", "3M", "-c", "2"],
    ] {
        let figures = Figures::of(&[&["http", "--at", &at], flags].concat());
        figures.all_answered();
        if flags.contains(&"--close") {
            let opened = figures.number("connections_opened");
            assert_eq!(opened, figures.number("requests_made"), "{}", figures.0);
        }
    }
    assert!(server.contents().is_empty());
    Figures::of(&["http", "--at", &at, "-r", "50", "-c", "7"]).all_made("50");
}

#[test]
fn an_existing_path_is_requested_and_nothing_is_stored() {
    let server = Server::start(&[]);
    let at = server.address("http").to_string();
    for flags in [&["-p", "16"][..], &["--close", "-H", "Accept: text/html"]] {
        let flags = [&["http", "--at", &at, "--path", "/-/health"], flags].concat();
        Figures::of(&flags).all_answered();
    }
    assert!(server.contents().is_empty());
    let folder = tempfile::tempdir().expect("a folder");
    let flags = ["load", "http", "--at", &at, "--path", "/no-such-file"];
    let ended = run(folder.path(), &flags);
    ended.expect_failure(1, &["cannot start", "404 Not Found", "/no-such-file"]);
}

/// A server that answers the requests of each connection, one connection after another. `script`
/// gets the number of the request, and returns the answer and whether the connection stays open.
fn scripted<T: Into<Vec<u8>>>(script: impl Fn(usize) -> (T, bool) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let mut number = 0;
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a client"));
            let mut line = String::new();
            while matches!(stream.read_line(&mut line), Ok(1..)) {
                if line.ends_with("\r\n\r\n") {
                    line.clear();
                    let (answer, stays) = script(number);
                    number += 1;
                    let _ = stream.get_mut().write_all(&answer.into());
                    if !stays {
                        let _ = stream.get_mut().shutdown(Shutdown::Write);
                        let _ = stream.read_to_end(&mut Vec::new());
                        break;
                    }
                }
            }
        }
    });
    address
}

#[test]
fn every_framing_is_understood_and_a_closed_connection_is_replaced() {
    let address = scripted(|number| match number % 5 {
        0 => (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned(),
            true,
        ),
        1 => {
            let chunks = "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: v\r\n\r\n";
            (
                format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
                true,
            )
        }
        2 => (
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200\r\n\r\nhello".to_owned(),
            false,
        ),
        3 => {
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5";
            (format!("{head}\r\n\r\nhello"), false)
        }
        // The server closes an idle connection.
        _ => (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
            number % 2 == 0,
        ),
    });
    let at = address.to_string();
    let flags = ["http", "--at", &at, "--path", "/x", "-c", "1", "-r", "100"];
    let figures = Figures::of(&flags);
    figures.all_made("100");
}

#[test]
fn pipelined_requests_behind_an_answer_that_ends_the_connection_are_sent_again() {
    let address = scripted(|number| {
        // None at the end of the run, after which nothing is sent again.
        let stays = number % 20 != 19 || number > 150;
        if !stays {
            // More requests become due, and are sent behind this one.
            thread::park_timeout(Duration::from_millis(50));
        }
        let closes = if stays { "" } else { "Connection: close\r\n" };
        (
            format!("HTTP/1.1 200 OK\r\n{closes}Content-Length: 5\r\n\r\nhello"),
            stays,
        )
    });
    let at = address.to_string();
    let flags = ["http", "--at", &at, "--path", "/x", "-c", "1", "-p", "4"];
    let figures = Figures::of(&[&flags[..], &["-r", "200"]].concat());
    figures.all_made("200");
    assert!(figures.number("connections_opened") >= 2.0, "{}", figures.0);
}

/// The result of a run against a server that sends this body, once with a wrong byte.
fn flipped(right: &[u8], at: usize, flags: &[&str]) -> Ended {
    let answer = |body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    let mut wrong = right.to_vec();
    wrong[at] ^= 1;
    let (right, wrong) = (answer(right), answer(&wrong));
    let address = scripted(move |number| (if number == 5 { &wrong } else { &right }.clone(), true));
    let folder = tempfile::tempdir().expect("a folder");
    let at = address.to_string();
    let fixed = [
        "load", "http", "--at", &at, "--path", "/x", "-c", "1", "-d", "1",
    ];
    run(folder.path(), &[&fixed[..], flags].concat())
}

#[test]
fn a_wrong_byte_of_a_body_is_found_if_its_bytes_are_known() {
    let mut known = Vec::new();
    let data = TestData::new(loket::config::load::LOAD.period).expect("memory");
    data.fill(&mut known, 300_000).expect("memory");
    let ended = flipped(&known, 299_999, &[]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let words = "byte 300000 of a body is wrong";
    assert!(ended.out.contains(words), "{ended:?}");
    for (body, flags, why) in [
        (&known, &["--discard"][..], "their bodies were discarded"),
        (&vec![b'x'; 9], &[], "the file is no test data"),
    ] {
        let ended = flipped(body, 8, flags);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.out.contains(why), "{ended:?}");
    }
}

/// The result of a run against a server whose sixth answer is this one.
fn sixth(answer: &str) -> Ended {
    let answer = answer.to_owned();
    let right = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let address = scripted(move |number| match number {
        5 => (answer.clone(), true),
        _ => (right.to_owned(), true),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let at = address.to_string();
    let flags = [
        "load", "http", "--at", &at, "--path", "/x", "-c", "1", "-d", "1",
    ];
    run(folder.path(), &flags)
}

#[test]
fn a_wrong_status_length_or_framing_gives_exit_status_1() {
    for (answer, says) in [
        (
            "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
            "answered 503 Busy",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell",
            "4 bytes, and 5 were expected",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "its Content-Length is no number",
        ),
        ("hello\r\n\r\n", "it is no HTTP"),
    ] {
        let ended = sixth(answer);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.out.contains(says), "{says}: {ended:?}");
    }
}

#[test]
fn pings_are_answered_one_at_a_time_pipelined_and_on_new_connections() {
    let address = pong_server();
    let at = address.to_string();
    for flags in [&["-p", "16"][..], &["--close", "-r", "500", "-c", "3"]] {
        Figures::of(&[&["redis", "--at", &at], flags].concat()).all_answered();
    }
}

/// Answers each PING on any number of connections.
fn pong_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a client");
            thread::spawn(move || {
                let mut ping = [0; 14];
                while stream.read_exact(&mut ping).is_ok() {
                    assert_eq!(&ping, b"*1\r\n$4\r\nPING\r\n");
                    let _ = stream.write_all(b"+PONG\r\n");
                }
            });
        }
    });
    address
}
