//! Sockets that a service manager hands over: which are used, and which are refused.

use crate::support;
use crate::support::python::{interpreter, python};
use crate::support::{PATIENCE, Prepared, ROOM_PASSWORD, skip};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

const HAND_OVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/supervised/hand_over.py");

/// A server that gets these sockets and has no flags for ports.
fn handed(sockets: &[&str], flags: &[&str]) -> Prepared {
    let above = [&[interpreter(), HAND_OVER][..], sockets, &["--"]].concat();
    let mut prepared = Prepared::without_ports(&above);
    prepared.command.args(flags);
    prepared
}

/// How a start ends that is refused.
fn refused(mut prepared: Prepared) -> Output {
    let root = prepared.folder().join("root");
    std::fs::remove_dir(&root).expect("an empty root");
    prepared.command.stderr(Stdio::piped());
    let ended = prepared.command.output().expect("it starts");
    assert!(!root.exists(), "nothing is opened before");
    ended
}

#[test]
fn services_use_the_sockets_that_are_handed_over_and_others_are_off() {
    if !python("services_use_the_sockets_that_are_handed_over_and_others_are_off") {
        return;
    }
    let sockets = ["room=udp", "http=tcp@0.0.0.0", "echo=tcp@::1"];
    let flags = ["--files=0", "--room-password", ROOM_PASSWORD];
    let server = handed(&sockets, &flags).launch();
    let mut services: Vec<&String> = server.services().collect();
    services.sort();
    assert_eq!(services, ["echo", "files", "http", "room"]);
    assert!(server.address("echo").is_ipv6());
    assert_eq!(server.ask("echo", "hello"), "hello");
    let http = SocketAddr::from(([127, 0, 0, 1], server.address("http").port()));
    let answer = support::Client::connect(http)
        .send("GET / HTTP/1.0\r\n\r\n")
        .text();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Other machines reach this socket, whatever `--host` is.
    assert!(server.made_token.is_some());
    let member = UdpSocket::bind("127.0.0.1:0").expect("a port");
    member.set_read_timeout(Some(PATIENCE)).expect("an option");
    member
        .send_to(b"PASSWORD sesame", server.address("room"))
        .expect("a datagram");
    assert!(member.recv(&mut [0; 100]).is_ok());
    for descriptor in 3..6 {
        let path = format!("/proc/{}/fdinfo/{descriptor}", server.id());
        let about = std::fs::read_to_string(path).expect("it is open");
        let flags = about.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.expect("flags").trim(), 8).expect("octal");
        assert_ne!(flags & 0o2_000_000, 0, "O_CLOEXEC of {descriptor}");
    }
}

#[test]
fn a_socket_that_no_service_can_use_is_refused_before_anything_is_opened() {
    if !python("a_socket_that_no_service_can_use_is_refused_before_anything_is_opened") {
        return;
    }
    for (sockets, flags, why) in [
        (&["echo=udp"][..], &[][..], "it is UDP, not TCP"),
        (&["room=tcp"], &[], "it is TCP, not UDP"),
        (&["files=unix"], &[], "a Unix stream socket"),
        (&["room=unix-udp"], &[], "a Unix datagram socket"),
        (&["talk=file"], &[], "neither a TCP nor a UDP socket"),
        (&["talk=none"], &[], "neither a TCP nor a UDP socket"),
        (&["http=tcp-silent"], &[], "it does not listen"),
        (&["room=udp-unbound"], &[], "bound to no port"),
        (
            &["echo=tcp", "loket.socket=tcp"],
            &[],
            "give echo, transfer",
        ),
        (
            &["echo=tcp", "=tcp"],
            &[],
            "LISTEN_FDS=2, but LISTEN_FDNAMES has 1",
        ),
        (
            &["http=tcp", "http=tcp@::1"],
            &[],
            "the service has one already",
        ),
        (&["http=tcp"], &["--http=8000"], "leave out --http"),
        (&["http=tcp"], &["--http=off"], "leave out --http"),
        (&[], &[], "all services are off"),
    ] {
        let ended = refused(handed(sockets, flags));
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(error.contains(why), "{sockets:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert_eq!(ended.status.code(), Some(2), "{sockets:?}");
    }
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    if !python("sockets_for_another_process_are_left_alone") {
        return;
    }
    let mut prepared = handed(&["echo=file"], &["--host=127.0.0.1", "--echo=0"]);
    for (name, port) in [
        ("transfer", "0"),
        ("files", "0"),
        ("talk", "0"),
        ("http", "0"),
    ] {
        prepared.command.arg(format!("--{name}={port}"));
    }
    prepared.command.args(["--room=off"]).env("LISTEN_PID", "1");
    let server = prepared.launch();
    assert_eq!(server.services().count(), 5);
}

#[test]
fn systemd_hands_over_a_port_that_it_listens_on() {
    let program = "systemd-socket-activate";
    if Command::new(program).arg("--version").output().is_err() {
        return skip("systemd_hands_over_a_port_that_it_listens_on", program);
    }
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let address = free.expect("a free port");
    let folder = support::rooted();
    let mut child = Command::new(program)
        .args(["--fdname=http", "--listen", &address.to_string()])
        .args([env!("CARGO_BIN_EXE_loket"), "serve", "--root"])
        .arg(folder.path().join("root"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    support::eventually("systemd listens", || {
        std::net::TcpStream::connect(address).is_ok()
    });
    let mut client = support::Client::connect(address);
    let answer = client.send("GET / HTTP/1.0\r\n\r\n").text();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    )
    .expect("it runs");
    let status = child.wait().expect("our child");
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    let mut announced = String::new();
    let mut output = child.stdout.take().expect("piped");
    output.read_to_string(&mut announced).expect("text");
    assert_eq!(
        announced,
        format!("http listening on tcp {address}\nready\n")
    );
}
