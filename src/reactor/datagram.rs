//! Receives and sends the datagrams of one UDP socket, a bounded number a turn. Sessions may be
//! clients as well: their datagrams, and those to them, are posts.

use super::clock::Moment;
use super::udp::Udp;
use crate::session::datagram::{DatagramContext, DatagramProtocol, Route, SendQueue};
use crate::session::log_limit::LogLimit;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::peer::Peer;
use mio::net::UdpSocket;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// Limits of a datagram service.
#[derive(Debug, Clone, Copy)]
pub struct DatagramLimits {
    /// The longest datagram in bytes. Of a longer one, one byte more is received.
    pub length: usize,
    /// `SO_RCVBUF` in bytes, socket(7); the kernel grants at most `rmem_max`.
    pub receive_buffer: usize,
    /// Datagrams received in one turn.
    pub reads_per_turn: usize,
    /// Copies sent in one turn.
    pub copies_per_turn: usize,
    /// Copies in the queue; a text whose copies do not all fit is dropped.
    pub copies: usize,
    /// Copies in the queue above which nothing is received: datagrams wait in the kernel.
    pub copies_high_water: usize,
    /// Texts that are kept after they were sent, to check what an ICMP error quotes.
    pub remembered: usize,
}

/// A service on a UDP socket.
pub struct Datagrams {
    /// The name of the service.
    pub name: &'static str,
    socket: Udp,
    protocol: Box<dyn DatagramProtocol>,
    out: SendQueue,
    limits: DatagramLimits,
    buffer: Box<[u8]>,
    readable: bool,
    writable: bool,
    /// Datagrams from this socket itself, and copies that could not be sent.
    lost: u64,
    logged: LogLimit,
}

impl Datagrams {
    /// Binds a socket for a service.
    pub fn bind(
        name: &'static str,
        address: SocketAddr,
        protocol: Box<dyn DatagramProtocol>,
        limits: DatagramLimits,
    ) -> io::Result<Datagrams> {
        let socket = Udp::bind(address, limits.receive_buffer)?;
        Ok(Datagrams::new(name, socket, protocol, limits))
    }

    /// The service on this socket.
    pub fn new(
        name: &'static str,
        socket: Udp,
        protocol: Box<dyn DatagramProtocol>,
        limits: DatagramLimits,
    ) -> Datagrams {
        Datagrams {
            name,
            socket,
            protocol,
            out: SendQueue::new(limits.copies).remember_sent(limits.remembered),
            limits,
            // One byte more than the limit shows that a datagram is too long.
            buffer: vec![0; limits.length + 1].into(),
            readable: true,
            writable: true,
            lost: 0,
            logged: LogLimit::new(1),
        }
    }

    /// Sends each reply from the address that the peer has sent to, also if the socket is bound to
    /// all addresses.
    pub fn reply_from_local_address(&mut self) -> io::Result<()> {
        self.socket.report_local_address()
    }

    /// The address that the socket is bound to.
    pub fn local_address(&self) -> SocketAddr {
        self.socket.local()
    }

    /// The socket, to register it.
    pub fn source(&mut self) -> &mut UdpSocket {
        self.socket.source()
    }

    /// The queue of copies, for a client that sends without having received.
    pub fn outbox(&mut self) -> &mut SendQueue {
        &mut self.out
    }

    /// Notes readiness. An error is found by receiving and by sending.
    pub fn mark(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// The numbers of members, and of copies that wait for the socket.
    pub fn lengths(&self) -> [usize; 2] {
        [self.protocol.members(), self.out.pending()]
    }

    /// Whether a turn has anything to do.
    pub fn has_turn(&self) -> bool {
        self.may_read() || (self.writable && self.out.pending() > 0)
    }

    /// Whether a turn has anything to do, or the protocol is to be called.
    pub fn is_due(&self, now: Moment) -> bool {
        self.has_turn() || self.next_due().is_some_and(|due| due <= now)
    }

    /// When the protocol is to be called without a datagram.
    pub fn next_due(&self) -> Option<Moment> {
        self.protocol.next_due().map(Moment)
    }

    fn may_read(&self) -> bool {
        self.readable && self.out.pending() <= self.limits.copies_high_water
    }

    /// Passes the posts of sessions to the protocol. The loop bounds their number, because it
    /// bounds the turns of a round.
    pub fn deliver(&mut self, posted: Vec<Post>, posts: &mut Vec<Post>, now: Moment) {
        for post in posted {
            let Audience::Room(from) = post.to else {
                unreachable!("the post is for another audience")
            };
            let mut cx = cx(&mut self.out, posts, now);
            match post.notice {
                Notice::Datagram(text) => {
                    self.protocol.on_datagram(from.into(), &text.bytes, &mut cx);
                }
                Notice::Gone => self.protocol.on_gone(from, &mut cx),
                Notice::Wake => self.protocol.on_wake(&mut cx),
                _ => unreachable!("a session posts datagrams, that it is gone, or a wake-up"),
            }
        }
    }

    /// The server shuts down.
    pub fn stop(&mut self, posts: &mut Vec<Post>, now: Moment) {
        self.protocol.on_stop(&mut cx(&mut self.out, posts, now));
    }

    /// Sends and receives, up to the limits of a turn.
    pub fn turn(&mut self, posts: &mut Vec<Post>, now: Moment) {
        let left = self.send(self.limits.copies_per_turn, posts, now);
        if self.next_due().is_some_and(|due| due <= now) {
            self.protocol.on_time(&mut cx(&mut self.out, posts, now));
        }
        for _ in 0..self.limits.reads_per_turn {
            if !self.may_read() {
                break;
            }
            match self.socket.receive(&mut self.buffer) {
                Ok((_, peer, local)) if self.socket.is_own(peer, local) => self.lost += 1,
                Ok((length, peer, local)) => {
                    let peer = Peer::Udp(peer);
                    let mut cx = cx(&mut self.out, posts, now);
                    self.protocol.on_datagram(
                        Route { peer, local },
                        &self.buffer[..length],
                        &mut cx,
                    );
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.readable = false,
                    ErrorKind::Interrupted => {}
                    _ => drop(self.read_errors(posts, now)),
                },
            }
        }
        self.send(left, posts, now);
        self.log_losses(now);
    }

    /// Sends up to `budget` copies. Returns the rest of the budget.
    fn send(&mut self, budget: usize, posts: &mut Vec<Post>, now: Moment) -> usize {
        let mut refused = 0;
        for left in (1..=budget).rev() {
            let Some((text, to)) = self.out.front().filter(|_| self.writable) else {
                return left;
            };
            let sent = match to.peer {
                Peer::Udp(address) => self.socket.send(&text.bytes, address, to.local),
                Peer::Session(id, _) => {
                    let (to, notice) = (Audience::One(id), Notice::Datagram(text.clone()));
                    posts.push(Post { to, notice });
                    Ok(())
                }
            };
            match sent {
                Ok(()) => self.out.advance(),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.writable = false,
                    ErrorKind::Interrupted => {}
                    // The error is one of an earlier datagram, so this one is sent again. The
                    // number of tries is limited, in case a kernel reports errors in another way.
                    _ if refused < self.limits.reads_per_turn && self.read_errors(posts, now) => {
                        refused += 1;
                    }
                    _ => {
                        let Some((_, to)) = self.out.front() else {
                            return left;
                        };
                        let (service, peer) = (self.name, to.peer);
                        log::debug!(service, peer:%, reason:% = error;
                            "{service}: cannot send to {peer}: {error}");
                        self.lost += 1;
                        self.out.advance();
                    }
                },
            }
        }
        0
    }

    /// Empties the error queue. Returns whether it held an entry.
    ///
    /// A refusal counts only if its quoted bytes were sent, or if it quotes none: some hosts quote
    /// no more than the ports (RFC 792).
    fn read_errors(&mut self, posts: &mut Vec<Post>, now: Moment) -> bool {
        let mut found = false;
        for _ in 0..self.limits.reads_per_turn {
            let Some(report) = self.socket.next_error(&mut self.buffer) else {
                break;
            };
            found = true;
            let quoted = &self.buffer[..report.quoted];
            if let Some(to) = report.refused
                && (quoted.is_empty() || self.out.has_sent(quoted))
            {
                self.protocol
                    .on_refused(to, &mut cx(&mut self.out, posts, now));
            }
        }
        found
    }

    fn log_losses(&mut self, now: Moment) {
        self.lost += self.out.take_dropped();
        if self.lost > 0 && self.logged.pass(now.0).is_some() {
            let (service, lost) = (self.name, self.lost);
            log::warn!(service; "{service}: {lost} datagrams were dropped");
            self.lost = 0;
        }
    }
}

fn cx<'a>(out: &'a mut SendQueue, posts: &'a mut Vec<Post>, now: Moment) -> DatagramContext<'a> {
    DatagramContext {
        out,
        posts,
        now: now.0,
    }
}
