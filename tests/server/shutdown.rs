//! The server starts completely or not at all; on a signal it completes transfers, then exits.

use crate::support::{BOTH_WAYS, Server, eventually, noise};
use loket::server::TCP_SERVICES;
use rustix::process::Signal;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The thread of the loop, and one for each kind of disk job.
const LOOP_AND_DISKS: usize = 5;

const SIGNALS: [Signal; 4] = [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT];

/// Waits until new connections are refused.
fn refused(server: &Server) {
    for service in ["echo", "transfer", "files"] {
        let address = server.address(service);
        eventually("new connections are refused", || {
            std::net::TcpStream::connect(address)
                .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
        });
    }
}

/// The server exits with status 0 and has closed no connection by force.
fn ends_gracefully(mut server: Server) {
    let status = server.wait();
    assert_eq!(status.code(), Some(0));
    let log = server.log();
    assert!(!log.contains("unfinished connections"), "{log}");
    assert!(!log.contains("again"), "{log}");
}

#[test]
fn a_signal_ends_a_server_without_clients() {
    for signal in SIGNALS {
        let server = Server::start(&[]);
        server.signal(signal);
        ends_gracefully(server);
    }
}

#[test]
fn a_signal_ends_idle_connections_and_the_server() {
    for signal in SIGNALS {
        let server = Server::start(&[]);
        let mut idle: Vec<_> = ["echo", "transfer", "files"]
            .iter()
            .flat_map(|service| (0..10).map(|_| server.connect(service)))
            .collect();
        // Some have had answers, some are in the middle of a command.
        idle[0].send("hello").expect("hello");
        idle[10].send("SEND\n").expect("OK\n");
        idle[11].send("RECEIVE").expect("OK");
        idle[20].send("ls\n").expect("OK 0\n").send("si");
        server.signal(signal);
        for client in &mut idle {
            assert_eq!(client.rest(), b"");
        }
        ends_gracefully(server);
    }
}

#[test]
fn a_running_download_is_completed_before_exit() {
    for (way, signal) in BOTH_WAYS.into_iter().zip(SIGNALS) {
        let server = Server::start(way);
        // More than the socket buffers of both sides hold.
        let data = noise(32 << 20);
        server.put("x", &data);
        let mut line = server.connect("files");
        line.send("download x\n")
            .expect(format!("OK {}\n", data.len()));
        let mut bare = server.connect("transfer");
        bare.send("RECEIVE").expect("OK").send("x");
        bare.expect(format!("x<SEPARATOR>{}", data.len()));
        bare.expect(&data[..1]);
        server.signal(signal);
        refused(&server);
        assert!(server.threads() <= LOOP_AND_DISKS);
        line.expect(&data);
        assert_eq!(line.rest(), b"");
        bare.expect(&data[1..]);
        assert_eq!(bare.rest(), b"");
        ends_gracefully(server);
    }
}

#[test]
fn a_bare_download_in_its_header_gap_is_completed_before_exit() {
    for (way, signal) in BOTH_WAYS.into_iter().zip(SIGNALS) {
        let server = Server::start(&[&["--bare-gap", "500"], way].concat());
        server.put("x", "abc");
        let mut client = server.connect("transfer");
        client.send("RECEIVE").expect("OK").send("x");
        client.expect("x<SEPARATOR>3");
        server.signal(signal);
        refused(&server);
        assert_eq!(client.rest(), b"abc");
        ends_gracefully(server);
    }
}

#[test]
fn a_running_upload_is_completed_before_exit() {
    for (way, signal) in BOTH_WAYS.into_iter().zip(SIGNALS) {
        let server = Server::start(way);
        let data = noise(2_000_000);
        let mut line = server.connect("files");
        line.send("upload line 2000000\n").expect("OK\n");
        line.send(&data[..1_000_000]);
        let before = server.descriptors();
        let mut bare = server.connect("transfer");
        bare.send("SEND").expect("OK");
        bare.send("barebare<SEPARATOR>2000000")
            .send(&data[..1_000_000]);
        eventually("the bare upload has begun", || {
            server.descriptors() >= before + 2
        });
        server.signal(signal);
        refused(&server);
        assert!(server.threads() <= LOOP_AND_DISKS);
        line.send(&data[1_000_000..])
            .expect("OK File Berhasil Dibuat\n");
        assert_eq!(line.rest(), b"");
        bare.send(&data[1_000_000..]).finish();
        assert_eq!(bare.rest(), b"");
        for name in ["line", "bare"] {
            let stored = server.got(name);
            assert!(stored == data, "{name} differs");
        }
        ends_gracefully(server);
    }
}

#[test]
fn a_chunked_upload_is_completed_before_exit_also_between_two_chunks() {
    for (way, signal) in BOTH_WAYS.into_iter().zip(SIGNALS) {
        let server = Server::start(way);
        let mut client = server.connect("http");
        let head = "PUT /x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n";
        client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
        client.expect("HTTP/1.1 100 Continue\r\n\r\n");
        client.send("2\r\nfr\r\n");
        server.signal(signal);
        refused(&server);
        client.send("3\r\nesh\r\n0\r\n\r\n");
        assert_eq!(client.line(), "HTTP/1.1 201 Created\r\n");
        client.rest();
        assert_eq!(server.got("x"), b"fresh");
        ends_gracefully(server);
    }
}

#[test]
fn a_bare_upload_without_data_yet_is_completed_before_exit() {
    for (way, signal) in BOTH_WAYS.into_iter().zip(SIGNALS) {
        let server = Server::start(way);
        let before = server.descriptors();
        let mut client = server.connect("files");
        client.send("upload x");
        eventually("its file is open", || server.descriptors() >= before + 2);
        server.signal(signal);
        refused(&server);
        client.send("fresh").finish();
        assert_eq!(client.rest(), b"File Berhasil Dibuat");
        let stored = server.got("x");
        assert_eq!(stored, b"fresh");
        ends_gracefully(server);
    }
}

#[test]
fn a_second_signal_exits_at_once_and_leaves_no_partial_file() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM)] {
        let mut server = Server::start(&[]);
        let mut client = server.connect("files");
        client.send("upload x 1000000\n").expect("OK\n");
        client.send(noise(500_000));
        server.signal(first);
        refused(&server);
        server.signal(second);
        let status = server.wait();
        assert_eq!(status.code(), Some(0));
        let log = server.log();
        assert!(log.contains("again"), "{log}");
        assert!(log.contains("unfinished connections"), "{log}");
        assert!(server.contents().is_empty());
    }
}

#[test]
fn the_loop_and_the_disk_helpers_are_the_only_threads() {
    for way in BOTH_WAYS {
        let server = Server::start(way);
        server.rest_after_start();
        assert_eq!(server.threads(), 1, "no request has waited for the disk");
        let data = noise(1_000_000);
        let mut client = server.connect("files");
        client.send("upload x 1000000\n").expect("OK\n");
        client.send(&data[..500_000]);
        assert!(server.threads() <= LOOP_AND_DISKS);
        client
            .send(&data[500_000..])
            .expect("OK File Berhasil Dibuat\n");
        client.send("download x\nls\n").expect("OK 1000000\n");
        assert!(server.threads() <= LOOP_AND_DISKS);
        client.expect(&data).expect("OK 2\nx\n");
        assert!((2..=LOOP_AND_DISKS).contains(&server.threads()));
    }
}

// ---- starting ----

/// Runs `loket serve` on free ports with these flags until it exits.
fn serve(root: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loket"));
    command.arg("serve").arg("--root").arg(root).args(flags);
    for service in TCP_SERVICES
        .iter()
        .map(|service| service.name)
        .chain(["room"])
    {
        if !flags.iter().any(|flag| flag.contains(service)) {
            command.arg(format!("--{service}=0"));
        }
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("loket starts");
    let mut ended = false;
    for _ in 0..10_000 {
        ended = child.try_wait().expect("our child").is_some();
        if ended {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
    if !ended {
        let _ = child.kill();
    }
    let output = child.wait_with_output().expect("our child");
    assert!(ended, "it starts in spite of {flags:?}");
    output
}

/// Checks for exit status 2, no standard output, and one message that contains these words.
fn does_not_start(root: &Path, flags: &[&str], words: &[&str]) -> String {
    let output = serve(root, flags);
    let message = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{flags:?}: {message}");
    assert_eq!(output.stdout, b"", "{flags:?}");
    for word in words {
        assert!(message.contains(word), "{flags:?}: no {word} in {message}");
    }
    message
}

#[test]
fn standard_output_names_every_service_and_then_says_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    let names = TCP_SERVICES.iter().map(|service| service.name);
    let mut child = Command::new(env!("CARGO_BIN_EXE_loket"))
        .args(["serve", "--echo=0", "--files=0", "--room=off"])
        .args(
            names
                .filter(|name| !["echo", "files"].contains(name))
                .map(|name| format!("--{name}=off")),
        )
        .arg("--root")
        .arg(&root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("loket starts");
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("piped")));
    let mut line = || lines.next().map(|line| line.expect("text"));
    let (echo, files, ready) = (line(), line(), line());
    let answered = echo.as_deref().and_then(|echo| {
        let address = echo.strip_prefix("echo listening on tcp 127.0.0.1:")?;
        std::net::TcpStream::connect(("127.0.0.1", address.parse().ok()?)).ok()
    });
    let made = root.is_dir();
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, Signal::TERM).expect("our child");
    let status = child.wait().expect("our child");
    assert!(answered.is_some() && made, "{echo:?}");
    let files = files.expect("a line");
    assert!(
        files.starts_with("files listening on tcp 127.0.0.1:"),
        "{files}"
    );
    assert_eq!(ready.as_deref(), Some("ready"));
    assert_eq!(line(), None);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_created() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = holder.local_addr().expect("bound").port().to_string();
    for flag in ["--echo", "--transfer", "--files"] {
        let service = flag.trim_start_matches('-');
        let words = [service, &port, "in use", flag];
        let message = does_not_start(&root, &[flag, &port], &words);
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    assert!(!root.exists());
}

#[test]
fn an_unusable_root_is_named_and_nothing_is_created() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "abc").expect("room");
    for root in [
        file.clone(),
        file.join("below"),
        folder.path().join("no/such"),
    ] {
        let name = root.to_str().expect("text");
        let message = does_not_start(&root, &[], &[name, "--root"]);
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    assert_eq!(std::fs::read(&file).expect("untouched"), b"abc");
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("a folder").count(),
        1
    );
}

#[test]
fn a_bad_flag_is_named_and_nothing_is_created() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    let names = TCP_SERVICES.iter().map(|service| service.name);
    let off: Vec<_> = names
        .chain(["room"])
        .map(|name| format!("--{name}=off"))
        .collect();
    let off: Vec<_> = off.iter().map(String::as_str).collect();
    for (flags, words) in [
        (&["--echo", "65536"][..], &["--echo", "65536"][..]),
        (&["--files", "http"], &["--files", "http"]),
        (&["--settle", "0"], &["--settle"]),
        (&["--host", "nowhere"], &["--host", "nowhere"]),
        (&["--max-connections", "0"], &["--max-connections"]),
        (&["--spin", "1001"], &["--spin <MICROS>", "0..=1000"]),
        (&["--max-file-size", "much"], &["--max-file-size", "much"]),
        (&["--colour", "red"], &["--colour"]),
        (&off[..], &["off"][..]),
    ] {
        does_not_start(&root, flags, words);
    }
    assert!(!root.exists());
}
