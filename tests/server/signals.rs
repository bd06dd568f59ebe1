//! SIGHUP acts as SIGTERM, ignored signals stay ignored, and with SIGHUP ignored a server
//! continues without its terminal. `shutdown.rs` tests the rest of the shutdown.

use crate::fake_server::{FakeServer, names_in, start, wait};
use crate::support;
use crate::support::{Client, PATIENCE, Prepared, Server, eventually};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

const ENDING: [Signal; 3] = [Signal::HUP, Signal::INT, Signal::TERM];

/// A command that ignores these signals and executes its arguments.
fn ignoring(signals: &str) -> [String; 4] {
    let script = format!("trap '' {signals}; exec \"$@\"");
    ["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it runs");
}

fn is_served(server: &Server) {
    server
        .connect("echo")
        .send("still here")
        .expect("still here");
}

/// Skips under a shell without job control, which starts background jobs with SIGINT ignored.
fn is_skipped(test: &str) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("our status");
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:\t"));
    let mask = u64::from_str_radix(mask.expect("a mask"), 16).expect("a mask");
    let ignored = ENDING
        .iter()
        .any(|signal| mask & (1 << (signal.as_raw() - 1)) != 0);
    if ignored {
        support::skip(test, "started with a signal ignored");
    }
    ignored
}

#[test]
fn a_client_ended_by_a_signal_removes_its_partial_file() {
    if is_skipped("a_client_ended_by_a_signal_removes_its_partial_file") {
        return;
    }
    for signal in ENDING {
        for (arguments, request, header) in [
            (
                &["receive", "a", "--no-resume", "--from"][..],
                "RECEIVE\na\n",
                "OK\na<SEPARATOR>10\nabc",
            ),
            (
                &["files", "download", "a", "--no-resume", "--at"],
                "download \"a\"\n",
                "OK 10\nabc",
            ),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join("a"), "old").expect("room");
            let (under_way, heard) = mpsc::channel();
            let server = FakeServer::once(move |peer| {
                peer.expect(request);
                peer.send(header);
                under_way.send(()).expect("the test waits");
                peer.discard_rest();
            });
            let arguments = [arguments, &[&server.address]].concat();
            let mut child = start(folder.path(), &arguments);
            heard.recv_timeout(PATIENCE).expect("a transfer");
            assert!(names_in(folder.path())[0].ends_with(".part"));
            send(&child, signal);
            let status = child.wait().expect("our child");
            assert_eq!(status.signal(), Some(signal.as_raw()));
            assert_eq!(wait(child).out, "");
            assert_eq!(names_in(folder.path()), ["a"], "{signal:?}");
            let old = std::fs::read(folder.path().join("a")).expect("a file");
            assert_eq!(old, b"old");
            server.finish();
        }
    }
}

#[test]
fn a_room_client_ended_by_a_signal_leaves_the_room() {
    if is_skipped("a_room_client_ended_by_a_signal_leaves_the_room") {
        return;
    }
    for signal in ENDING {
        let mut server = Server::start(&[]);
        let at = server.address("room").to_string();
        let login = ["--name", "ani", "--password", support::ROOM_PASSWORD];
        let arguments = [&["room", "--at", &at][..], &login].concat();
        let mut child = start(server.root().as_path(), &arguments);
        let input = child.stdin.take();
        server.shown_until("ani bergabung");
        send(&child, signal);
        server.shown_until("ani telah keluar");
        drop(input);
        wait(child);
    }
}

#[test]
fn a_client_started_with_a_signal_ignored_finishes_its_transfer() {
    let folder = tempfile::tempdir().expect("a folder");
    let (under_way, heard) = mpsc::channel();
    let (go_on, signalled) = mpsc::channel();
    let server = FakeServer::once(move |peer| {
        peer.expect("RECEIVE\na\n");
        peer.send("OK\na<SEPARATOR>6\nabc");
        under_way.send(()).expect("the test waits");
        signalled.recv().expect("the test goes on");
        peer.send("def");
        peer.expect_end();
    });
    let words = ignoring("HUP INT QUIT");
    let child = Command::new(&words[0])
        .args(&words[1..])
        .args([env!("CARGO_BIN_EXE_loket"), "receive", "a", "--from"])
        .arg(&server.address)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sh starts");
    heard.recv_timeout(PATIENCE).expect("a transfer");
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT] {
        send(&child, signal);
    }
    go_on.send(()).expect("the server waits");
    wait(child).expect(0, "saved a, 6 bytes\n", "");
    server.finish();
}

#[test]
fn a_server_started_with_a_signal_ignored_keeps_ignoring_it() {
    let words = ignoring("HUP INT QUIT");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let folder = support::rooted();
    let mut server = Server::start_under(&words, folder, &[]);
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT] {
        server.signal(signal);
        is_served(&server);
    }
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn several_hangups_of_a_closed_terminal_cut_no_transfer() {
    for first in [Signal::HUP, Signal::TERM] {
        let mut server = Server::start(&[]);
        let mut client = server.connect("files");
        client.send("upload x 6\n").expect("OK\n").send("abc");
        server.signal(first);
        eventually("the first signal is logged", || {
            server.log().contains("no more connections")
        });
        for _ in 0..2 {
            server.signal(Signal::HUP);
        }
        client.send("def").expect("OK File Berhasil Dibuat\n");
        assert_eq!(server.wait().code(), Some(0));
        assert!(!server.log().contains("again"), "{}", server.log());
        assert_eq!(server.got("x"), b"abcdef");
    }
}

/// Both ends of a new terminal.
fn terminal() -> (OwnedFd, OwnedFd) {
    // The server must not inherit the end that the test closes.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).expect("a terminal");
    grantpt(&ours).expect("a terminal");
    unlockpt(&ours).expect("a terminal");
    let name = ptsname(&ours, Vec::new()).expect("its name");
    let path = name.to_str().expect("text");
    let theirs = OpenOptions::new().read(true).write(true).open(path);
    (ours, theirs.expect("its other end").into())
}

/// A server whose controlling terminal is closed.
fn lose_terminal(above: &[&str]) -> Option<Server> {
    if Command::new("setsid").arg("--version").output().is_err() {
        return None;
    }
    let (ours, theirs) = terminal();
    let mut prepared = Prepared::under(&[&["setsid", "--ctty"], above].concat());
    let input = theirs.try_clone().expect("a handle");
    prepared.command.stdin(input);
    let mut server = prepared.launch_onto(ours, theirs);
    let (nothing, _) = std::io::pipe().expect("a pipe");
    server.screen = std::io::BufReader::new(OwnedFd::from(nothing).into());
    Some(server)
}

#[test]
fn a_server_whose_terminal_closes_drains_and_exits() {
    let Some(mut server) = lose_terminal(&[]) else {
        support::skip(
            "a_server_whose_terminal_closes_drains_and_exits",
            "no setsid",
        );
        return;
    };
    assert_eq!(server.wait().code(), Some(0));
    assert!(server.log().contains("SIGHUP: no more connections"));
}

#[test]
fn a_server_that_ignores_hangups_continues_without_its_terminal() {
    let words = ignoring("HUP");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(mut server) = lose_terminal(&words) else {
        support::skip(
            "a_server_that_ignores_hangups_continues_without_its_terminal",
            "no setsid",
        );
        return;
    };
    let mut talker = Client::connect(server.address("talk"));
    talker.send("hello?\n");
    is_served(&server);
    let switches = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/schedstat", server.id()));
        stat.expect("alive")
            .split_whitespace()
            .nth(2)
            .map(str::to_owned)
    };
    let mut before = switches();
    eventually("it is idle", || {
        support::pause();
        let rests = switches() == before;
        before = switches();
        rests
    });
    is_served(&server);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}
