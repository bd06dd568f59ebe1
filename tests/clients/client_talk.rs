//! `loket talk` against a scripted server, in a pipe and in a terminal.

use crate::fake_server::{Ended, FakeServer, Peer, expect_output, run_with, start, wait};
use crate::fake_terminal::{RESTORED, Terminal};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

fn talk(address: &str, input: &[u8]) -> Ended {
    run_with(Path::new("/"), &["talk", "--at", address], input)
}

#[test]
fn lines_from_a_pipe_are_sent_and_the_answers_are_read_to_the_end() {
    let server = FakeServer::once(|peer| {
        peer.expect("a\nb\n\nlast\n");
        peer.expect_end();
        peer.send("x\ny\n");
    });
    talk(&server.address, b"a\nb\r\n\nlast").expect(0, "x\ny\n", "");
    server.finish();
}

#[test]
fn after_the_end_of_input_a_silent_server_is_not_waited_for() {
    let (release, held) = mpsc::channel::<()>();
    let server = FakeServer::once(move |peer| {
        peer.expect("a\n");
        peer.expect_end();
        peer.send("x");
        let _ = held.recv();
    });
    talk(&server.address, b"a\n").expect(0, "x", "");
    drop(release);
    server.finish();
}

#[test]
fn a_server_that_closes_ends_the_client_with_a_message() {
    let server = FakeServer::once(|peer| peer.send("bye\n"));
    let mut child = start(Path::new("/"), &["talk", "--at", &server.address]);
    let input = child.stdin.take();
    let message = format!(
        "{} closed the connection; the conversation is over\n",
        server.address
    );
    wait(child).expect(0, "bye\n", &message);
    drop(input);
    server.finish();
}

#[test]
fn a_connection_that_is_reset_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut child = start(Path::new("/"), &["talk", "--at", &address]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"a\n").unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 2]).unwrap();
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
    wait(child).expect_failure(1, &[&address, "broke: Connection reset by peer"]);
    drop(input);
}

#[test]
fn control_characters_of_the_server_are_removed_and_tabs_stay() {
    let server = FakeServer::once(|peer| {
        peer.send("a\x1b[2Jb\tc\u{9b}\r\nd\x07\0\n");
        peer.expect_end();
    });
    talk(&server.address, b"").expect(0, "a[2Jb\tc\nd\n", "");
    server.finish();
}

#[test]
fn a_character_split_across_two_packets_is_shown_whole() {
    let (next, waiting) = mpsc::channel::<()>();
    let server = FakeServer::once(move |peer| {
        peer.send(b"x\xe2\x82");
        waiting.recv().unwrap();
        peer.send(b"\xac\nbroken \xff, cut \xc3");
    });
    let mut child = start(Path::new("/"), &["talk", "--at", &server.address]);
    let input = child.stdin.take();
    expect_output(&mut child, "x");
    next.send(()).unwrap();
    let ended = wait(child);
    assert_eq!(ended.out, "€\nbroken \u{fffd}, cut \u{fffd}");
    assert_eq!(ended.status, Some(0));
    drop(input);
    server.finish();
}

#[test]
fn a_line_over_the_limit_is_refused_and_the_others_are_sent() {
    let fits = "x".repeat(4095);
    let wanted = format!("a\n{fits}\nb\n");
    let server = FakeServer::once(move |peer: &mut Peer| {
        peer.expect(wanted);
        peer.expect_end();
    });
    let input = format!("a\n{fits}\n{fits}x\n{}\nb\n", fits.repeat(3));
    let complaint = "cannot send a line of more than 4095 bytes; split it into shorter lines\n";
    talk(&server.address, input.as_bytes()).expect(1, "", &complaint.repeat(2));
    server.finish();
}

#[test]
fn a_refused_connection_and_a_malformed_address_have_different_messages() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    talk(&address, b"").expect_failure(1, &[&address, "is the server running?"]);
    talk("nowhere", b"").expect_failure(2, &["write HOST:PORT"]);
}

#[test]
fn a_line_that_arrives_does_not_tear_the_typed_line() {
    let (send, lines) = mpsc::channel::<String>();
    let server = FakeServer::once(move |peer| {
        for line in lines {
            peer.send(line);
        }
        peer.expect("hello world\n");
        peer.expect_end();
    });
    let address = server.address.clone();
    let test = "a_line_that_arrives_does_not_tear_the_typed_line";
    let Some(terminal) = Terminal::start(test, &["talk", "--at", &address]) else {
        return;
    };
    terminal.expect_end(&["talk>"]);
    terminal.keys("helo wor");
    terminal.expect_end(&["talk> helo wor"]);
    send.send("one\ntwo\x1b[1A\n".to_owned()).unwrap();
    terminal.expect_end(&["one", "two[1A", "talk> helo wor"]);
    // A line in several pieces is shown as one, and one without a line end is shown after a while.
    for piece in ["th", "r", "ee\n", "no end"] {
        send.send(piece.to_owned()).unwrap();
    }
    terminal.expect_end(&["two[1A", "three", "no end", "talk> helo wor"]);
    for _ in 0..5 {
        terminal.press("Left");
    }
    terminal.keys("l");
    terminal.expect_end(&["no end", "talk> hello wor"]);
    send.send("four\n".to_owned()).unwrap();
    terminal.expect_end(&["no end", "four", "talk> hello wor"]);
    terminal.press("End");
    terminal.keys("ld");
    drop(send);
    terminal.press("Enter");
    terminal.expect_end(&["four", "talk> hello world", "talk>"]);
    terminal.press("C-d");
    terminal.expect_end(&["talk>", "status 0", RESTORED]);
    server.finish();
}

#[test]
fn many_lines_in_both_directions_stay_whole() {
    const LINES: usize = 24;
    let server = FakeServer::once(|peer| {
        for number in 0..LINES {
            peer.expect(format!("line {number}\n"));
            peer.send(format!("got {number}\n"));
        }
        peer.expect_end();
    });
    let address = server.address.clone();
    let test = "many_lines_in_both_directions_stay_whole";
    let Some(terminal) = Terminal::start(test, &["talk", "--at", &address]) else {
        return;
    };
    terminal.expect_end(&["talk>"]);
    for number in 0..LINES {
        terminal.keys(&format!("line {number}"));
        terminal.press("Enter");
    }
    let rows = terminal.wait_until("all answers", |rows| {
        rows.iter().filter(|row| row.contains("got")).count() == LINES
            && rows.last().is_some_and(|row| row == "talk>")
    });
    for form in ["talk> line", "got"] {
        let wanted: Vec<String> = (0..LINES).map(|n| format!("{form} {n}")).collect();
        let found: Vec<&String> = rows.iter().filter(|row| row.starts_with(form)).collect();
        assert_eq!(found, wanted.iter().collect::<Vec<_>>(), "{rows:#?}");
    }
    assert_eq!(rows.len(), 2 * LINES + 2, "{rows:#?}");
    terminal.press("C-c");
    terminal.expect_end(&["status 0", RESTORED]);
    server.finish();
}

#[test]
fn a_server_that_closes_leaves_the_typed_line_and_restores_the_terminal() {
    let (close, closing) = mpsc::channel::<()>();
    let server = FakeServer::once(move |peer| {
        let _ = closing.recv();
        peer.send("bye\n");
    });
    let address = server.address.clone();
    let test = "a_server_that_closes_leaves_the_typed_line_and_restores_the_terminal";
    let Some(terminal) = Terminal::start(test, &["talk", "--at", &address]) else {
        return;
    };
    terminal.expect_end(&["talk>"]);
    terminal.keys("half a li");
    terminal.expect_end(&["talk> half a li"]);
    drop(close);
    let message = format!("{address} closed the connection; the conversation is over");
    terminal.expect_end(&["bye", "talk> half a li", &message, "status 0", RESTORED]);
    server.finish();
}
