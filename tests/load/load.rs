//! The load generator measures the real server without errors, and detects wrong answers.
//! Asserts counts, never times.

use crate::fake_server::{Ended, UnusedAddress, run, start, wait};
use crate::load_figures::Figures;
use crate::support;
use crate::support::{ROOM_PASSWORD, Server, tree};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

fn at(server: &Server, service: &str) -> String {
    server.address(service).to_string()
}

#[test]
fn echo_messages_are_answered_one_at_a_time_and_pipelined() {
    let server = Server::start(&[]);
    let at = at(&server, "echo");
    for flags in [
        &["-c", "20"][..],
        &["-p", "16", "-s", "1"],
        &["-s", "200K", "-p", "2"],
    ] {
        let figures = Figures::of(&[&["echo", "--at", &at], flags].concat());
        figures.all_answered();
        let size = figures.number("size");
        let in_time = figures.number("bytes_received");
        assert!(in_time <= size * figures.number("requests_answered"));
        assert!(in_time > 0.0);
    }
}

#[test]
fn a_rate_is_kept_to_the_last_request() {
    let server = Server::start(&[]);
    let at = at(&server, "echo");
    for (rate, connections) in [("1", "3"), ("333", "7"), ("2000", "50")] {
        let figures = Figures::of(&["echo", "--at", &at, "-r", rate, "-c", connections]);
        figures.all_made(rate);
    }
    Figures::of(&["churn", "--at", &at, "-r", "100", "-c", "5"]).all_made("100");
}

#[test]
fn churn_opens_a_connection_for_each_message() {
    let server = Server::start(&[]);
    let figures = Figures::of(&["churn", "--at", &at(&server, "echo"), "-c", "10"]);
    figures.all_answered();
    assert_eq!(
        figures.number("connections_opened"),
        figures.number("requests_made")
    );
}

#[test]
fn idle_connections_stay_open_beside_a_busy_one() {
    let server = Server::start(&[]);
    let flags = [
        "idle",
        "--at",
        &at(&server, "echo"),
        "-c",
        "300",
        "-r",
        "40",
    ];
    let figures = Figures::of(&flags);
    figures.all_made("40");
    assert_eq!(figures.number("connections_opened"), 0.0);
}

#[test]
fn transfer_sends_and_receives_files_and_leaves_only_empty_ones() {
    let server = Server::start(&[]);
    let at = at(&server, "transfer");
    for flags in [
        &["--mix", "-s", "30K"][..],
        &["--send", "-s", "0"],
        &["--receive", "-s", "3M"],
        &["--reconnect"],
    ] {
        let flags = [&["transfer", "--at", &at, "-c", "4"], flags].concat();
        Figures::of(&flags).all_answered();
    }
    let files = tree(&server.root());
    assert_eq!(files.len(), 16, "four workers of four runs");
    assert!(files.values().all(Vec::is_empty));
}

#[test]
fn every_files_command_is_used_and_no_file_is_left() {
    let server = Server::start(&[]);
    let at = at(&server, "files");
    for flags in [
        &[][..],
        &["--reconnect"],
        &["--only", "rm"],
        &["--only", "download"],
    ] {
        let flags = [&["files", "--at", &at, "-c", "4", "-s", "10K"], flags].concat();
        let figures = Figures::of(&flags);
        figures.all_answered();
        for kind in ["upload", "size", "ls", "download", "rm"] {
            let used = figures.0.contains(&format!("\"{kind}\": {{"));
            let wanted = !flags.contains(&"--only") || flags.contains(&kind);
            assert_eq!(used, wanted, "{kind}: {}", figures.0);
        }
    }
    assert!(server.contents().is_empty());
}

#[test]
fn every_member_of_a_room_receives_every_message() {
    let server = Server::start(&[]);
    let at = at(&server, "room");
    let flags = [
        "room",
        "--at",
        &at,
        "-m",
        "6",
        "-r",
        "60",
        "--password",
        ROOM_PASSWORD,
    ];
    let figures = Figures::of(&flags);
    assert_eq!(figures.number("requests_made"), 60.0);
    assert_eq!(figures.number("copies_expected"), 360.0);
    // Datagrams may be lost, but every loss is counted.
    let received = figures.number("requests_answered");
    assert_eq!(received + figures.number("copies_lost"), 360.0);
    assert!(received >= 6.0);
}

#[test]
fn a_watched_server_is_measured_over_the_time_of_the_run() {
    let server = Server::start(&[]);
    let process = server.id().to_string();
    for (service, flags) in [
        ("echo", &["echo", "-c", "5"][..]),
        ("files", &["files", "-c", "2"]),
        ("room", &["room", "-m", "3", "--password", ROOM_PASSWORD]),
    ] {
        let at = at(&server, service);
        let flags = [flags, &["--at", &at, "--server-pid", &process]].concat();
        let figures = Figures::of(&flags);
        assert!(figures.number("server_cpu_us") > 0.0, "{service}");
        assert!(figures.number("server_memory") > 4_096.0, "{service}");
        // One thread serves, one waits for disks.
        assert!(figures.number("server_busy") <= 2.1, "{service}");
    }
}

#[test]
fn a_run_writes_a_plot() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let at = at(&server, "files");
    let plot = [
        "load", "files", "--at", &at, "-c", "3", "-d", "1", "--plot", "run.svg",
    ];
    let ended = run(folder.path(), &plot);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let drawing = std::fs::read_to_string(folder.path().join("run.svg")).expect("a drawing");
    for part in [
        "<svg ",
        "</svg>",
        "latency by percentile",
        "answers a second",
        "download",
    ] {
        assert!(drawing.contains(part), "{part} is missing");
    }
}

/// An echo server for one connection that passes each message to a script before it answers.
fn scripted(mut script: impl FnMut(usize, &mut [u8]) -> bool + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut message = [0; 64];
        for number in 0.. {
            if stream.read_exact(&mut message).is_err() || !script(number, &mut message) {
                return;
            }
            let _ = stream.write_all(&message);
        }
    });
    address
}

fn against(address: SocketAddr, flags: &[&str]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let at = address.to_string();
    let flags = [&["load", "echo", "--at", &at, "-c", "1"], flags].concat();
    run(folder.path(), &flags)
}

#[test]
fn a_changed_byte_gives_exit_status_1() {
    let address = scripted(|number, message| {
        if number == 5 {
            message[10] ^= 1;
        }
        true
    });
    let ended = against(address, &["-d", "1"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let words = "byte 11 of a message is wrong";
    assert!(ended.out.contains(words), "{ended:?}");
    assert!(
        ended.out.contains("were answered with wrong bytes"),
        "{ended:?}"
    );
}

#[test]
fn an_unrequested_byte_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut message = [0; 64];
        while stream.read_exact(&mut message).is_ok() {
            let _ = stream.write_all(&[&message[..], b"!"].concat());
        }
    });
    let ended = against(address, &["-d", "1", "-r", "10"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
}

#[test]
fn a_lost_server_ends_the_run_with_a_summary() {
    let address = scripted(|number, _| number < 50);
    let ended = against(address, &["-d", "3600"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.out.contains("the server was lost"), "{ended:?}");
    assert!(ended.out.contains("messages "), "{ended:?}");
    assert!(ended.out.contains("p99.9"), "{ended:?}");
}

#[test]
fn a_missing_answer_is_an_error_and_no_hang() {
    let (waits, never) = mpsc::channel::<()>();
    let address = scripted(move |number, _| number < 50 || never.recv().is_ok());
    let ended = against(address, &["-d", "1"]);
    drop(waits);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.out.contains("got no answer in time"), "{ended:?}");
}

#[test]
fn an_interrupt_ends_a_run_early_with_its_summary() {
    let (signal, running) = mpsc::channel();
    let address = scripted(move |number, _| {
        if number == 20 {
            let _ = signal.send(());
        }
        true
    });
    let folder = tempfile::tempdir().expect("a folder");
    let at = address.to_string();
    let child = start(
        folder.path(),
        &["load", "echo", "--at", &at, "-c", "1", "-d", "3600"],
    );
    running
        .recv_timeout(support::PATIENCE)
        .expect("the run begins");
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it runs");
    let ended = wait(child);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.out.contains("interrupted"), "{ended:?}");
}

#[test]
fn a_refused_connection_is_reported_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let unused = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").to_string()
    };
    for mode in [&["echo"][..], &["files"], &["room", "--password", "x"]] {
        let ended = run(
            folder.path(),
            &[&["load"], mode, &["--at", &unused]].concat(),
        );
        ended.expect_failure(1, &[&unused, "is the server running there?"]);
        assert_eq!(ended.out, "");
        assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    }
}

#[test]
fn a_wrong_service_is_reported_before_the_run() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let at = at(&server, "files");
    let ended = run(folder.path(), &["load", "echo", "--at", &at]);
    ended.expect_failure(1, &["cannot start", "does", "serve echo?"]);
}

#[test]
fn wrong_flags_are_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let unused = UnusedAddress::new();
    let at = unused.address();
    for flags in [
        &["echo", "-c", "0"][..],
        &["echo", "-d", "0"],
        &["echo", "-r", "0"],
        &["echo", "-s", "0"],
        &["echo", "-s", "64X"],
        &["echo", "-s", "1G", "-c", "100"],
        &["echo", "-p", "0"],
        &["echo", "--server-pid", "0"],
        // Above the largest possible PID.
        &["echo", "--server-pid", "4194305"],
        &["echo", "--json", "no/such/folder/x.json"],
        &["echo", "--plot", "no/such/folder/x.svg"],
        &["transfer", "--send", "--receive"],
        &["files", "--only", "byebye"],
        &["room", "--password", "x", "-s", "1024"],
        &["churn", "-p", "2"],
        &["talk"],
    ] {
        let flags = [&["load"], flags, &["--at", &at]].concat();
        let ended = run(folder.path(), &flags);
        ended.expect_failure(2, &[]);
        assert!(!ended.err.is_empty(), "{flags:?}");
        assert_eq!(ended.out, "", "{flags:?}");
    }
    unused.assert_no_connection();
    for wrong in ["127.0.0.1", "::1:80", "host:0"] {
        let ended = run(folder.path(), &["load", "echo", "--at", wrong]);
        ended.expect_failure(2, &["HOST:PORT"]);
    }
}

#[test]
fn a_silent_server_does_not_block_a_run_that_cannot_start() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = silent.local_addr().expect("an address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let held = thread::spawn(move || -> Vec<TcpStream> {
        silent
            .incoming()
            .take(3)
            .map(|stream| stream.expect("a client"))
            .collect()
    });
    let ended = run(folder.path(), &["load", "echo", "--at", &at, "-c", "3"]);
    ended.expect_failure(1, &["only 0 of 3 connections are served", &at]);
    drop(held);
}
