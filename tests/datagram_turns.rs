//! A turn of a datagram socket sends no more than its budget, however much is queued.

use loket::reactor::clock::Moment;
use loket::reactor::datagram::{DatagramLimits, Datagrams};
use loket::session::datagram::{DatagramContext, DatagramProtocol, Route};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::rc::Rc;

const LIMITS: DatagramLimits = DatagramLimits {
    receive_buffer: 1 << 20,
    length: 1_024,
    reads_per_turn: 64,
    copies_per_turn: 10,
    copies: 1_000,
    copies_high_water: 500,
    remembered: 8,
};

/// Sends every datagram back; the first byte is the number of copies.
struct Repeater;

impl DatagramProtocol for Repeater {
    fn on_datagram(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramContext<'_>) {
        let all: Rc<[Route]> = vec![from; usize::from(bytes[0])].into();
        cx.out.to_many(bytes, &all);
    }

    fn on_refused(&mut self, _: SocketAddr, _: &mut DatagramContext<'_>) {}
}

/// The number of datagrams in the receive buffer; loopback delivers within the sending call.
fn heard(socket: &UdpSocket) -> usize {
    std::iter::from_fn(|| socket.recv(&mut [0; 16]).ok()).count()
}

#[test]
fn a_turn_sends_no_more_than_its_budget() {
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let mut server = Datagrams::bind("test", any, Box::new(Repeater), LIMITS).expect("a port");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.connect(server.local_address()).expect("an address");
    socket.set_nonblocking(true).expect("an option");
    socket.send(&[25]).expect("sent");
    let mut turns = Vec::new();
    while server.has_turn() && turns.len() < 10 {
        server.turn(&mut Vec::new(), Moment(0));
        turns.push(heard(&socket));
    }
    assert_eq!(turns, [10, 10, 5]);
}

#[test]
fn a_reply_is_sent_in_the_turn_that_read_the_request() {
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let mut server = Datagrams::bind("test", any, Box::new(Repeater), LIMITS).expect("a port");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.connect(server.local_address()).expect("an address");
    socket.set_nonblocking(true).expect("an option");
    socket.send(&[1]).expect("sent");
    server.turn(&mut Vec::new(), Moment(0));
    assert_eq!(heard(&socket), 1);
    assert!(!server.has_turn(), "everything is read and sent");
}
