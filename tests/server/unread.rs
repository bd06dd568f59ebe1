//! Clients that send and never read use little memory, which is freed when they disconnect.

use crate::support::{BOTH_WAYS, CREATED, Client, Server, eventually};
use loket::config::reactor::{OUTBOX_HIGH_WATER, REACTOR};
use loket::config::store::SMALL_BODY;
use loket::config::{ECHO_RECEIVE, UNSENT_BYTES};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::time::Duration;

const PEERS: usize = 200;
const MIB: usize = 1 << 20;

/// A service and the command that is sent to it repeatedly.
const STREAMS: [(&str, &str); 5] = [
    ("echo", "all of this comes back\n"),
    ("files", "download short\n"),
    ("files", "download long\n"),
    ("files", "ls\n"),
    ("transfer", "RECEIVE\nshort\n"),
];

fn start(way: &[&str]) -> Server {
    let server = Server::start(way);
    for (name, bytes) in [("short", SMALL_BODY), ("long", 8 * MIB)] {
        server.sparse(name, bytes as u64);
    }
    for number in 0..200 {
        let name = format!("{number:0200}");
        server.put(name, "");
    }
    server
}

/// Sends whole commands without reading until the sockets accept no more.
fn flood(peers: &[Client], command: &str) {
    let commands = command.repeat(REACTOR.read_buffer / command.len());
    let mut sent = vec![0; peers.len()];
    for peer in peers {
        peer.0.set_nonblocking(true).expect("an option");
    }
    let mut quiet = 0;
    while quiet < 5 {
        let before: usize = sent.iter().sum();
        for (peer, sent) in peers.iter().zip(&mut sent) {
            let rest = &commands.as_bytes()[*sent % commands.len()..];
            match (&peer.0).write(rest) {
                Ok(count) => *sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
        let moved = sent.iter().sum::<usize>() > before;
        quiet = if moved { 0 } else { quiet + 1 };
        if !moved {
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

/// The fullest kernel buffers of a service's connections: bytes not sent or not acknowledged, and
/// bytes that the server has not read.
fn queues(address: SocketAddr) -> (usize, usize) {
    let here = format!(":{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let mut most = (0, 0);
    for row in table.lines().skip(1) {
        let fields: Vec<&str> = row.split_whitespace().collect();
        if fields[1].ends_with(&here) && fields[3] == "01" {
            let (out, into) = fields[4].split_once(':').expect("two queues");
            let bytes = |text| usize::from_str_radix(text, 16).expect("a number");
            most = (most.0.max(bytes(out)), most.1.max(bytes(into)));
        }
    }
    most
}

#[test]
fn clients_that_do_not_read_use_little_memory_and_release_it() {
    for way in BOTH_WAYS {
        let server = start(way);
        let before = server.memory();
        for (service, command) in STREAMS {
            let mut peers: Vec<Client> = Vec::new();
            let mut echo = None;
            for number in 0..PEERS {
                peers.push(server.connect(service));
                if number == PEERS / 2 {
                    flood(&peers, command);
                    echo = Some(server.connect("echo"));
                }
            }
            flood(&peers, command);
            let each = server.memory().saturating_sub(before) / PEERS;
            let allowed = match service {
                "echo" => REACTOR.read_buffer + 8192,
                _ => REACTOR.command_read + OUTBOX_HIGH_WATER + SMALL_BODY + 8192,
            };
            assert!(each < allowed, "{each} bytes for each {command:?}");
            let mut echo = echo.expect("connected in the middle");
            echo.send("still here").expect("still here");
            drop(peers);
            eventually("their memory is freed", || {
                server.memory() < before + 3 * MIB
            });
        }
    }
}

#[test]
fn the_kernel_buffers_little_for_clients_that_do_not_read() {
    for way in BOTH_WAYS {
        let server = start(way);
        for (service, command) in STREAMS {
            let peers: Vec<Client> = (0..4).map(|_| server.connect(service)).collect();
            flood(&peers, command);
            let (unsent, unread) = queues(server.address(service));
            assert!(unread > 0, "{command:?} is still read");
            assert!(unread <= ECHO_RECEIVE, "{unread} bytes of {command:?}");
            // One more write may be in the buffer.
            let allowed = UNSENT_BYTES as usize + REACTOR.read_buffer;
            assert!(unsent <= allowed, "{unsent} bytes after {command:?}");
        }
    }
}

#[test]
fn a_client_that_reads_late_gets_every_answer() {
    let server = start(&[]);
    let mut peer = server.connect("files");
    peer.send(format!("upload new {MIB}\n"));
    peer.send(vec![b'x'; MIB]);
    peer.expect(CREATED);
    let commands = "download long\nsize short\n".repeat(4);
    peer.send(commands);
    let unread = || queues(server.address("files")).0 > 0;
    eventually("the answers are not read", unread);
    let size = 2 * MIB;
    let mut sender = Client(peer.0.try_clone().expect("a descriptor"));
    let upload = std::thread::spawn(move || {
        sender.send(format!("upload newer {size}\n"));
        sender.send(vec![b'y'; size]);
    });
    for _ in 0..4 {
        peer.expect(format!("OK {}\n", 8 * MIB));
        peer.expect(vec![0; 8 * MIB]);
        peer.expect("OK 16384 0.02 MB\n");
    }
    peer.expect(CREATED);
    upload.join().expect("all was sent");
    let stored = server.got("newer");
    assert!(stored == vec![b'y'; size]);
}
