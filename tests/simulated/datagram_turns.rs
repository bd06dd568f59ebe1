//! A turn of a datagram socket sends no more than its budget, however much is queued.

use loket::reactor::clock::Moment;
use loket::reactor::datagram::{DatagramLimits, Datagrams};
use loket::session::datagram::{DatagramContext, DatagramProtocol, Route};
use loket::session::notice::{Audience, Notice, Post};
use loket::session::peer::Peer;
use loket::session::session_id::SessionId;
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

#[test]
fn copies_to_a_session_are_posts_of_one_text_and_count_against_the_budget() {
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let mut server = Datagrams::bind("test", any, Box::new(Repeater), LIMITS).expect("a port");
    let (id, mut posts) = (SessionId::new(7, 9), Vec::new());
    let from = Peer::Session(id, ([127, 0, 0, 1], 1).into());
    let posted = Post {
        to: Audience::Room(from),
        notice: Notice::Datagram([25].into()),
    };
    server.deliver(vec![posted], &mut posts, Moment(0));
    assert!(posts.is_empty() && server.has_turn());
    let mut turns = Vec::new();
    while server.has_turn() && turns.len() < 10 {
        let before = posts.len();
        server.turn(&mut posts, Moment(0));
        turns.push(posts.len() - before);
    }
    assert_eq!(turns, [10, 10, 5]);
    assert!(posts.iter().all(|post| post.to == Audience::One(id)));
    let texts = posts.iter().map(|post| match &post.notice {
        Notice::Datagram(text) => text.bytes.clone(),
        notice => panic!("{notice:?}"),
    });
    let texts: Vec<Rc<[u8]>> = texts.collect();
    assert!(texts.iter().all(|text| Rc::ptr_eq(text, &texts[0])));
}
