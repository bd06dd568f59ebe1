//! The trait of a datagram protocol, and the bounded queue of datagrams that it sends.

use super::notice::{Audience, Datagram, Post};
use super::peer::Peer;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// A service on one UDP socket, and for sessions that post their datagrams to it.
pub trait DatagramProtocol {
    /// A datagram has arrived. If it is longer than the limit, only the limit and one byte more are
    /// passed.
    fn on_datagram(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramContext<'_>);
    /// A host has replied to a datagram that its port is closed (ICMP port unreachable).
    fn on_refused(&mut self, to: SocketAddr, cx: &mut DatagramContext<'_>);
    /// A session that may have posted datagrams has ended. Copies to it are discarded.
    fn on_gone(&mut self, _: Peer, _: &mut DatagramContext<'_>) {}
    /// What the service shares with a session has changed.
    fn on_wake(&mut self, _: &mut DatagramContext<'_>) {}
    /// The server shuts down: no call follows.
    fn on_stop(&mut self, _: &mut DatagramContext<'_>) {}
    /// When to call [`DatagramProtocol::on_time`], in microseconds since the server started.
    fn next_due(&self) -> Option<u64> {
        None
    }
    /// The number of members.
    fn members(&self) -> usize {
        0
    }
    /// The time of [`DatagramProtocol::next_due`] has come.
    fn on_time(&mut self, _: &mut DatagramContext<'_>) {}
}

/// The addresses of both ends of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The peer.
    pub peer: Peer,
    /// The address of this host that the peer sends to; with `None` the kernel chooses one.
    pub local: Option<IpAddr>,
}

impl<P: Into<Peer>> From<P> for Route {
    fn from(peer: P) -> Route {
        let peer = peer.into();
        Route { peer, local: None }
    }
}

/// What a datagram protocol can use during a call.
pub struct DatagramContext<'a> {
    /// The queue of datagrams to send.
    pub out: &'a mut SendQueue,
    /// Notices to sessions and to the log, delivered after the call.
    pub posts: &'a mut Vec<Post>,
    /// Microseconds since the server started.
    pub now: u64,
}

impl DatagramContext<'_> {
    /// Posts a line to the operator.
    pub fn print(&mut self, line: &str) {
        self.posts.push(Post::line(Audience::Operator, line));
    }
}

/// One text and its recipients, of which the first `next` have been served.
struct Broadcast {
    text: Datagram,
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

/// Datagrams that wait to be sent. A text to many recipients is stored once; each datagram with it
/// is called a copy. A copy to a session waits like the others, so that all get the texts in the
/// same order.
pub struct SendQueue {
    broadcasts: VecDeque<Broadcast>,
    pending: usize,
    limit: usize,
    dropped: u64,
    /// The texts that were sent last over UDP, the newest at the back.
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

    /// Keeps the last `texts` after they were sent, for [`SendQueue::has_sent`].
    pub fn remember_sent(mut self, texts: usize) -> SendQueue {
        self.remembered = texts;
        self
    }

    /// Queues one copy. Returns whether there was room.
    pub fn to_one(&mut self, text: impl Into<Datagram>, to: impl Into<Route>) -> bool {
        self.push(text.into(), Recipients::One(to.into()))
    }

    /// Queues a copy for each recipient. Returns whether there was room.
    pub fn to_many(&mut self, text: impl Into<Datagram>, to: &Rc<[Route]>) -> bool {
        self.push(text.into(), Recipients::Many(to.clone()))
    }

    fn push(&mut self, text: Datagram, to: Recipients) -> bool {
        let count = to.all().len();
        if count == 0 {
            return true;
        }
        // A session waits for the answer to each of its datagrams, and has few of them unanswered.
        let is_answer = matches!(&to, Recipients::One(route) if route.peer.is_session());
        // All or nothing: a text that reaches only half of the room does more harm than none.
        if self.pending + count > self.limit && !is_answer {
            self.dropped += count as u64;
            return false;
        }
        self.pending += count;
        self.broadcasts.push_back(Broadcast { text, to, next: 0 });
        true
    }

    /// The next copy to send.
    pub fn front(&self) -> Option<(&Datagram, Route)> {
        self.broadcasts
            .front()
            .map(|broadcast| (&broadcast.text, broadcast.to.all()[broadcast.next]))
    }

    /// Removes the next copy, which has been sent or has failed.
    pub fn advance(&mut self) {
        let broadcast = self.broadcasts.front_mut().expect("there is a copy");
        let is_udp = !broadcast.to.all()[broadcast.next].peer.is_session();
        let bytes = &broadcast.text.bytes;
        let is_last = |last: &Rc<[u8]>| Rc::ptr_eq(last, bytes);
        if is_udp && self.remembered > 0 && !self.sent.back().is_some_and(is_last) {
            if self.sent.len() == self.remembered {
                self.sent.pop_front();
            }
            self.sent.push_back(bytes.clone());
        }
        broadcast.next += 1;
        self.pending -= 1;
        if broadcast.next == broadcast.to.all().len() {
            self.broadcasts.pop_front();
        }
    }

    /// Whether one of the remembered texts begins with these bytes.
    pub fn has_sent(&self, beginning: &[u8]) -> bool {
        self.sent.iter().any(|text| text.starts_with(beginning))
    }

    /// Counts a datagram that was dropped on arrival together with the copies that found no room.
    pub fn count_dropped(&mut self) {
        self.dropped += 1;
    }

    /// The number of copies in the queue.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// The number of dropped datagrams since the last call.
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
    fn copies_are_sent_in_order_and_a_text_above_the_limit_is_dropped_whole() {
        let mut copies = SendQueue::new(4);
        copies.to_one(b"hello", address(1));
        let two: Rc<[Route]> = [address(2).into(), address(3).into()].into();
        assert!(copies.to_many(b"all", &two));
        assert!(!copies.to_many(b"too much", &two));
        assert_eq!((copies.pending(), copies.take_dropped()), (3, 2));
        let mut sent = Vec::new();
        while let Some((text, to)) = copies.front() {
            sent.push((text.bytes.to_vec(), to.peer.address().port()));
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
    fn the_last_texts_are_found_by_their_beginning() {
        let mut copies = SendQueue::new(4).remember_sent(2);
        for text in ["first", "second", "third"] {
            copies.to_one(text.as_bytes(), address(1));
            assert!(!copies.has_sent(text.as_bytes()), "not sent yet");
            copies.advance();
        }
        assert!(copies.has_sent(b"second") && copies.has_sent(b"thi"));
        assert!(!copies.has_sent(b"first") && !copies.has_sent(b"third one"));
    }
}
