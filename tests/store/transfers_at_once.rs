//! The limit of descriptors: every connection may transfer, or the start says how many may.

use crate::support::{CREATED, Client, Prepared, Server, eventually, rooted};
use loket::server::TCP_SERVICES;

/// Leaves 200 descriptors beside the reserve: 100 connections with a file each.
const LIMITED: [&str; 2] = ["prlimit", "--nofile=400:400"];
const CONNECTIONS: usize = 100;

/// More than the buffers of a connection hold.
const LARGE: u64 = 50 << 20;

#[test]
fn every_connection_that_is_accepted_may_transfer() {
    let server = Server::start_under(&LIMITED, rooted(), &[]);
    server.sparse("large", LARGE);
    let begun = |number: usize| -> Client {
        let mut client = server.connect("files");
        match number % 2 {
            0 => client.send("download large\n").expect("OK 52428800\n"),
            _ => client.send(format!("upload {number} 2\na")),
        };
        client
    };
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(begun).collect();
    eventually("the limit of connections is logged", || {
        server.log().contains("the limit of connections is reached")
    });
    let mut next = server.connect("files");
    next.send("download large\n");
    // All uploads were accepted: each is stored as soon as its last byte arrives.
    for upload in clients.iter_mut().skip(1).step_by(2) {
        upload.send("b").expect(CREATED);
    }
    drop(clients.pop());
    next.expect("OK 52428800\n");
}

#[test]
fn the_start_says_how_many_of_the_connections_may_transfer_at_once() {
    let said =
        "150 connections at once, of which 50 may transfer: the limit is 400 open descriptors";
    let server = Server::start_under(&LIMITED, rooted(), &["--max-connections", "150"]);
    eventually("the number is logged", || server.log().contains(said));
    assert!(server.log().contains("--max-connections to 100 or less"));
    let server = Server::start_under(&LIMITED, rooted(), &["--max-connections", "100"]);
    server.settle();
    assert!(!server.log().contains("may transfer"));
}

/// A connection of every service that reads or writes files needs two descriptors, also if it is
/// the only service.
#[test]
fn a_service_alone_counts_the_descriptors_of_its_files() {
    for (service, transfers) in [
        ("http", true),
        ("files", true),
        ("transfer", true),
        ("echo", false),
        ("talk", false),
    ] {
        let mut prepared = Prepared::without_ports(&LIMITED);
        prepared
            .command
            .args(["--max-connections", "150", "--room", "off"]);
        for row in TCP_SERVICES {
            let port = if row.name == service { "0" } else { "off" };
            prepared.command.arg(format!("--{}={port}", row.name));
        }
        let mut server = prepared.launch();
        server.signal(rustix::process::Signal::TERM);
        server.wait();
        let said = server.log().contains("of which 50 may transfer");
        assert_eq!(said, transfers, "{service}: {}", server.log());
    }
}
