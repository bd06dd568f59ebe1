//! A crowd in the room hears everything, and whoever attacks it from outside changes nothing.

mod support;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use support::guest::{Guest, host};
use support::{PATIENCE, Server};

const MEMBERS: usize = 1000;

/// Five messages a second.
const PACE: Duration = Duration::from_millis(200);

fn enter(server: &Server, last: u8, name: &str) -> Guest {
    let guest = Guest::from(server, host(last));
    guest.enter(name);
    guest
}

/// Nothing of what came has cost memory that stays.
#[track_caller]
fn has_grown_little(server: &Server, before: usize) {
    let after = server.memory();
    assert!(after < before + (8 << 20), "{before} {after}");
}

/// A member talks to itself in the room: what it says comes back, and nothing else does. The
/// kernel may lose datagrams in a flood: it says so again, as every client of the room does.
fn is_calm(member: &Guest, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    let short = Duration::from_millis(200);
    member.0.set_read_timeout(Some(short)).expect("an option");
    let mut buffer = [0; 2048];
    while Instant::now() < deadline {
        if let Ok(length) = member.send(what).0.recv(&mut buffer) {
            let heard = String::from_utf8_lossy(&buffer[..length]);
            return assert_eq!(heard, format!("calm: {what}"));
        }
    }
    panic!("{what} never comes back");
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
        // Everybody keeps up with those who come: a socket holds a few hundred notices.
        let coming = format!("{name} bergabung ke chatroom.");
        for member in &crowd[..number] {
            member.hears(&coming);
        }
    }
    let mut next = Instant::now();
    for number in 0..10 {
        std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
        next += PACE;
        for speaker in [3, 700] {
            crowd[speaker].send(format!("message {number}"));
        }
        for member in &crowd {
            let mut heard = [member.message(), member.message()];
            heard.sort();
            let wanted = ["n3", "n700"].map(|name| format!("{name}: message {number}"));
            assert_eq!(heard, wanted);
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
            is_calm(&calm, &format!("after {number}"));
            // Within the rate.
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
    is_calm(&calm, "after garbage");
    has_grown_little(&server, before);
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
        // It never reads: what it is answered is the kernel's to drop.
        attacker.send(words[number % words.len()]);
    }
    for number in 0..20 {
        is_calm(&calm, &format!("after {number}"));
    }
    has_grown_little(&server, before);
}

#[test]
fn a_flood_of_a_member_is_relayed_at_its_rate_and_blocks_no_client() {
    let server = Server::start(&["--room-rate", "1"]);
    let flood = enter(&server, 3, "flood");
    let other = enter(&server, 2, "other");
    for _ in 0..20_000 {
        flood.send("flood");
    }
    let (mut heard, mut buffer) = (0, [0; 2048]);
    let short = Duration::from_millis(200);
    other.0.set_read_timeout(Some(short)).expect("an option");
    loop {
        other.send("hello");
        let length = other.0.recv(&mut buffer).unwrap_or(0);
        if &buffer[..length] == b"other: hello" {
            break;
        }
        heard += usize::from(&buffer[..length] == b"flood: flood");
        assert!(heard < 30, "the flood is heard");
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
        // Open at once, so that each has a port of its own.
        let ports: Vec<UdpSocket> = (0..1000)
            .map(|_| UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 4 + round), 0)).expect("a port"))
            .collect();
        for port in &ports {
            port.send_to(b"PASSWORD guess", to).expect("sent");
        }
    }
    is_calm(&calm, "still here");
    has_grown_little(&server, before);
    let told = server.log().matches("tried too many passwords").count();
    assert!((1..=10).contains(&told), "{told}");
}
