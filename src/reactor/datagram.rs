//! Reads and sends the datagrams of one UDP socket, a bounded number a turn.
//! Knows no member and no message: that is the protocol's.
//!
//! Errors belong to a datagram, not to the socket: one address that refuses must not cost another
//! its copy. With `IP_RECVERR` (ip(7)) the kernel names the refusing address in the error queue,
//! and fails the next call on the socket once, whoever that was for: so that copy is sent again.

use super::clock::{Moment, SECOND};
use crate::session::datagram::{Copies, DatagramCx, DatagramProtocol};
use crate::session::notice::Post;
use mio::net::UdpSocket;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::SockRef;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

/// Bounds of a datagram socket.
#[derive(Debug, Clone, Copy)]
pub struct DatagramLimits {
    /// The longest datagram understood, in bytes.
    pub length: usize,
    /// Bytes that the kernel may keep until they are read; it grants what its own limit allows.
    pub receive_buffer: usize,
    /// Datagrams read in one turn.
    pub reads_per_turn: usize,
    /// Copies sent in one turn.
    pub copies_per_turn: usize,
    /// Copies that may wait; a text to many that does not fit is dropped.
    pub copies: usize,
    /// Above so many waiting copies nothing is read: the kernel's queue is the brake.
    pub copies_high_water: usize,
}

/// A service on a UDP socket.
pub struct Datagrams {
    /// The service's name.
    pub name: &'static str,
    socket: UdpSocket,
    protocol: Box<dyn DatagramProtocol>,
    out: Copies,
    limits: DatagramLimits,
    buffer: Box<[u8]>,
    readable: bool,
    writable: bool,
    /// Datagrams that were too long, and copies that could not be sent.
    lost: u64,
    logged: Option<Moment>,
}

impl Datagrams {
    /// A service on a socket of its own.
    pub fn bind(
        name: &'static str,
        address: SocketAddr,
        protocol: Box<dyn DatagramProtocol>,
        limits: DatagramLimits,
    ) -> io::Result<Datagrams> {
        let socket = UdpSocket::bind(address)?;
        SockRef::from(&socket).set_recv_buffer_size(limits.receive_buffer)?;
        // Also for a socket of version 6: on `::` it serves peers of version 4 too.
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        if address.is_ipv6() {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        }
        Ok(Datagrams {
            name,
            socket,
            protocol,
            out: Copies::new(limits.copies),
            limits,
            // One byte more than is allowed shows what is too long.
            buffer: vec![0; limits.length + 1].into(),
            readable: true,
            writable: true,
            lost: 0,
            logged: None,
        })
    }

    /// Where it listens.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The socket, to be registered.
    pub fn source(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// What is to be sent, for those who speak without being spoken to.
    pub fn outbox(&mut self) -> &mut Copies {
        &mut self.out
    }

    /// Notes what the kernel told. An error is learnt by reading and by sending.
    pub fn mark(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Whether a turn would do anything.
    pub fn has_turn(&self) -> bool {
        self.may_read() || (self.writable && self.out.pending() > 0)
    }

    fn may_read(&self) -> bool {
        self.readable && self.out.pending() <= self.limits.copies_high_water
    }

    /// Sends and reads, up to the limits of a turn.
    pub fn turn(&mut self, posts: &mut Vec<Post>, now: Moment) {
        let left = self.send(self.limits.copies_per_turn, posts, now);
        for _ in 0..self.limits.reads_per_turn {
            if !self.may_read() {
                break;
            }
            match self.socket.recv_from(&mut self.buffer) {
                Ok((length, _)) if length > self.limits.length => self.lost += 1,
                Ok((length, from)) => {
                    let mut cx = DatagramCx {
                        out: &mut self.out,
                        posts,
                        now: now.0,
                    };
                    self.protocol
                        .on_datagram(from, &self.buffer[..length], &mut cx);
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

    /// Sends up to so many copies, and says how many of them it did not need.
    fn send(&mut self, budget: usize, posts: &mut Vec<Post>, now: Moment) -> usize {
        let mut refused = 0;
        for left in (1..=budget).rev() {
            let Some((bytes, to)) = self.out.front().filter(|_| self.writable) else {
                return left;
            };
            match self.socket.send_to(bytes, to) {
                Ok(_) => self.out.advance(),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.writable = false,
                    ErrorKind::Interrupted => {}
                    // An earlier datagram met an error, not this one: it is sent again. Not for
                    // ever, in case a system reports it otherwise.
                    _ if refused < self.limits.reads_per_turn && self.read_errors(posts, now) => {
                        refused += 1;
                    }
                    _ => {
                        let Some((_, to)) = self.out.front() else {
                            return left;
                        };
                        log::debug!("{}: cannot send to {to}: {error}", self.name);
                        self.lost += 1;
                        self.out.advance();
                    }
                },
            }
        }
        0
    }

    /// Empties the error queue: it names the addresses that refused. Says whether it held any.
    ///
    /// Other errors stand there too, of a router that has lost its way for example, and have to be
    /// read: what is left takes room from datagrams. They pass, so they cost nobody its place.
    fn read_errors(&mut self, posts: &mut Vec<Post>, now: Moment) -> bool {
        let mut found = false;
        let mut control = nix::cmsg_space!(nix::libc::sock_extended_err, nix::libc::sockaddr_in6);
        for _ in 0..self.limits.reads_per_turn {
            let mut data = [IoSliceMut::new(&mut self.buffer)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let fd = self.socket.as_raw_fd();
            let read = recvmsg::<SockaddrStorage>(fd, &mut data, Some(&mut control), flags);
            let Ok(message) = read else { break };
            found = true;
            let refuses = message.cmsgs().is_ok_and(|mut notes| notes.any(is_refusal));
            // With MSG_ERRQUEUE the address is where the datagram was going.
            if let Some(to) = message
                .address
                .as_ref()
                .and_then(address)
                .filter(|_| refuses)
            {
                let mut cx = DatagramCx {
                    out: &mut self.out,
                    posts,
                    now: now.0,
                };
                self.protocol.on_refused(to, &mut cx);
            }
        }
        found
    }

    fn log_losses(&mut self, now: Moment) {
        self.lost += self.out.take_dropped();
        if self.lost > 0 && self.logged.is_none_or(|logged| logged.after(SECOND) <= now) {
            log::warn!("{}: {} datagrams were dropped", self.name, self.lost);
            self.lost = 0;
            self.logged = Some(now);
        }
    }
}

/// Whether the host itself has answered that nobody listens there.
fn is_refusal(note: ControlMessageOwned) -> bool {
    let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) =
        note
    else {
        return false;
    };
    error.ee_errno == nix::libc::ECONNREFUSED as u32
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage
        .as_sockaddr_in()
        .map(|address| SocketAddrV4::from(*address).into());
    v4.or_else(|| {
        storage
            .as_sockaddr_in6()
            .map(|address| SocketAddrV6::from(*address).into())
    })
}
