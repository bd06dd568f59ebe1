//! Unusual standard streams: closed, full, not read, or a file. The server serves with each, and
//! counts the lines that it could not write.

use crate::support;
use crate::support::{Prepared, Server, eventually};
use rustix::process::Signal;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

/// A number of lines that no pipe and no queue of the server can hold.
const FLOOD: usize = 10_000;

fn check_echo(server: &Server) {
    server.connect("echo").send("hello").expect("hello");
}

/// A talk client sends [`FLOOD`] lines of 80 bytes, and the server reads them all.
fn flood(server: &Server) {
    let mut client = server.connect("talk");
    for number in 0..FLOOD {
        client.send(format!("{number:079}\n"));
    }
    client.finish();
    assert_eq!(client.rest(), b"");
}

/// The sum of the numbers in lines like `(N lines lost: standard output did not take them in
/// time)` and `[...] N log lines lost: standard error was not read in time`.
fn lost_lines(text: &str) -> usize {
    let counts = text.lines().filter(|line| line.contains("lost: standard "));
    let count = |line: &str| {
        // The line before may be cut, and have no line end.
        let (before, _) = line.split_once(" lines lost: standard ")?;
        let before = before.trim_end_matches(" log");
        before.rsplit([' ', '(']).next()?.parse::<usize>().ok()
    };
    counts.map(|line| count(line).expect(line)).sum()
}

#[test]
fn the_end_of_standard_input_leaves_the_server_running() {
    let (mut server, mut keys) = Server::operated(&[]);
    let mut client = server.connect("talk");
    server.shown_until("Client 1 connected");
    keys.write_all(b"one\nlast without a line end")
        .expect("taken");
    drop(keys);
    client
        .expect("one\nlast without a line end\n")
        .send("still here\n");
    assert_eq!(server.shown(), "Client 1: still here");
    check_echo(&server);
}

#[test]
fn all_services_run_without_standard_input() {
    let no_input: [fn(&mut Command); 2] = [
        |command| {
            command.stdin(Stdio::null());
        },
        |command| {
            command.stdin(File::open("/").expect("a folder"));
        },
    ];
    for prepare in no_input {
        let mut prepared = Prepared::new();
        prepare(&mut prepared.command);
        let server = prepared.launch();
        check_echo(&server);
        server.connect("talk").send("hello\n").finish().rest();
        check_echo(&server);
    }
}

#[test]
fn the_server_starts_with_closed_standard_streams() {
    let folder = support::rooted();
    let shell = ["sh", "-c", "exec \"$0\" \"$@\" <&- 2>&-"];
    let mut server = Server::start_under(&shell, folder, &[]);
    server.connect("talk").send("hello\n").finish().rest();
    server.shown_until("Client 1: hello");
    check_echo(&server);
}

#[test]
fn a_regular_file_as_standard_input_is_read_from_its_offset_in_pieces() {
    let mut prepared = Prepared::new();
    let path = prepared.folder().join("input");
    let lines: String = (0..60_000)
        .map(|number| format!("/nope{number}\n"))
        .collect();
    std::fs::write(&path, format!("skipped\n{lines}")).expect("room");
    let mut input = File::open(&path).expect("readable");
    input.read_exact(&mut [0; 8]).expect("there");
    prepared.command.stdin(input);
    let mut server = prepared.launch();
    assert_eq!(
        server.shown(),
        "unknown command /nope0; /help lists the commands"
    );
    check_echo(&server);
    let last = server.shown_until("unknown command /nope59999;");
    assert!(!last.is_empty());
    check_echo(&server);
}

#[test]
fn an_endless_input_line_is_cut_and_disconnects_no_client() {
    let (mut server, mut keys) = Server::operated(&[]);
    let mut client = server.connect("talk");
    server.shown_until("Client 1 connected");
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        client.0.read_to_end(&mut text).expect("the end");
        text
    });
    let broken = vec![0xff; 200_000];
    keys.write_all(&broken).expect("taken");
    keys.write_all(b"\n/kick 1\n").expect("taken");
    let text = String::from_utf8(reading.join().expect("read")).expect("mended");
    assert_eq!(text.matches('\u{fffd}').count(), broken.len());
    assert!(!server.log().contains("does not read"), "{}", server.log());
}

#[test]
fn an_unread_screen_blocks_no_client_and_its_lost_lines_are_counted() {
    let mut server = Server::start(&[]);
    flood(&server);
    check_echo(&server);
    let mut last = server.connect("talk");
    let mut seen = Vec::new();
    let mut number = 0;
    // The number of lost lines is written with the next line that fits.
    let mut text = String::new();
    while lost_lines(&text) == 0 {
        number += 1;
        last.send(format!("anybody? {number}\n"));
        seen.push(server.shown_until("Client"));
        text.clear();
        for _ in 0..1000 {
            let line = server.shown();
            text.push_str(&line);
            text.push('\n');
            seen.push(line);
            if seen
                .last()
                .is_some_and(|line| line.ends_with(&format!("? {number}")))
            {
                break;
            }
        }
        assert!(number < 100, "the lost lines are never counted");
    }
    let shown = seen
        .iter()
        .filter(|line| line.starts_with("Client 1: 0"))
        .count();
    assert!(
        shown + lost_lines(&text) >= FLOOD,
        "{shown} shown, {} lost",
        lost_lines(&text)
    );
    check_echo(&server);
}

#[test]
fn an_unread_log_blocks_no_client_and_continues_when_it_is_read() {
    let (mut log, writer) = std::io::pipe().expect("a pipe");
    let mut prepared = Prepared::new();
    prepared.command.arg("--trace").stderr(writer);
    let server = prepared.launch();
    flood(&server);
    check_echo(&server);
    // A pipe of 64 KiB and a queue of 256 KiB are written without any further event.
    let mut read = vec![0; 300 << 10];
    log.read_exact(&mut read).expect("what waited");
    let mut text = String::from_utf8_lossy(&read).into_owned();
    for _ in 0..1000 {
        check_echo(&server);
        let count = log.read(&mut read).expect("more");
        text.push_str(&String::from_utf8_lossy(&read[..count]));
        if lost_lines(&text) > 0 {
            return;
        }
    }
    panic!("the lost lines are never counted");
}

#[test]
fn full_pipes_do_not_block_shutdown() {
    let (_log, writer) = std::io::pipe().expect("a pipe");
    let mut prepared = Prepared::new();
    prepared.command.arg("--trace").stderr(writer);
    let mut server = prepared.launch();
    flood(&server);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

#[test]
fn closed_readers_of_the_screen_and_log_block_no_client() {
    let (log, writer) = std::io::pipe().expect("a pipe");
    let (screen, output) = std::io::pipe().expect("a pipe");
    let mut prepared = Prepared::new();
    prepared.command.arg("--trace").stderr(writer);
    let mut server = prepared.launch_onto(OwnedFd::from(screen), OwnedFd::from(output));
    drop(log);
    let (nothing, _) = std::io::pipe().expect("a pipe");
    // Closes the only reader of the screen.
    server.screen = std::io::BufReader::new(OwnedFd::from(nothing).into());
    flood(&server);
    check_echo(&server);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

#[test]
fn the_file_status_flags_of_inherited_streams_do_not_change() {
    let (input, mut keys) = std::io::pipe().expect("a pipe");
    let (screen, output) = std::io::pipe().expect("a pipe");
    let (_log, errors) = std::io::pipe().expect("a pipe");
    let streams = [
        OwnedFd::from(input.try_clone().expect("a handle")),
        OwnedFd::from(output.try_clone().expect("a handle")),
        OwnedFd::from(errors.try_clone().expect("a handle")),
    ];
    let flags = |of: &OwnedFd| rustix::fs::fcntl_getfl(of.as_fd()).expect("flags");
    let before: Vec<_> = streams.iter().map(flags).collect();
    let mut prepared = Prepared::new();
    prepared.command.stdin(input).stderr(errors);
    let mut server = prepared.launch_onto(screen.into(), output.into());
    keys.write_all(b"hello?\n").expect("taken");
    assert_eq!(server.shown(), "no client is connected");
    assert_eq!(streams.iter().map(flags).collect::<Vec<_>>(), before);
    assert!(
        before
            .iter()
            .all(|flags| !flags.contains(rustix::fs::OFlags::NONBLOCK))
    );
}

#[test]
fn an_idle_server_uses_no_processor_time() {
    let (mut server, mut keys) = Server::operated(&["--trace"]);
    let mut client = server.connect("talk");
    client.send("hello\n");
    server.shown_until("Client 1: hello");
    keys.write_all(b"/list\n").expect("taken");
    server.shown_until("1  ");
    drop(keys);
    let used = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/schedstat", server.id()));
        let stat = stat.expect("alive");
        let switches = stat.split_whitespace().nth(2).expect("a count");
        switches.parse::<u64>().expect("a number")
    };
    // Some time passes in which the process is not scheduled once.
    let mut before = used();
    eventually("the server is idle", || {
        support::pause();
        let rests = used() == before;
        before = used();
        rests
    });
}
