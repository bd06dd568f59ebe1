//! The echo service over real sockets: no byte is lost or reordered, and no client blocks another.

use crate::support::{Server, noise};
use std::io::Write;

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
fn pending_output_is_sent_after_the_peers_end_of_stream() {
    let server = Server::start(&[]);
    let message = noise(200_000);
    let mut client = server.connect("echo");
    let mut writer = client.0.try_clone().expect("a second handle");
    // The socket buffers of loopback hold the whole message.
    writer.write_all(&message).expect("taken");
    assert_eq!(client.finish().rest(), message);
}

#[test]
fn one_thread_serves_a_thousand_connections() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..1_000).map(|_| server.connect("echo")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("hello {number}"));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.expect(format!("hello {number}"));
    }
    assert_eq!(server.threads(), 1);
}
