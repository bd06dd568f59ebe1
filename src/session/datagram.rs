//! Defines a protocol of datagrams, and the bounded queue of copies that it sends.

use super::notice::{Audience, Post};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// A service on one UDP socket.
pub trait DatagramProtocol {
    /// A datagram has come. One that is longer than the socket takes is cut one byte behind that.
    fn on_datagram(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramContext<'_>);
    /// The host of an address answered that the port is closed, to a datagram that was sent there.
    fn on_refused(&mut self, to: SocketAddr, cx: &mut DatagramContext<'_>);
    /// When [`DatagramProtocol::on_time`] is due, in microseconds since the server started.
    fn next_due(&self) -> Option<u64> {
        None
    }
    /// A deadline has passed.
    fn on_time(&mut self, _: &mut DatagramContext<'_>) {}
}

/// The two ends of the path that datagrams take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The other end.
    pub peer: SocketAddr,
    /// The address of this machine that the peer sends to; with `None` the kernel chooses one.
    pub local: Option<IpAddr>,
}

impl From<SocketAddr> for Route {
    fn from(peer: SocketAddr) -> Route {
        Route { peer, local: None }
    }
}

/// What a datagram protocol can reach during a call.
pub struct DatagramContext<'a> {
    /// What is to be sent, in this order.
    pub out: &'a mut SendQueue,
    /// What sessions are to be told.
    pub posts: &'a mut Vec<Post>,
    /// Microseconds since the server started.
    pub now: u64,
}

impl DatagramContext<'_> {
    /// A line for the person at the server.
    pub fn print(&mut self, line: &str) {
        self.posts.push(Post::line(Audience::Operator, line));
    }
}

/// One text and its recipients.
struct Broadcast {
    bytes: Rc<[u8]>,
    to: Recipients,
    next: usize,
}

enum Recipients {
    One(Route),
    Many(Rc<[Route]>),
}

impl Recipients {
    fn all(&self) -> &[Route] {
        match self {
            Recipients::One(route) => std::slice::from_ref(route),
            Recipients::Many(routes) => routes,
        }
    }
}

/// Copies waiting to be sent: a text to many is one broadcast, and a broadcast is sent in order.
pub struct SendQueue {
    broadcasts: VecDeque<Broadcast>,
    pending: usize,
    limit: usize,
    dropped: u64,
    /// The texts that were sent last, the newest behind.
    sent: VecDeque<Rc<[u8]>>,
    remembered: usize,
}

impl SendQueue {
    /// An empty queue of at most `limit` copies.
    pub fn new(limit: usize) -> SendQueue {
        SendQueue {
            broadcasts: VecDeque::new(),
            pending: 0,
            limit,
            dropped: 0,
            sent: VecDeque::new(),
            remembered: 0,
        }
    }

    /// The same queue, which keeps the last `texts` that were sent for [`SendQueue::has_sent`].
    pub fn remember_sent(mut self, texts: usize) -> SendQueue {
        self.remembered = texts;
        self
    }

    /// Queues one copy; says whether there was room.
    pub fn to_one(&mut self, bytes: &[u8], to: impl Into<Route>) -> bool {
        self.push(bytes.into(), Recipients::One(to.into()))
    }

    /// Queues a copy for each recipient; says whether there was room.
    pub fn to_many(&mut self, bytes: &[u8], to: &Rc<[Route]>) -> bool {
        self.push(bytes.into(), Recipients::Many(to.clone()))
    }

    fn push(&mut self, bytes: Rc<[u8]>, to: Recipients) -> bool {
        let count = to.all().len();
        if count == 0 {
            return true;
        }
        // All or nothing: a text that only half of the room gets helps nobody.
        if self.pending + count > self.limit {
            self.dropped += count as u64;
            return false;
        }
        self.pending += count;
        self.broadcasts.push_back(Broadcast { bytes, to, next: 0 });
        true
    }

    /// The next copy.
    pub fn front(&self) -> Option<(&[u8], Route)> {
        self.broadcasts
            .front()
            .map(|broadcast| (&*broadcast.bytes, broadcast.to.all()[broadcast.next]))
    }

    /// The next copy has been sent, or given up.
    pub fn advance(&mut self) {
        let broadcast = self.broadcasts.front_mut().expect("there is a copy");
        if broadcast.next == 0 && self.remembered > 0 {
            if self.sent.len() == self.remembered {
                self.sent.pop_front();
            }
            self.sent.push_back(broadcast.bytes.clone());
        }
        broadcast.next += 1;
        self.pending -= 1;
        if broadcast.next == broadcast.to.all().len() {
            self.broadcasts.pop_front();
        }
    }

    /// Whether a text that was sent a short while ago begins with these bytes.
    pub fn has_sent(&self, beginning: &[u8]) -> bool {
        self.sent.iter().any(|text| text.starts_with(beginning))
    }

    /// A datagram was not let through: it is counted with the copies that found no room.
    pub fn count_dropped(&mut self) {
        self.dropped += 1;
    }

    /// Copies that wait.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Takes the number of copies that found no room.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn copies_leave_in_order_and_a_text_over_the_limit_is_dropped_whole() {
        let mut copies = SendQueue::new(4);
        copies.to_one(b"hello", address(1));
        let two: Rc<[Route]> = [address(2).into(), address(3).into()].into();
        assert!(copies.to_many(b"all", &two));
        assert!(!copies.to_many(b"too much", &two));
        assert_eq!((copies.pending(), copies.take_dropped()), (3, 2));
        let mut sent = Vec::new();
        while let Some((bytes, to)) = copies.front() {
            sent.push((bytes.to_vec(), to.peer.port()));
            copies.advance();
        }
        assert_eq!(
            sent,
            [
                (b"hello".to_vec(), 1),
                (b"all".to_vec(), 2),
                (b"all".to_vec(), 3)
            ]
        );
        assert_eq!(copies.pending(), 0);
    }

    #[test]
    fn the_last_texts_are_recalled_by_their_beginning() {
        let mut copies = SendQueue::new(4).remember_sent(2);
        for text in ["first", "second", "third"] {
            copies.to_one(text.as_bytes(), address(1));
            assert!(!copies.has_sent(text.as_bytes()), "it only waits");
            copies.advance();
        }
        assert!(copies.has_sent(b"second") && copies.has_sent(b"thi"));
        assert!(!copies.has_sent(b"first") && !copies.has_sent(b"third one"));
    }
}
