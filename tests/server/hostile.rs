//! Many inactive peers, or many at once, use bounded memory and do not stop the service.

use crate::support;
use crate::support::{BOTH_WAYS, CREATED, Client, NO_FILE, PATIENCE, Server, eventually, skip};
use loket::config::UNSENT_BYTES;
use loket::config::store::STORE;
use rustix::process::Signal;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Instant;

const TOO_MANY: &str = "ERROR too many connections from your address; close one first\n";
const MIB: u64 = 1 << 20;

/// Sends until the socket accepts no more, without reading the answers.
fn flood(client: &Client) {
    client.0.set_nonblocking(true).expect("an option");
    let piece = vec![b'x'; 64 << 10];
    let mut sent = 0;
    while sent < 16 * MIB {
        match (&client.0).write(&piece) {
            Ok(count) => sent += count as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Connections of a service that the kernel still has, open in the server or not.
fn kernel_connections(address: SocketAddr) -> usize {
    let here = format!(":{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let rows = table.lines().skip(1);
    rows.filter(|row| {
        let mut fields = row.split_whitespace();
        let is_here = fields.nth(1).is_some_and(|local| local.ends_with(&here));
        // Established, or closed on either side with data left to send.
        is_here && matches!(fields.nth(1), Some("01" | "04" | "08" | "09" | "0B"))
    })
    .count()
}

fn is_served(server: &Server) {
    server.connect("echo").send("hello").expect("hello");
    let mut files = server.connect("files");
    files.send("size big\n").expect("OK 2147483648 ");
    let mut transfer = server.connect("transfer");
    transfer
        .send("RECEIVE\nsmall\n")
        .expect("OK\nsmall<SEPARATOR>3\n\0\0\0");
}

#[test]
fn inactive_peers_use_bounded_memory_and_are_closed() {
    for way in BOTH_WAYS {
        let flags = [way, &["--idle-timeout", "2"]].concat();
        let server = Server::start(&flags);
        server.sparse("big", 2 << 30);
        server.sparse("small", 3);
        is_served(&server);
        eventually("the first connections are closed", || {
            server.descriptors() < 25
        });
        let (descriptors, before) = (server.descriptors(), server.memory());
        let mut peers = Vec::new();
        for _ in 0..60 {
            let mut reader = server.connect("files");
            reader.send("download big\n");
            let mut receiver = server.connect("transfer");
            receiver.send("RECEIVE\nbig\n");
            let mut files = server.connect("files");
            files.send("x");
            let mut transfer = server.connect("transfer");
            transfer.send("S");
            peers.extend([reader, receiver, files, transfer]);
        }
        for _ in 0..20 {
            let flooding = server.connect("echo");
            flood(&flooding);
            peers.push(flooding);
        }
        let mut talking: Vec<Client> = (0..20).map(|_| server.connect("talk")).collect();
        for client in &mut talking {
            client.send("x");
        }
        is_served(&server);
        let grown = server.memory().saturating_sub(before);
        assert!(
            grown < 40 * MIB as usize,
            "{grown} bytes for {} peers",
            peers.len()
        );
        // Talk has no idle deadline.
        eventually("they are closed", || {
            server.descriptors() <= descriptors + talking.len()
        });
        for service in ["echo", "files", "transfer"] {
            eventually("the kernel has no data for them either", || {
                kernel_connections(server.address(service)) == 0
            });
        }
        is_served(&server);
        server.rests(500);
        let mut client = talking.pop().expect("one of them");
        client.finish().rest();
        is_served(&server);
    }
}

#[test]
fn the_kernel_discards_data_that_closed_peers_do_not_read() {
    // Each way to close while only the kernel still holds data.
    let endings: [(&str, &str, bool); 5] = [
        ("files", "download some\nbyebye\n", false),
        ("files", "download some\nnonsense\n", false),
        ("files", "download some\n", true),
        ("transfer", "RECEIVE\nsome\n", true),
        ("transfer", "RECEIVE\nsome\nnonsense\n", false),
    ];
    let server = Server::start(&[]);
    server.sparse("some", u64::from(UNSENT_BYTES));
    let before = server.descriptors();
    let mut peers: Vec<Client> = Vec::new();
    for (service, words, finish) in endings.repeat(3) {
        let mut peer = server.connect(service);
        peer.send(words);
        if finish {
            peer.finish();
        }
        peers.push(peer);
    }
    let services = || ["files", "transfer"].map(|service| server.address(service));
    eventually("their data is in the kernel", || {
        services()
            .into_iter()
            .any(|address| kernel_connections(address) > 0)
    });
    eventually("the server has closed them", || {
        server.descriptors() <= before
    });
    eventually("the kernel has no data for them", || {
        services()
            .into_iter()
            .all(|address| kernel_connections(address) == 0)
    });
}

/// A client at another address of this machine.
fn from(address: Ipv4Addr, to: SocketAddr) -> Option<Client> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::from((address, 0)).into()).ok()?;
    socket.connect_timeout(&to.into(), PATIENCE).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    Some(Client(stream))
}

#[test]
fn one_address_gets_no_more_than_its_share() {
    const NAME: &str = "one_address_gets_no_more_than_its_share";
    let server = Server::start(&["--max-per-address", "3"]);
    let neighbour = Ipv4Addr::new(127, 0, 0, 2);
    if from(neighbour, server.address("echo")).is_none() {
        return skip(NAME, "this machine has no 127.0.0.2");
    }
    let mut echo = server.connect("echo");
    echo.send("first").expect("first");
    let mut files = server.connect("files");
    files.send("ls\n").expect("OK 0\n");
    let mut transfer = server.connect("transfer");
    transfer.send("SEND\n").expect("OK\n");
    for _ in 0..5 {
        for service in ["files", "transfer", "talk"] {
            let told = server.connect(service).rest();
            assert_eq!(String::from_utf8_lossy(&told), TOO_MANY, "{service}");
        }
        assert_eq!(server.connect("echo").rest(), b"", "echo sends no refusal");
    }
    let other = |service: &str| from(neighbour, server.address(service)).expect("a connection");
    let mut theirs: Vec<Client> = (0..3).map(|_| other("files")).collect();
    for client in &mut theirs {
        client.send("ls\n").expect("OK 0\n");
    }
    assert_eq!(other("files").rest(), TOO_MANY.as_bytes());
    files.send("ls\n").expect("OK 0\n");
    echo.finish().rest();
    // The place is free once the server has seen the end of the stream.
    eventually("another connection is accepted", || {
        let mut next = server.connect("files");
        next.send("ls\n");
        let mut answer = [0; 5];
        matches!(next.0.read_exact(&mut answer), Ok(())) && &answer == b"OK 0\n"
    });
    let told = server.log().matches("rejected: ").count();
    assert!(told <= 3, "{told} lines in the log");
}

#[test]
fn aborted_uploads_use_few_descriptors_and_delay_no_commit() {
    const NAME: &str = "aborted_uploads_use_few_descriptors_and_delay_no_commit";
    let mut server = Server::start(&[]);
    let before = server.descriptors();
    let addresses = ["files", "transfer"].map(|service| server.address(service));
    let attack = |attacker: usize| {
        for number in 0..1_500 {
            let name = format!("{attacker}-{}", number % 50);
            let (to, text) = match number % 7 {
                0 => (addresses[0], format!("rm {name}\n")),
                1 => {
                    let head = format!("SEND\n{name}\n{name}<SEPARATOR>5\n");
                    (addresses[1], head + "hello")
                }
                _ => (addresses[0], format!("upload {name} 5\nhello")),
            };
            let Some(mut client) = from(Ipv4Addr::new(127, 0, 0, 2), to) else {
                return skip(NAME, "no second address");
            };
            // The server may have closed it already.
            let _ = client.0.write_all(text.as_bytes());
            client.reset();
        }
    };
    let mut most = 0;
    std::thread::scope(|scope| {
        let attackers = [0, 1, 2, 3].map(|attacker| scope.spawn(move || attack(attacker)));
        while !attackers.iter().all(|attacker| attacker.is_finished()) {
            most = most.max(server.descriptors().saturating_sub(before));
            std::thread::yield_now();
        }
        // A slow disk may refuse it as long as the uploads before it wait.
        eventually("another upload is stored", || {
            let answer = server.ask("files", "upload other 5\nhello");
            assert!(
                answer == CREATED || answer.starts_with("ERROR the disk does not answer"),
                "{answer}"
            );
            answer == CREATED
        });
    });
    let allowed = STORE.backlog.network + 200;
    assert!(most < allowed, "{most} descriptors more than before");
    eventually("all is closed", || server.descriptors() <= before + 2);
    server.kill();
    for (path, content) in support::tree(&server.root()) {
        assert_eq!(content, b"hello", "{}", path.display());
    }
}

#[test]
fn a_freed_place_goes_to_a_waiting_client() {
    for limit in [1, 2, 8, 100] {
        let server = Server::start(&["--max-connections", &limit.to_string()]);
        let silent: Vec<Client> = (1..limit).map(|_| server.connect("talk")).collect();
        let mut last = server.connect("echo");
        last.send("inside").expect("inside");
        for service in ["echo", "files", "echo", "transfer"] {
            let mut next = server.connect(service);
            let (command, answer) = match service {
                "echo" => ("hello", "hello"),
                "files" => ("size none\n", NO_FILE),
                _ => ("SEND\n", "OK\n"),
            };
            next.send(command);
            last.finish().rest();
            next.expect(answer);
            last = next;
        }
        drop(silent);
    }
}

#[test]
fn a_freed_place_goes_to_another_service_than_the_last_one() {
    let server = Server::start(&["--max-connections", "1"]);
    let mut last = server.connect("echo");
    last.send("inside").expect("inside");
    let mut echoes: Vec<Client> = (0..3).map(|_| server.connect("echo")).collect();
    for echo in &mut echoes {
        echo.send("hello");
    }
    for service in ["files", "transfer"] {
        let mut next = server.connect(service);
        next.send("size none\n");
        last.finish().rest();
        // An echo client accepted before it would keep the place.
        next.expect("ERROR");
        next.finish().rest();
        last = echoes.remove(0);
        last.expect("hello");
    }
}

#[test]
fn sixty_four_descriptors_serve_five_hundred_clients() {
    const CLIENTS: usize = 500;
    let limited = ["prlimit", "--nofile=64:64"];
    let folder = support::rooted();
    let begin = Instant::now();
    let server = Server::start_under(&limited, folder, &[]);
    server.sparse("small", 3);
    // The idle connections use all descriptors.
    let idle: Vec<Client> = (0..64).map(|_| server.connect("echo")).collect();
    eventually("the lack of descriptors is logged", || {
        server.log().contains("clients wait")
    });
    let waiting: Vec<Client> = (0..CLIENTS)
        .map(|number| {
            let service = ["echo", "files", "transfer"][number % 3];
            let mut client = server.connect(service);
            client.send(match service {
                "echo" => "hello",
                "files" => "download small\n",
                _ => "RECEIVE\nsmall\n",
            });
            client.finish();
            client
        })
        .collect();
    server.rests(1_000);
    drop(idle);
    for (number, mut client) in waiting.into_iter().enumerate() {
        let wanted: &[u8] = match number % 3 {
            0 => b"hello",
            1 => b"OK 3\n\0\0\0",
            _ => b"OK\nsmall<SEPARATOR>3\n\0\0\0",
        };
        assert_eq!(client.rest(), wanted, "client {number}");
    }
    let told = server.log().matches("clients wait").count() as u64;
    let seconds = begin.elapsed().as_secs() + 1;
    assert!(told <= seconds, "{told} lines in {seconds} s");
}

#[test]
fn a_stopped_server_continues_after_sigcont() {
    // As after a suspend or in a debugger, time jumps: no deadline may expire for it.
    let server = Server::start(&["--idle-timeout", "60"]);
    let mut clients: Vec<Client> = (0..10).map(|_| server.connect("files")).collect();
    for client in &mut clients {
        client.send("upload new 6\nhal");
    }
    server.signal(Signal::STOP);
    for client in &mut clients {
        client.send("f-b");
    }
    server.signal(Signal::CONT);
    for client in &mut clients {
        client.expect(CREATED);
    }
    let stored = server.got("new");
    assert_eq!(stored, b"half-b");
}
