//! The talk service over real sockets: both directions, every kind of text, and who is dropped.

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

/// What a client and the operator do in turn.
enum Turn {
    /// The client sends this.
    Says(&'static [u8]),
    /// The screen shows this line of the client.
    Shows(&'static str),
    /// The operator types this.
    Types(&'static str),
    /// The client is sent this.
    Hears(&'static str),
    /// The client ends its stream, and the screen says that it has gone.
    Ends,
}
use Turn::{Ends, Hears, Says, Shows, Types};

#[rustfmt::skip] // a table
const CONVERSATIONS: &[(&str, &[Turn])] = &[
    ("speaking and leaving", &[
        Says(b"hello\nlast words"), Shows("hello"), Shows("last words"), Ends]),
    ("units without a line end", &[
        Says(b"one unit"), Shows("one unit"), Says(b"and then another"),
        Shows("and then another")]),
    ("a late line end is no message of its own", &[
        Says(b"taken for bare"), Shows("taken for bare"), Says(b"\n"), Says(b"next\n"),
        Shows("next"), Types("reply\n"), Hears("reply\n")]),
    ("a late CR LF is none", &[
        Says(b"taken for bare"), Shows("taken for bare"), Says(b"\r\n"), Says(b"next\n"),
        Shows("next"), Types("reply\n"), Hears("reply\n")]),
    ("a character cut behind a line", &[
        Says(b"line first\na\xf0\x9f"), Shows("line first"), Shows("a"), Says(b"\x98\x80z\n"),
        Shows("\u{1f600}z")]),
    ("lines inside a message, and the last one is not held back", &[
        Says(b"one\ntwo"), Shows("one"), Shows("two"), Says(b"three"), Shows("three"),
        Says(b"\r\nfour\n\nfive"), Shows("four"), Shows("five"), Says(b"six\n"), Shows("six"),
        Says(b"seven"), Shows("seven"), Ends]),
    ("replies lack the line feed once the client has lacked it", &[
        Says(b"a line\nand no line"), Shows("a line"), Shows("and no line"), Types("reply\n"),
        Hears("reply"), Says(b"a line again\n"), Shows("a line again"),
        Types("and another\nend\n"), Hears("and anotherend"), Says(b"typed"), Shows("typed"),
        // A line whose end is a key of its own.
        Says(b"\r\n"), Says(b"x\n"), Shows("x"), Types("with its end\n"),
        Hears("with its end\n")]),
    ("broken text on a line", &[
        Says(b"a\xffb\xe2\x82\n"), Shows("a\u{fffd}b\u{fffd}")]),
    ("broken text without a line end, and a character of which the rest never comes", &[
        Says(b"x\xff"), Shows("x\u{fffd}"), Says(b"\xf0\x9f"), Shows("\u{fffd}"),
        Says(b"cut \xf0\x9f\x98\n"), Shows("cut \u{fffd}")]),
    ("what a terminal obeys", &[
        Says(b"\x1b[2J\x1b]0;title\x07\x08\x7f\x00red\rClient 9: fake\xc2\x9b31m\xe2\x80\xae\
               end\tx\n"),
        Shows("[2J]0;titleredClient 9: fake31mend\tx"),
        // Nothing is left of these, and nothing is shown.
        Says(b"\x1b\x07\n\n   \n"), Says(b"\ndone\n"), Shows("done")]),
];

#[test]
fn lines_of_clients_are_shown_and_answers_are_sent() {
    let mut desk = Desk::open(&[]);
    for (id, (name, turns)) in (1..).zip(CONVERSATIONS) {
        println!("{name}");
        let mut client = desk.client(id);
        for turn in *turns {
            match turn {
                Says(bytes) => drop(client.send(bytes)),
                Shows(text) => desk.shows(&format!("Client {id}: {text}")),
                Types(text) => desk.types(text),
                Hears(text) => drop(client.expect(text)),
                Ends => drop(client.finish()),
            }
        }
        drop(client);
        desk.shows(&format!("Client {id} has gone"));
    }
    desk.client(1 + CONVERSATIONS.len() as u32).reset();
    desk.shows(&format!("Client {} has gone", 1 + CONVERSATIONS.len()));
}

#[test]
fn a_complete_line_does_not_wait_for_the_settle_window() {
    let mut desk = Desk::open(&["--settle", "60000"]);
    let mut line = desk.client(1);
    line.send("a line\r\nand ").send("another\n");
    desk.shows("Client 1: a line");
    desk.shows("Client 1: and another");
}

#[test]
fn a_line_of_the_operator_goes_to_all_clients_or_to_one() {
    let mut desk = Desk::open(&[]);
    let mut one = desk.client(1);
    let mut two = desk.client(2);
    desk.types("hello\n/to 2 just you\n/to 1  spaced  out\n  indented\n");
    one.expect("hello\n spaced  out\n  indented\n");
    two.expect("hello\njust you\n  indented\n");
}

#[test]
fn the_list_shows_each_client_with_its_last_line() {
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
fn a_kicked_client_is_disconnected() {
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
fn a_kicked_client_that_does_not_read_is_disconnected_too() {
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
fn help_lists_the_commands_and_a_wrong_command_is_explained() {
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
fn a_line_without_a_client_to_receive_it_is_reported() {
    let mut desk = Desk::open(&[]);
    desk.types("hello?\n");
    desk.shows("nobody is connected");
}

#[test]
fn replies_end_with_lf_except_to_a_client_that_sends_none() {
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
fn a_message_of_the_limit_is_shown_and_a_longer_one_is_refused() {
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
fn a_client_that_does_not_read_is_disconnected_and_the_others_are_not_affected() {
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
fn thousands_of_clients_connect_receive_a_line_and_disconnect() {
    const COUNT: usize = 3000;
    let mut desk = Desk::open(&[]);
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
fn a_silent_talk_client_has_no_idle_timeout() {
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
fn talk_connections_use_tcp_keepalive() {
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
        support::skip("talk_connections_use_tcp_keepalive", "no ss");
        return;
    };
    let sockets = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(sockets.contains("timer:(keepalive,"), "{sockets}");
}

#[test]
fn a_signal_ends_the_server_at_once_with_open_talk_connections() {
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
fn other_clients_are_served_while_a_talk_client_floods() {
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
