//! A load run tries all addresses of a host name.

use crate::support::{ROOM_PASSWORD, Server, tree};
use clap::Parser;
use loket::cli::{Cli, CliCommand};
use loket::load::run::measure;
use loket::load::settings::Settings;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::thread;

fn settings(words: &[&str]) -> Settings {
    let common = ["loket", "load"];
    let words = [&common[..], words, &["-d", "1"]].concat();
    match Cli::parse_from(words).command {
        CliCommand::Load(options) => options.settings(),
        _ => unreachable!("`load` was asked for"),
    }
}

/// Addresses without a listener.
fn unused() -> [SocketAddr; 2] {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let udp = UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0"));
    let udp = udp.expect("a port");
    [
        tcp.local_addr().expect("an address"),
        udp.local_addr().expect("an address"),
    ]
}

#[test]
fn addresses_are_tried_until_one_has_the_server() {
    let server = Server::start(&[]);
    for (service, words) in [
        ("echo", &["echo", "-c", "300"][..]),
        ("echo", &["churn", "-c", "3"]),
        ("files", &["files", "-c", "3"]),
        ("transfer", &["transfer", "-c", "3"]),
        ("room", &["room", "-m", "3", "--password", ROOM_PASSWORD]),
    ] {
        let [one, other] = unused();
        let addresses = [one, other, server.address(service), one];
        let outcome = measure(settings(words), addresses.into()).expect(service);
        assert_eq!(outcome.status(), 0, "{service}: {}", outcome.table());
    }
    assert!(tree(&server.root()).values().all(Vec::is_empty));
}

#[test]
fn no_other_address_is_tried_after_a_room_has_answered() {
    let server = Server::start(&[]);
    let other = UdpSocket::bind("127.0.0.1:0").expect("a port");
    other.set_nonblocking(true).expect("an option");
    let addresses = [
        server.address("room"),
        other.local_addr().expect("an address"),
    ];
    let wrong = settings(&["room", "-m", "2", "--password", "wrong"]);
    let error = measure(wrong, addresses.into())
        .map(|_| ())
        .expect_err("a wrong password");
    assert!(
        error.to_string().contains("rejects this password"),
        "{error}"
    );
    assert!(other.recv(&mut [0]).is_err(), "nothing was sent there");
}

#[test]
fn an_address_without_answers_only_delays_the_run() {
    // A full accept queue drops new connections.
    let deaf = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let deaf = deaf.expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    deaf.bind(&any.into()).expect("a port");
    deaf.listen(0).expect("it listens");
    let address = deaf.local_addr().expect("an address");
    let address = address.as_socket().expect("an address");
    let _filler = std::net::TcpStream::connect(address).expect("the queue takes one");
    let server = Server::start(&[]);
    let mut hasty = settings(&["echo", "-c", "3"]);
    hasty.limits.prepare_micros = 300_000;
    let outcome = measure(hasty, [address, server.address("echo")].into()).expect("a run");
    assert_eq!(outcome.status(), 0, "{}", outcome.table());
}

#[test]
fn the_error_of_the_last_address_is_reported_when_all_fail() {
    for words in [&["echo"][..], &["room", "--password", "x"]] {
        let error = measure(settings(words), unused().into());
        let error = error.map(|_| ()).expect_err("no server").to_string();
        assert!(error.contains("is the server running there?"), "{error}");
    }
}

#[test]
fn a_closed_socket_that_another_process_has_for_a_moment_ends_no_run() {
    thread::scope(|scope| {
        scope.spawn(|| {
            // A process has all descriptors until it executes its program.
            for _ in 0..500 {
                Command::new("true").status().expect("it starts");
            }
        });
        for _ in 0..50 {
            let settings = settings(&["room", "--password", "x"]);
            let error = measure(settings, unused().into()).map(|_| ());
            let error = error.expect_err("no server").to_string();
            assert!(error.contains("is the server running there?"), "{error}");
        }
    });
}
