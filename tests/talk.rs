//! The talk service over real sockets: both directions, every kind of text, and who is dropped.
//! The operator's own streams and terminal are tested elsewhere.

mod support;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::process::{ChildStdin, Command};
use support::{Client, Server};

/// A server, its operator's keys, and clients that the screen has announced.
struct Desk {
    server: Server,
    keys: ChildStdin,
}

impl Desk {
    fn open(flags: &[&str]) -> Desk {
        let (server, keys) = Server::operated(flags);
        Desk { server, keys }
    }

    fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).expect("taken");
    }

    /// A client, once the operator has been told of it.
    fn client(&mut self, id: u32) -> Client {
        let client = self.server.connect("talk");
        let from = client.0.local_addr().expect("bound");
        self.shows(&format!("Client {id} has come from {from}"));
        client
    }

    /// A client whose kernel holds little for it, so that the server's fills up soon.
    fn deaf_client(&mut self, id: u32) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("an option");
        socket
            .connect(&self.server.address("talk").into())
            .expect("a connection");
        let client = Client(socket.into());
        let from = client.0.local_addr().expect("bound");
        self.shows(&format!("Client {id} has come from {from}"));
        client
    }

    #[track_caller]
    fn shows(&mut self, line: &str) {
        assert_eq!(self.server.shown(), line);
    }
}

/// One line to show that whatever a client sent before it has been dealt with.
fn done(client: &mut Client, desk: &mut Desk, id: u32) {
    client.send("\ndone\n");
    desk.shows(&format!("Client {id}: done"));
}

#[test]
fn a_line_of_the_operator_goes_to_all_and_to_one() {
    let mut desk = Desk::open(&[]);
    let mut one = desk.client(1);
    let mut two = desk.client(2);
    desk.types("hello\n/to 2 just you\n/to 1  spaced  out\n  indented\n");
    one.expect("hello\n spaced  out\n  indented\n");
    two.expect("hello\njust you\n  indented\n");
}

#[test]
fn clients_are_listed_with_what_they_said_last() {
    let mut desk = Desk::open(&[]);
    desk.types("/list\n");
    desk.shows("nobody is connected");
    let mut one = desk.client(1);
    let two = desk.client(2);
    one.send("first\nsec\"ond\n");
    desk.shows("Client 1: first");
    desk.shows("Client 1: sec\"ond");
    desk.types("/list\n");
    for (id, client, last) in [(1, &one, "\"sec\\\"ond\""), (2, &two, "nothing yet")] {
        let line = desk.server.shown();
        let address = client.0.local_addr().expect("bound");
        let begins = line.starts_with(&format!("{id}  {address}  here for "));
        let ends = line.ends_with(&format!(" s  said last: {last}"));
        assert!(begins && ends, "{line}");
    }
}

#[test]
fn a_kicked_client_has_its_connection_ended() {
    let mut desk = Desk::open(&[]);
    let mut one = desk.client(1);
    let mut two = desk.client(2);
    desk.types("/to 1 goodbye\n/kick 1\n");
    assert_eq!(one.rest(), b"goodbye\n");
    drop(one);
    desk.shows("Client 1 has gone");
    desk.types("still here\n");
    two.expect("still here\n");
}

#[test]
fn a_kicked_client_that_reads_nothing_goes_too() {
    let mut desk = Desk::open(&["--idle-timeout", "0"]);
    let deaf = desk.deaf_client(1);
    // More than its kernel buffers hold, but less than it is dropped for, stays owed.
    let line = format!("{}\n", "x".repeat(4000));
    let owed = || {
        let queues = std::fs::read_to_string("/proc/net/tcp").expect("a table");
        let port = format!(":{:04X}", deaf.0.local_addr().expect("bound").port());
        let to = |row: &&str| {
            row.split_whitespace()
                .nth(2)
                .is_some_and(|to| to.ends_with(&port))
        };
        let row = queues.lines().find(to).expect("a connection");
        let queue = row.split_whitespace().nth(4).expect("queues");
        usize::from_str_radix(&queue[..8], 16).expect("hexadecimal")
    };
    let mut before = usize::MAX;
    // A line at a time: the socket must be seen full before the backlog is.
    for _ in 0..10_000 {
        if before > 0 && owed() == before {
            break;
        }
        before = owed();
        desk.types(&line);
        // The answer comes behind the line.
        desk.types("/to 7 x\n");
        desk.shows("there is no client 7; /list shows who is there");
    }
    desk.types("/kick 1\n");
    desk.shows("Client 1 has gone");
}

#[test]
fn the_operator_is_told_what_can_be_written_and_what_was_wrong() {
    let mut desk = Desk::open(&[]);
    let mut one = desk.client(1);
    desk.types("/help\n");
    for line in [
        "a line goes to all talk clients",
        "/to ID text   a line to one of them",
        "/list         who is there",
        "/kick ID      end a conversation",
        "/help         this list",
    ] {
        desk.shows(line);
    }
    for (typed, answer) in [
        ("/nope", "there is no command /nope; /help lists them"),
        ("/to", "which client? /list shows their numbers"),
        ("/to 1", "write: /to ID text"),
        ("/to 1   ", "write: /to ID text"),
        ("/to 9 x", "there is no client 9; /list shows who is there"),
        ("/to x y", "there is no client x; /list shows who is there"),
        ("/kick", "which client? /list shows their numbers"),
        (
            "/kick 99999999999",
            "there is no client 99999999999; /list shows who is there",
        ),
        (
            "/kick -1",
            "there is no client -1; /list shows who is there",
        ),
    ] {
        desk.types(&format!("{typed}\r\n"));
        desk.shows(answer);
    }
    // None of it was for the client, and empty lines are nothing.
    desk.types("\n   \nreal\n");
    one.expect("real\n");
}

#[test]
fn a_line_to_nobody_is_said_to_be_one() {
    let mut desk = Desk::open(&[]);
    desk.types("hello?\n");
    desk.shows("nobody is connected");
}

#[test]
fn joining_speaking_and_leaving_are_shown_in_order() {
    let mut desk = Desk::open(&[]);
    let mut one = desk.client(1);
    one.send("hello\nlast words").finish();
    for line in [
        "Client 1: hello",
        "Client 1: last words",
        "Client 1 has gone",
    ] {
        desk.shows(line);
    }
    let two = desk.client(2);
    two.reset();
    desk.shows("Client 2 has gone");
}

#[test]
fn a_bare_unit_ends_with_the_settle_window_and_a_line_at_once() {
    // Lines must not wait for a settle window that never ends.
    let mut desk = Desk::open(&["--settle", "60000"]);
    let mut line = desk.client(1);
    line.send("a line\r\nand ").send("another\n");
    desk.shows("Client 1: a line");
    desk.shows("Client 1: and another");

    let mut desk = Desk::open(&[]);
    let mut bare = desk.client(1);
    for unit in ["one unit", "and then another"] {
        bare.send(unit);
        desk.shows(&format!("Client 1: {unit}"));
    }
}

#[test]
fn a_late_line_end_is_no_message_of_its_own() {
    for late in ["\n", "\r\n"] {
        let mut desk = Desk::open(&[]);
        let mut one = desk.client(1);
        one.send("taken for bare");
        desk.shows("Client 1: taken for bare");
        one.send(late).send("next\n");
        desk.shows("Client 1: next");
        desk.types("reply\n");
        one.expect("reply\n");
    }
}

#[test]
fn characters_cut_anywhere_are_put_together() {
    let text = "añ€😀z";
    let mut desk = Desk::open(&["--settle", "5"]);
    for id in 1..text.len() as u32 {
        let (front, back) = text.as_bytes().split_at(id as usize);
        let mut client = desk.client(id);
        client.send(front);
        // A boundary between characters shows both units; inside one, what is whole of the first.
        let whole = (0..=front.len())
            .rev()
            .find(|&to| text.is_char_boundary(to));
        let (first, second) = text.split_at(whole.expect("the start"));
        desk.shows(&format!("Client {id}: {first}"));
        client.send(back);
        desk.shows(&format!("Client {id}: {second}"));
        drop(client);
        desk.shows(&format!("Client {id} has gone"));
    }
}

#[test]
fn a_character_cut_behind_a_line_is_put_together() {
    let mut desk = Desk::open(&["--settle", "5"]);
    let mut one = desk.client(1);
    one.send(b"line first\na\xf0\x9f");
    desk.shows("Client 1: line first");
    desk.shows("Client 1: a");
    one.send(b"\x98\x80z\n");
    desk.shows("Client 1: \u{1f600}z");
}

#[test]
fn what_has_no_line_end_is_shown_whatever_was_sent_before_it() {
    let mut desk = Desk::open(&[]);
    let mut one = desk.client(1);
    // A message with LF inside is several lines, and its last one is not held back.
    for message in ["one\ntwo", "three", "\r\nfour\n\nfive", "six\n", "seven"] {
        one.send(message);
        for line in message.lines().filter(|line| !line.is_empty()) {
            desk.shows(&format!("Client 1: {line}"));
        }
    }
    one.send("the last").finish();
    desk.shows("Client 1: the last");
    desk.shows("Client 1 has gone");
}

#[test]
fn replies_lack_the_line_feed_once_a_client_has_lacked_it() {
    let mut desk = Desk::open(&[]);
    let mut one = desk.client(1);
    one.send("a line\nand no line");
    desk.shows("Client 1: a line");
    desk.shows("Client 1: and no line");
    desk.types("reply\n");
    one.expect("reply").send("a line again\n");
    desk.shows("Client 1: a line again");
    desk.types("and another\nend\n");
    one.expect("and anotherend").send("typed");
    desk.shows("Client 1: typed");
    // A line whose end is a key of its own.
    one.send("\r\n").send("x\n");
    desk.shows("Client 1: x");
    desk.types("with its end\n");
    one.expect("with its end\n");
}

#[test]
fn broken_text_is_shown_with_replacement_characters() {
    let mut desk = Desk::open(&[]);
    let mut one = desk.client(1);
    one.send(b"a\xffb\xe2\x82\n");
    desk.shows("Client 1: a\u{fffd}b\u{fffd}");
    let mut bare = desk.client(2);
    bare.send(b"x\xff");
    desk.shows("Client 2: x\u{fffd}");
    // The rest of this character never comes.
    bare.send(b"\xf0\x9f");
    desk.shows("Client 2: \u{fffd}");
    bare.send(b"cut \xf0\x9f\x98").finish();
    desk.shows("Client 2: cut \u{fffd}");
}

#[test]
fn nothing_that_a_terminal_obeys_reaches_the_operator() {
    let mut desk = Desk::open(&[]);
    let mut one = desk.client(1);
    one.send("\x1b[2J\x1b]0;title\x07\x08\x7f\x00red\rClient 9: fake\u{9b}31m\u{202e}end\tx\n");
    desk.shows("Client 1: [2J]0;titleredClient 9: fake31mend\tx");
    // Nothing is left of these, and nothing is shown.
    one.send("\x1b\x07\n\n   \n");
    done(&mut one, &mut desk, 1);
    desk.types("/list\n");
    assert!(desk.server.shown().ends_with("said last: \"done\""));
}

#[test]
fn replies_end_with_a_line_feed_except_to_who_speaks_without() {
    let mut desk = Desk::open(&[]);
    let mut silent = desk.client(1);
    let mut line = desk.client(2);
    line.send("line\n");
    desk.shows("Client 2: line");
    let mut bare = desk.client(3);
    bare.send("bare");
    desk.shows("Client 3: bare");
    desk.types("reply\n");
    silent.expect("reply\n");
    line.expect("reply\n");
    bare.expect("reply");
    desk.types("/kick 1\n/kick 2\n/kick 3\n");
    for client in [&mut silent, &mut line, &mut bare] {
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn a_unit_of_the_limit_is_shown_and_a_longer_one_refused() {
    let mut desk = Desk::open(&[]);
    let fits = "x".repeat(4096);
    let mut one = desk.client(1);
    one.send(format!("{fits}\n{fits}\r\n"));
    desk.shows(&format!("Client 1: {fits}"));
    desk.shows(&format!("Client 1: {fits}"));
    one.send(format!("{fits}x\n")).finish();
    assert_eq!(
        one.rest(),
        b"ERROR more than 4096 bytes without a line end\n"
    );
    desk.shows("Client 1 has gone");

    let mut bare = desk.client(2);
    bare.send(&fits);
    desk.shows(&format!("Client 2: {fits}"));
    bare.send(format!("{fits}x")).finish();
    assert_eq!(
        bare.rest(),
        b"ERROR more than 4096 bytes without a line end"
    );
    desk.shows("Client 2 has gone");
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_the_others_notice_nothing() {
    let mut desk = Desk::open(&[]);
    let _deaf = desk.client(1);
    let mut reader = desk.client(2);
    let line = format!("{}\n", "y".repeat(4000));
    let mut sent = 0;
    while !desk.server.log().contains("it does not read") {
        assert!(sent < 10_000, "the deaf one is never dropped");
        desk.types(&line);
        reader.expect(&line);
        sent += 1;
    }
    desk.shows("Client 1 has gone");
    desk.types("and on\n");
    reader.expect("and on\n").send("yes\n");
    desk.shows("Client 2: yes");
}

#[test]
fn thousands_come_are_told_and_go() {
    const COUNT: usize = 3000;
    let mut desk = Desk::open(&[]);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.current.is_some_and(|most| most < COUNT as u64 + 100) {
        eprintln!("SKIPPED thousands_come_are_told_and_go: too few descriptors");
        return;
    }
    let mut clients = Vec::new();
    for _ in 0..COUNT {
        clients.push(desk.server.connect("talk"));
    }
    for _ in 0..COUNT {
        assert!(desk.server.shown().contains(" has come from "));
    }
    desk.types("welcome\n");
    for client in &mut clients {
        client.expect("welcome\n");
    }
    clients[COUNT - 1].send("thanks\n");
    desk.shows(&format!("Client {COUNT}: thanks"));
    desk.types("/list\n");
    for id in 1..=COUNT {
        assert!(desk.server.shown().starts_with(&format!("{id}  ")), "{id}");
    }
    drop(clients);
    for _ in 0..COUNT {
        assert!(desk.server.shown().ends_with(" has gone"));
    }
    let mut next = desk.server.connect("talk");
    next.send("hello\n");
    desk.server
        .shown_until(&format!("Client {}: hello", COUNT + 1));
}

#[test]
fn people_may_fall_silent() {
    let mut desk = Desk::open(&["--idle-timeout", "1"]);
    let mut silent = desk.client(1);
    let mut idle = desk.server.connect("echo");
    idle.send("x").expect("x");
    // Two in turn, so that a talk client would have been idle for longer than its deadline.
    for _ in 0..2 {
        let mut echo = desk.server.connect("echo");
        assert_eq!(echo.rest(), b"");
    }
    desk.types("still there?\n");
    silent.expect("still there?\n").send("yes\n");
    desk.shows("Client 1: yes");
}

#[test]
fn the_dead_are_found_by_keepalive() {
    let mut desk = Desk::open(&[]);
    let client = desk.client(1);
    let port = client.0.local_addr().expect("bound").port();
    let arguments = [
        "-tnoH",
        "state",
        "established",
        "dport",
        &format!("= :{port}"),
    ];
    let Ok(output) = Command::new("ss").args(arguments).output() else {
        eprintln!("SKIPPED the_dead_are_found_by_keepalive: no ss");
        return;
    };
    let sockets = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(sockets.contains("timer:(keepalive,"), "{sockets}");
}

#[test]
fn a_signal_ends_the_server_at_once_with_people_in_conversation() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut desk = Desk::open(&[]);
        let mut one = desk.client(1);
        one.send("half a wor");
        desk.server.signal(signal);
        // Ten seconds are for transfers; the first line of the log has the time of the signal.
        assert!(desk.server.wait().success());
        assert!(
            !desk.server.log().contains("connections were cut"),
            "{}",
            desk.server.log()
        );
        assert_eq!(one.rest(), b"");
    }
}

#[test]
fn others_are_served_while_a_client_floods() {
    let desk = Desk::open(&[]);
    let mut flood = desk.server.connect("talk");
    let writer = flood.0.try_clone().expect("a handle");
    let flooding = std::thread::spawn(move || {
        let mut writer = Client(writer);
        let lines = "all work and no play\n".repeat(1000);
        for _ in 0..200 {
            writer.send(&lines);
        }
        writer.finish();
    });
    let mut echo = desk.server.connect("echo");
    for _ in 0..200 {
        echo.send("beside").expect("beside");
    }
    flooding.join().expect("all taken");
    assert_eq!(flood.rest(), b"");
}
