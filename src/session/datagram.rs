//! Defines a protocol of datagrams, and the bounded queue of copies that it sends.
//! Touches no socket: the reactor reads, sends, and tells of addresses that refuse.

use super::notice::{Audience, Notice, Post};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

/// A service on one UDP socket.
pub trait DatagramProtocol {
    /// A datagram has come.
    fn on_datagram(&mut self, from: SocketAddr, bytes: &[u8], cx: &mut DatagramCx<'_>);
    /// The host of an address answered that nobody listens there.
    fn on_refused(&mut self, to: SocketAddr, cx: &mut DatagramCx<'_>);
}

/// What a datagram protocol can reach during a call.
pub struct DatagramCx<'a> {
    /// What is to be sent, in this order.
    pub out: &'a mut Copies,
    /// What sessions are to be told.
    pub posts: &'a mut Vec<Post>,
    /// Microseconds since the server started.
    pub now: u64,
}

impl DatagramCx<'_> {
    /// A line for the person at the server.
    pub fn print(&mut self, line: &str) {
        self.posts.push(Post {
            to: Audience::Operator,
            notice: Notice::Printed(line.into()),
        });
    }
}

/// One text and who is still to get it.
struct Job {
    bytes: Rc<[u8]>,
    to: Recipients,
    next: usize,
}

enum Recipients {
    One(SocketAddr),
    Many(Rc<[SocketAddr]>),
}

impl Recipients {
    fn all(&self) -> &[SocketAddr] {
        match self {
            Recipients::One(address) => std::slice::from_ref(address),
            Recipients::Many(addresses) => addresses,
        }
    }
}

/// Copies waiting to be sent: a text to many is one job, and a job is sent in order.
pub struct Copies {
    jobs: VecDeque<Job>,
    pending: usize,
    limit: usize,
    dropped: u64,
}

impl Copies {
    /// An empty queue of at most `limit` copies.
    pub fn new(limit: usize) -> Copies {
        Copies {
            jobs: VecDeque::new(),
            pending: 0,
            limit,
            dropped: 0,
        }
    }

    /// Queues one copy.
    pub fn to_one(&mut self, bytes: &[u8], to: SocketAddr) {
        self.push(bytes.into(), Recipients::One(to));
    }

    /// Queues a copy for each address.
    pub fn to_many(&mut self, bytes: &[u8], to: &Rc<[SocketAddr]>) {
        self.push(bytes.into(), Recipients::Many(to.clone()));
    }

    fn push(&mut self, bytes: Rc<[u8]>, to: Recipients) {
        let count = to.all().len();
        if count == 0 {
            return;
        }
        // All or nothing: a text that only half of the room gets helps nobody.
        if self.pending + count > self.limit {
            self.dropped += count as u64;
            return;
        }
        self.pending += count;
        self.jobs.push_back(Job { bytes, to, next: 0 });
    }

    /// The next copy.
    pub fn front(&self) -> Option<(&[u8], SocketAddr)> {
        self.jobs
            .front()
            .map(|job| (&*job.bytes, job.to.all()[job.next]))
    }

    /// The next copy has been sent, or given up.
    pub fn advance(&mut self) {
        let job = self.jobs.front_mut().expect("there is a copy");
        job.next += 1;
        self.pending -= 1;
        if job.next == job.to.all().len() {
            self.jobs.pop_front();
        }
    }

    /// A datagram was not let through: it is counted with the copies that found no room.
    pub fn drop_one(&mut self) {
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
        let mut copies = Copies::new(4);
        copies.to_one(b"hello", address(1));
        copies.to_many(b"all", &[address(2), address(3)].into());
        copies.to_many(b"too much", &[address(2), address(3)].into());
        assert_eq!((copies.pending(), copies.take_dropped()), (3, 2));
        let mut sent = Vec::new();
        while let Some((bytes, to)) = copies.front() {
            sent.push((bytes.to_vec(), to.port()));
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
}
