//! Many members receive every message, and floods and guesses from outside have no effect.

use crate::support;
use crate::support::guest::{Guest, host};
use crate::support::{PATIENCE, Server};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const MEMBERS: usize = 1000;

/// Five rounds of messages a second.
const INTERVAL: Duration = Duration::from_millis(200);

fn enter(server: &Server, last: u8, name: &str) -> Guest {
    let guest = Guest::from(server, host(last));
    guest.enter(name);
    guest
}

/// Expects that the server has not kept memory for what it received.
#[track_caller]
fn expect_little_growth(server: &Server, before: usize) {
    let after = server.memory();
    assert!(after < before + (8 << 20), "{before} {after}");
}

/// Expects that the member `calm` receives the copy of its own message and nothing else. In a flood
/// the kernel may drop a datagram, so the message is sent again after a timeout.
fn expect_own_copy(member: &Guest, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    let short = Duration::from_millis(200);
    member.0.set_read_timeout(Some(short)).expect("an option");
    let mut buffer = [0; 2048];
    while Instant::now() < deadline {
        if let Ok(length) = member.send(what).0.recv(&mut buffer) {
            let received = String::from_utf8_lossy(&buffer[..length]);
            return assert_eq!(received, format!("calm: {what}"));
        }
    }
    panic!("{what} is never relayed");
}

#[test]
fn a_thousand_members_receive_every_message_in_order() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit
        .current
        .is_some_and(|most| most < MEMBERS as u64 + 100)
    {
        support::skip(
            "a_thousand_members_receive_every_message_in_order",
            "too few descriptors",
        );
        return;
    }
    let server = Server::start(&["--room-per-address", "1000"]);
    let mut crowd: Vec<Guest> = Vec::new();
    for number in 0..MEMBERS {
        let name = format!("n{number}");
        crowd.push(enter(&server, 1, &name));
        // Each member reads the notices at once: a socket buffer holds a few hundred.
        let notice = format!("{name} bergabung ke chatroom.");
        for member in &crowd[..number] {
            member.expect(&notice);
        }
    }
    let mut next = Instant::now();
    for number in 0..10 {
        std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
        next += INTERVAL;
        for speaker in [3, 700] {
            crowd[speaker].send(format!("message {number}"));
        }
        for member in &crowd {
            let mut messages = [member.message(), member.message()];
            messages.sort();
            let wanted = ["n3", "n700"].map(|name| format!("{name}: message {number}"));
            assert_eq!(messages, wanted);
        }
    }
    assert!(!server.log().contains("dropped"), "{}", server.log());
}

#[test]
fn garbage_of_any_length_has_no_effect() {
    let server = Server::start(&[]);
    let calm = enter(&server, 2, "calm");
    let before = server.memory();
    let attacker = Guest::from(&server, host(3));
    let noise = support::noise(65_507);
    for number in 0..500 {
        attacker.send(&noise[..number * 65_507 / 499]);
        if number % 20 == 0 {
            expect_own_copy(&calm, &format!("after {number}"));
            // Stays within the rate limit.
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
    expect_own_copy(&calm, "after garbage");
    expect_little_growth(&server, before);
}

#[test]
fn floods_and_forged_names_have_no_effect() {
    let server = Server::start(&[]);
    let calm = enter(&server, 2, "calm");
    let before = server.memory();
    let attacker = Guest::from(&server, host(3));
    let words = [
        "calm: hello",
        "USERNAME calm",
        "USERNAME other",
        "exit",
        "PASSWORD ",
        "hello",
    ];
    for number in 0..30_000 {
        // It never reads: the kernel drops the answers.
        attacker.send(words[number % words.len()]);
    }
    for number in 0..20 {
        expect_own_copy(&calm, &format!("after {number}"));
    }
    expect_little_growth(&server, before);
}

#[test]
fn a_flood_of_a_member_is_relayed_at_its_rate_and_blocks_no_client() {
    let server = Server::start(&["--room-rate", "1"]);
    let flood = enter(&server, 3, "flood");
    let other = enter(&server, 2, "other");
    for _ in 0..20_000 {
        flood.send("flood");
    }
    let (mut relayed, mut buffer) = (0, [0; 2048]);
    let short = Duration::from_millis(200);
    other.0.set_read_timeout(Some(short)).expect("an option");
    loop {
        other.send("hello");
        let length = other.0.recv(&mut buffer).unwrap_or(0);
        if &buffer[..length] == b"other: hello" {
            break;
        }
        relayed += usize::from(&buffer[..length] == b"flood: flood");
        assert!(relayed < 30, "the flood is relayed");
    }
    let mut echo = server.connect("echo");
    echo.send("beside").expect("beside");
}

#[test]
fn password_guesses_from_ten_thousand_ports_have_no_effect() {
    let server = Server::start(&[]);
    let calm = enter(&server, 2, "calm");
    let to: SocketAddr = server.address("room");
    let before = server.memory();
    for round in 0..10 {
        // All are open at the same time, so that each has its own port.
        let ports: Vec<UdpSocket> = (0..1000)
            .map(|_| UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 4 + round), 0)).expect("a port"))
            .collect();
        for port in &ports {
            port.send_to(b"PASSWORD guess", to).expect("sent");
        }
    }
    expect_own_copy(&calm, "still here");
    expect_little_growth(&server, before);
    let blocked = server
        .log()
        .matches("sent too many wrong passwords")
        .count();
    assert!((1..=10).contains(&blocked), "{blocked}");
}
