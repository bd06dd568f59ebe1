//! A crowd in the room hears everything, and whoever attacks it from outside changes nothing.
//! The words of the protocol are tested elsewhere.

mod support;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use support::{PATIENCE, ROOM_PASSWORD, Server};

const MEMBERS: usize = 1000;

/// Five messages a second.
const PACE: Duration = Duration::from_millis(200);

fn socket(server: &Server, host: u8) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).expect("loopback");
    socket.connect(server.address("room")).expect("an address");
    socket.set_read_timeout(Some(PATIENCE)).expect("an option");
    socket
}

fn hear(socket: &UdpSocket) -> String {
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).expect("a datagram");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn send(socket: &UdpSocket, bytes: &[u8]) {
    assert_eq!(socket.send(bytes).expect("sent"), bytes.len());
}

fn enter(server: &Server, host: u8, name: &str) -> UdpSocket {
    let socket = socket(server, host);
    send(&socket, format!("PASSWORD {ROOM_PASSWORD}").as_bytes());
    assert_eq!(hear(&socket), "PASSWORD OK");
    send(&socket, format!("USERNAME {name}").as_bytes());
    assert_eq!(hear(&socket), "USERNAME OK");
    assert_eq!(hear(&socket), format!("{name} bergabung ke chatroom."));
    socket
}

fn memory(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id()));
    let status = status.expect("alive");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let size = line.and_then(|line| line.split_whitespace().nth(1));
    size.expect("a size").parse::<usize>().expect("a number")
}

/// A member talks to itself in the room: what it says comes back, and nothing else does. The
/// kernel may lose datagrams in a flood: it says so again, as every client of the room does.
fn is_calm(member: &UdpSocket, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = [0; 2048];
    let short = Duration::from_millis(200);
    member.set_read_timeout(Some(short)).expect("an option");
    while Instant::now() < deadline {
        send(member, what.as_bytes());
        if let Ok(length) = member.recv(&mut buffer) {
            assert_eq!(
                String::from_utf8_lossy(&buffer[..length]),
                format!("calm: {what}")
            );
            return;
        }
    }
    panic!("{what} never comes back");
}

#[test]
fn a_thousand_members_hear_every_message_in_order() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit
        .current
        .is_some_and(|most| most < MEMBERS as u64 + 100)
    {
        eprintln!("SKIPPED a_thousand_members_hear_every_message_in_order: too few descriptors");
        return;
    }
    let server = Server::start(&["--room-per-address", "1000"]);
    let mut crowd: Vec<UdpSocket> = Vec::new();
    for number in 0..MEMBERS {
        let name = format!("n{number}");
        crowd.push(enter(&server, 1, &name));
        // Everybody keeps up with those who come: a socket holds a few hundred notices.
        let coming = format!("{name} bergabung ke chatroom.");
        for member in &crowd[..number] {
            assert_eq!(hear(member), coming);
        }
    }
    let mut next = Instant::now();
    for number in 0..10 {
        std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
        next += PACE;
        for speaker in [3, 700] {
            send(&crowd[speaker], format!("message {number}").as_bytes());
        }
        for member in &crowd {
            let mut heard = [hear(member), hear(member)];
            heard.sort();
            let wanted = ["n3", "n700"].map(|name| format!("{name}: message {number}"));
            assert_eq!(heard, wanted);
        }
    }
    assert!(!server.log().contains("dropped"), "{}", server.log());
}

#[test]
fn garbage_of_any_length_changes_nothing() {
    let server = Server::start(&[]);
    let calm = enter(&server, 2, "calm");
    let before = memory(&server);
    let attacker = socket(&server, 3);
    let noise = support::noise(65_507);
    for number in 0..500 {
        send(&attacker, &noise[..number * 65_507 / 499]);
        if number % 20 == 0 {
            is_calm(&calm, &format!("after {number}"));
            // Within the rate.
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
    is_calm(&calm, "after garbage");
    assert!(
        memory(&server) < before + 8 * 1024,
        "{before} {}",
        memory(&server)
    );
}

#[test]
fn floods_and_forged_names_change_nothing() {
    let server = Server::start(&[]);
    let calm = enter(&server, 2, "calm");
    let before = memory(&server);
    let attacker = socket(&server, 3);
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
        send(&attacker, words[number % words.len()].as_bytes());
    }
    for number in 0..20 {
        is_calm(&calm, &format!("after {number}"));
    }
    assert!(
        memory(&server) < before + 8 * 1024,
        "{before} {}",
        memory(&server)
    );
}

#[test]
fn a_member_that_floods_is_heard_at_its_rate_and_stops_nobody() {
    let server = Server::start(&["--room-rate", "1"]);
    let flood = enter(&server, 3, "flood");
    let other = enter(&server, 2, "other");
    for _ in 0..20_000 {
        send(&flood, b"flood");
    }
    let (mut heard, mut buffer) = (0, [0; 2048]);
    let short = Duration::from_millis(200);
    other.set_read_timeout(Some(short)).expect("an option");
    loop {
        send(&other, b"hello");
        let length = other.recv(&mut buffer).unwrap_or(0);
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
fn ten_thousand_ports_trying_passwords_change_nothing() {
    let server = Server::start(&[]);
    let calm = enter(&server, 2, "calm");
    let to: SocketAddr = server.address("room");
    let before = memory(&server);
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
    assert!(
        memory(&server) < before + 8 * 1024,
        "{before} {}",
        memory(&server)
    );
    let told = server.log().matches("tried too many passwords").count();
    assert!((1..=10).contains(&told), "{told}");
}
