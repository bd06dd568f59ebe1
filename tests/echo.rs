//! The echo service over real sockets: nothing lost, nothing reordered, nobody waited for.
//! Bodies and names are another service's business.

mod support;

use std::io::{Read, Write};
use support::{PATIENCE, Server, eventually, noise};

#[test]
fn every_byte_comes_back_in_order() {
    let server = Server::start(&[]);
    let message = noise(3_000_000);
    let mut client = server.connect("echo");
    let mut writer = client.0.try_clone().expect("a second handle");
    let sent = message.clone();
    let sending = std::thread::spawn(move || writer.write_all(&sent).expect("taken"));
    client.expect(&message);
    sending.join().expect("sent");
}

#[test]
fn what_is_owed_is_flushed_after_the_peers_end_of_stream() {
    let server = Server::start(&[]);
    let message = noise(200_000);
    let mut client = server.connect("echo");
    let mut writer = client.0.try_clone().expect("a second handle");
    let sent = message.clone();
    let sending = std::thread::spawn(move || {
        writer.write_all(&sent).expect("taken");
        writer
            .shutdown(std::net::Shutdown::Write)
            .expect("a half-close");
    });
    sending
        .join()
        .expect("the buffers of loopback hold this much");
    assert_eq!(client.rest(), message);
}

#[test]
fn the_end_of_stream_in_one_packet_with_the_last_bytes_is_seen() {
    let server = Server::start(&[]);
    for _ in 0..50 {
        let mut client = server.connect("echo");
        client.send("last words").finish();
        assert_eq!(client.rest(), b"last words");
    }
}

#[test]
fn a_peer_that_never_reads_is_not_read_from() {
    let server = Server::start(&[]);
    let client = server.connect("echo");
    client.0.set_nonblocking(true).expect("an option");
    let piece = [7; 65_536];
    let mut taken = 0;
    let mut refused = 0;
    // The kernel's buffers on both sides fill up, then nothing more is taken.
    while refused < 100 {
        match (&client.0).write(&piece) {
            Ok(count) => {
                taken += count;
                refused = 0;
            }
            Err(_) => {
                refused += 1;
                std::thread::park_timeout(std::time::Duration::from_millis(2));
            }
        }
        assert!(taken < 100_000_000, "the server takes without end");
    }
    server
        .connect("echo")
        .send("others are served")
        .expect("others are served");
}

#[test]
fn one_thread_serves_a_thousand() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..1_000).map(|_| server.connect("echo")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("hello {number}"));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.expect(format!("hello {number}"));
    }
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.id()))
        .expect("alive")
        .count();
    assert_eq!(threads, 1);
}

#[test]
fn a_closed_connection_leaves_no_descriptor() {
    let server = Server::start(&[]);
    let before = server.descriptors();
    for _ in 0..100 {
        server.connect("echo").send("bye");
        server
            .connect("echo")
            .send("bye")
            .0
            .take_error()
            .expect("no error");
        server.connect("echo").reset();
    }
    eventually("all descriptors are closed", || {
        server.descriptors() == before
    });
}

#[test]
fn an_idle_connection_is_closed_after_its_deadline() {
    let server = Server::start(&["--idle-timeout", "1"]);
    let mut client = server.connect("echo");
    client.send("x").expect("x");
    client
        .0
        .set_read_timeout(Some(PATIENCE))
        .expect("an option");
    assert_eq!(
        client.0.read(&mut [0; 1]).expect("the end of the stream"),
        0
    );
}
