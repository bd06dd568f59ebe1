//! The talk service over real sockets: both directions, all kinds of text, and disconnects.

use crate::support;
use crate::support::{Client, Server};
use rustix::process::Signal;
use std::io::Write;
use std::process::{ChildStdin, Command};
use std::time::{Duration, Instant};

/// A server and the keyboard of its operator.
struct OperatorSession {
    server: Server,
    keys: ChildStdin,
}

impl OperatorSession {
    fn open(flags: &[&str]) -> OperatorSession {
        let (server, keys) = Server::operated(flags);
        OperatorSession { server, keys }
    }

    fn type_text(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).expect("taken");
    }

    /// Connects a client and expects that the screen shows it.
    fn client(&mut self, id: u32) -> Client {
        let client = self.server.connect("talk");
        let from = client.0.local_addr().expect("bound");
        self.expect_shown(&format!("Client {id} connected from {from}"));
        client
    }

    fn client_with_small_buffer(&mut self, id: u32) -> Client {
        let client = Client::connect_small(self.server.address("talk"));
        let from = client.0.local_addr().expect("bound");
        self.expect_shown(&format!("Client {id} connected from {from}"));
        client
    }

    #[track_caller]
    fn expect_shown(&mut self, line: &str) {
        assert_eq!(self.server.shown(), line);
    }
}

/// A step of a conversation.
enum Step {
    /// The client sends this.
    Sends(&'static [u8]),
    /// The screen shows this line of the client.
    Shows(&'static str),
    /// The operator types this.
    Types(&'static str),
    /// The client receives this.
    Receives(&'static str),
    /// The client closes its side.
    Closes,
}
use Step::{Closes, Receives, Sends, Shows, Types};

#[rustfmt::skip] // a table
const CONVERSATIONS: &[(&str, &[Step])] = &[
    ("lines and a close", &[
        Sends(b"hello\nlast words"), Shows("hello"), Shows("last words"), Closes]),
    ("messages without a line end", &[
        Sends(b"one message"), Shows("one message"), Sends(b"and then another"),
        Shows("and then another")]),
    ("a late line end is no message of its own", &[
        Sends(b"taken for bare"), Shows("taken for bare"), Sends(b"\n"), Sends(b"next\n"),
        Shows("next"), Types("reply\n"), Receives("reply\n")]),
    ("a late CR LF is no message of its own", &[
        Sends(b"taken for bare"), Shows("taken for bare"), Sends(b"\r\n"), Sends(b"next\n"),
        Shows("next"), Types("reply\n"), Receives("reply\n")]),
    ("a character that is split after a line", &[
        Sends(b"line first\na\xf0\x9f"), Shows("line first"), Shows("a"), Sends(b"\x98\x80z\n"),
        Shows("\u{1f600}z")]),
    ("lines within a message, and the last one is shown at once", &[
        Sends(b"one\ntwo"), Shows("one"), Shows("two"), Sends(b"three"), Shows("three"),
        Sends(b"\r\nfour\n\nfive"), Shows("four"), Shows("five"), Sends(b"six\n"), Shows("six"),
        Sends(b"seven"), Shows("seven"), Closes]),
    ("replies have no LF once the client has sent none", &[
        Sends(b"a line\nand no line"), Shows("a line"), Shows("and no line"), Types("reply\n"),
        Receives("reply"), Sends(b"a line again\n"), Shows("a line again"),
        Types("and another\nend\n"), Receives("and anotherend"), Sends(b"typed"), Shows("typed"),
        // A line end that arrives in its own packet.
        Sends(b"\r\n"), Sends(b"x\n"), Shows("x"), Types("with its end\n"),
        Receives("with its end\n")]),
    ("invalid UTF-8 on a line", &[
        Sends(b"a\xffb\xe2\x82\n"), Shows("a\u{fffd}b\u{fffd}")]),
    ("invalid UTF-8 without a line end, and a character that is never completed", &[
        Sends(b"x\xff"), Shows("x\u{fffd}"), Sends(b"\xf0\x9f"), Shows("\u{fffd}"),
        Sends(b"cut \xf0\x9f\x98\n"), Shows("cut \u{fffd}")]),
    ("control characters", &[
        Sends(b"\x1b[2J\x1b]0;title\x07\x08\x7f\x00red\rClient 9: fake\xc2\x9b31m\xe2\x80\xae\
               end\tx\n"),
        Shows("[2J]0;titleredClient 9: fake31mend\tx"),
        // Lines of control characters and blanks are not shown.
        Sends(b"\x1b\x07\n\n   \n"), Sends(b"\ndone\n"), Shows("done")]),
];

#[test]
fn lines_of_clients_are_shown_and_answers_are_sent() {
    let mut session = OperatorSession::open(&[]);
    for (id, (name, steps)) in (1..).zip(CONVERSATIONS) {
        println!("{name}");
        let mut client = session.client(id);
        for step in *steps {
            match step {
                Sends(bytes) => drop(client.send(bytes)),
                Shows(text) => session.expect_shown(&format!("Client {id}: {text}")),
                Types(text) => session.type_text(text),
                Receives(text) => drop(client.expect(text)),
                Closes => drop(client.finish()),
            }
        }
        drop(client);
        session.expect_shown(&format!("Client {id} disconnected"));
    }
    session.client(1 + CONVERSATIONS.len() as u32).reset();
    session.expect_shown(&format!("Client {} disconnected", 1 + CONVERSATIONS.len()));
}

#[test]
fn a_complete_line_does_not_wait_for_the_settle_window() {
    let mut session = OperatorSession::open(&["--settle", "60000"]);
    let mut line = session.client(1);
    line.send("a line\r\nand ").send("another\n");
    session.expect_shown("Client 1: a line");
    session.expect_shown("Client 1: and another");
}

#[test]
fn a_line_of_the_operator_goes_to_all_clients_or_to_one() {
    let mut session = OperatorSession::open(&[]);
    let mut one = session.client(1);
    let mut two = session.client(2);
    session.type_text("hello\n/to 2 just you\n/to 1  spaced  out\n  indented\n");
    one.expect("hello\n spaced  out\n  indented\n");
    two.expect("hello\njust you\n  indented\n");
}

#[test]
fn the_list_shows_each_client_with_its_last_line() {
    let mut session = OperatorSession::open(&[]);
    session.type_text("/list\n");
    session.expect_shown("no client is connected");
    let mut one = session.client(1);
    let two = session.client(2);
    one.send("first\nsec\"ond\n");
    session.expect_shown("Client 1: first");
    session.expect_shown("Client 1: sec\"ond");
    session.type_text("/list\n");
    for (id, client, last) in [(1, &one, "\"sec\\\"ond\""), (2, &two, "none")] {
        let line = session.server.shown();
        let address = client.0.local_addr().expect("bound");
        let begins = line.starts_with(&format!("{id}  {address}  connected for "));
        let ends = line.ends_with(&format!(" s  last message: {last}"));
        assert!(begins && ends, "{line}");
    }
}

#[test]
fn a_kicked_client_is_disconnected() {
    let mut session = OperatorSession::open(&[]);
    let mut one = session.client(1);
    let mut two = session.client(2);
    session.type_text("/to 1 goodbye\n/kick 1\n");
    assert_eq!(one.rest(), b"goodbye\n");
    drop(one);
    session.expect_shown("Client 1 disconnected");
    session.type_text("still here\n");
    two.expect("still here\n");
}

#[test]
fn a_kicked_client_that_does_not_read_is_disconnected_too() {
    let mut session = OperatorSession::open(&["--idle-timeout", "0"]);
    let client = session.client_with_small_buffer(1);
    // Some bytes must stay unsent: more than the socket buffers, less than the limit for a
    // disconnect.
    let line = format!("{}\n", "x".repeat(4000));
    let send_queue = || {
        let queues = std::fs::read_to_string("/proc/net/tcp").expect("a table");
        let port = format!(":{:04X}", client.0.local_addr().expect("bound").port());
        let to = |row: &&str| {
            row.split_whitespace()
                .nth(2)
                .is_some_and(|to| to.ends_with(&port))
        };
        let row = queues.lines().find(to).expect("a connection");
        let queue = row.split_whitespace().nth(4).expect("queues");
        usize::from_str_radix(&queue[..8], 16).expect("hexadecimal")
    };
    let grows = |before| {
        let deadline = Instant::now() + Duration::from_millis(100);
        while send_queue() == before && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        send_queue() != before
    };
    // Line by line: the full socket buffer must be seen before the limit is reached. The server may
    // write a line a moment after the answer.
    loop {
        let before = send_queue();
        session.type_text(&line);
        session.type_text("/to 7 x\n");
        session.expect_shown("there is no client 7; /list shows the clients");
        if !grows(before) {
            break;
        }
    }
    session.type_text("/kick 1\n");
    session.expect_shown("Client 1 disconnected");
}

#[test]
fn help_lists_the_commands_and_a_wrong_command_is_explained() {
    let mut session = OperatorSession::open(&[]);
    let mut one = session.client(1);
    session.type_text("/help\n");
    for line in [
        "TEXT          send TEXT to all talk clients",
        "/to ID TEXT   send TEXT to one client",
        "/list         list the clients",
        "/kick ID      disconnect a client",
        "/help         show this list",
    ] {
        session.expect_shown(line);
    }
    for (typed, answer) in [
        ("/nope", "unknown command /nope; /help lists the commands"),
        ("/to", "give the number of a client; /list shows them"),
        ("/to 1", "usage: /to ID TEXT"),
        ("/to 1   ", "usage: /to ID TEXT"),
        ("/to 9 x", "there is no client 9; /list shows the clients"),
        ("/to x y", "there is no client x; /list shows the clients"),
        ("/kick", "give the number of a client; /list shows them"),
        (
            "/kick 99999999999",
            "there is no client 99999999999; /list shows the clients",
        ),
        ("/kick -1", "there is no client -1; /list shows the clients"),
    ] {
        session.type_text(&format!("{typed}\r\n"));
        session.expect_shown(answer);
    }
    // The client received none of it, and an empty line is not sent.
    session.type_text("\n   \nreal\n");
    one.expect("real\n");
}

#[test]
fn a_line_without_a_client_to_receive_it_is_reported() {
    let mut session = OperatorSession::open(&[]);
    session.type_text("hello?\n");
    session.expect_shown("no client is connected");
}

#[test]
fn replies_end_with_lf_except_to_a_client_that_sends_none() {
    let mut session = OperatorSession::open(&[]);
    let mut silent = session.client(1);
    let mut line = session.client(2);
    line.send("line\n");
    session.expect_shown("Client 2: line");
    let mut bare = session.client(3);
    bare.send("bare");
    session.expect_shown("Client 3: bare");
    session.type_text("reply\n");
    silent.expect("reply\n");
    line.expect("reply\n");
    bare.expect("reply");
    session.type_text("/kick 1\n/kick 2\n/kick 3\n");
    for client in [&mut silent, &mut line, &mut bare] {
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn a_message_of_the_limit_is_shown_and_a_longer_one_is_refused() {
    let mut session = OperatorSession::open(&[]);
    let fits = "x".repeat(4096);
    let mut one = session.client(1);
    one.send(format!("{fits}\n{fits}\r\n"));
    session.expect_shown(&format!("Client 1: {fits}"));
    session.expect_shown(&format!("Client 1: {fits}"));
    one.send(format!("{fits}x\n")).finish();
    assert_eq!(
        one.rest(),
        b"ERROR more than 4096 bytes without a line end\n"
    );
    session.expect_shown("Client 1 disconnected");

    let mut bare = session.client(2);
    bare.send(&fits);
    session.expect_shown(&format!("Client 2: {fits}"));
    bare.send(format!("{fits}x")).finish();
    assert_eq!(
        bare.rest(),
        b"ERROR more than 4096 bytes without a line end"
    );
    session.expect_shown("Client 2 disconnected");
}

#[test]
fn a_client_that_does_not_read_is_disconnected_and_the_others_are_not_affected() {
    let mut session = OperatorSession::open(&[]);
    let _stuck = session.client(1);
    let mut reader = session.client(2);
    let line = format!("{}\n", "y".repeat(4000));
    let mut sent = 0;
    while !session.server.log().contains("it does not read") {
        assert!(
            sent < 10_000,
            "the client that does not read is never disconnected"
        );
        session.type_text(&line);
        reader.expect(&line);
        sent += 1;
    }
    session.expect_shown("Client 1 disconnected");
    session.type_text("and on\n");
    reader.expect("and on\n").send("yes\n");
    session.expect_shown("Client 2: yes");
}

#[test]
fn thousands_of_clients_connect_receive_a_line_and_disconnect() {
    const COUNT: usize = 3000;
    let mut session = OperatorSession::open(&[]);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.current.is_some_and(|most| most < COUNT as u64 + 100) {
        support::skip(
            "thousands_of_clients_connect_receive_a_line_and_disconnect",
            "too few descriptors",
        );
        return;
    }
    let mut clients = Vec::new();
    for _ in 0..COUNT {
        clients.push(session.server.connect("talk"));
    }
    for _ in 0..COUNT {
        assert!(session.server.shown().contains(" connected from "));
    }
    session.type_text("welcome\n");
    for client in &mut clients {
        client.expect("welcome\n");
    }
    clients[COUNT - 1].send("thanks\n");
    session.expect_shown(&format!("Client {COUNT}: thanks"));
    session.type_text("/list\n");
    for id in 1..=COUNT {
        assert!(
            session.server.shown().starts_with(&format!("{id}  ")),
            "{id}"
        );
    }
    drop(clients);
    for _ in 0..COUNT {
        assert!(session.server.shown().ends_with(" disconnected"));
    }
    let mut next = session.server.connect("talk");
    next.send("hello\n");
    session
        .server
        .shown_until(&format!("Client {}: hello", COUNT + 1));
}

#[test]
fn a_silent_talk_client_has_no_idle_timeout() {
    let mut session = OperatorSession::open(&["--idle-timeout", "1"]);
    let mut silent = session.client(1);
    let mut idle = session.server.connect("echo");
    idle.send("x").expect("x");
    // Two idle timeouts one after another: more than the talk client would have.
    for _ in 0..2 {
        let mut echo = session.server.connect("echo");
        assert_eq!(echo.rest(), b"");
    }
    session.type_text("still there?\n");
    silent.expect("still there?\n").send("yes\n");
    session.expect_shown("Client 1: yes");
}

#[test]
fn talk_connections_use_tcp_keepalive() {
    let mut session = OperatorSession::open(&[]);
    let client = session.client(1);
    let port = client.0.local_addr().expect("bound").port();
    let arguments = [
        "-tnoH",
        "state",
        "established",
        "dport",
        &format!("= :{port}"),
    ];
    let Ok(output) = Command::new("ss").args(arguments).output() else {
        support::skip("talk_connections_use_tcp_keepalive", "no ss");
        return;
    };
    let sockets = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(sockets.contains("timer:(keepalive,"), "{sockets}");
}

#[test]
fn a_signal_ends_the_server_at_once_with_open_talk_connections() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut session = OperatorSession::open(&[]);
        let mut one = session.client(1);
        one.send("half a wor");
        session.server.signal(signal);
        // The ten seconds of a shutdown are only for transfers.
        assert!(session.server.wait().success());
        assert!(
            !session.server.log().contains("unfinished connections"),
            "{}",
            session.server.log()
        );
        assert_eq!(one.rest(), b"");
    }
}

#[test]
fn other_clients_are_served_while_a_talk_client_floods() {
    let session = OperatorSession::open(&[]);
    let mut flood = session.server.connect("talk");
    let writer = flood.0.try_clone().expect("a handle");
    let flooding = std::thread::spawn(move || {
        let mut writer = Client(writer);
        let lines = "all work and no play\n".repeat(1000);
        for _ in 0..200 {
            writer.send(&lines);
        }
        writer.finish();
    });
    let mut echo = session.server.connect("echo");
    for _ in 0..200 {
        echo.send("beside").expect("beside");
    }
    flooding.join().expect("all taken");
    assert_eq!(flood.rest(), b"");
}
