//! Runs the room without a socket, on a clock of the test. Its clients are UDP sockets or sessions.
#![allow(dead_code)] // each test binary uses a part of this

use loket::config::room::{DATAGRAMS, ROOM};
use loket::services::room::Room;
use loket::services::room::limits::RoomLimits;
use loket::session::datagram::{DatagramContext, DatagramProtocol, SendQueue};
use loket::session::notice::{Audience, Meaning, Notice, Post};
use loket::session::peer::Peer;
use loket::session::session_id::SessionId;
use std::net::{IpAddr, SocketAddr};

pub const SECOND: u64 = 1_000_000;

/// How the datagrams of a client travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    /// As posts of a session.
    Session,
}

/// A room without a socket.
pub struct RoomDriver {
    pub room: Room,
    pub transport: Transport,
    pub out: SendQueue,
    posts: Vec<Post>,
    pub now: u64,
    /// The number of empty datagrams. A session gets one in place of each message that is dropped.
    pub empty: usize,
    /// The names that are marked in the datagrams of the last call.
    pub named: Vec<String>,
}

/// The usual rooms with this rate, one for clients of each transport.
pub fn rooms(rate: u32) -> [RoomDriver; 2] {
    rooms_within(RoomLimits { rate, ..ROOM })
}

/// Rooms with these limits, one for clients of each transport.
pub fn rooms_within(limits: RoomLimits) -> [RoomDriver; 2] {
    [Transport::Udp, Transport::Session].map(|transport| RoomDriver {
        transport,
        ..RoomDriver::within(limits)
    })
}

pub fn host(last: u8, port: u16) -> SocketAddr {
    ([127, 0, 0, last], port).into()
}

pub fn at(port: u16) -> SocketAddr {
    host(1, port)
}

impl RoomDriver {
    /// A room with the usual limits but for this rate.
    pub fn open(rate: u32) -> RoomDriver {
        RoomDriver::within(RoomLimits { rate, ..ROOM })
    }

    /// A room with these limits.
    pub fn within(limits: RoomLimits) -> RoomDriver {
        RoomDriver {
            room: Room::new("sesame", limits),
            transport: Transport::Udp,
            out: SendQueue::new(DATAGRAMS.copies),
            posts: Vec::new(),
            now: 5 * SECOND,
            empty: 0,
            named: Vec::new(),
        }
    }

    /// The client at an address.
    pub fn peer(&self, address: SocketAddr) -> Peer {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_bits(),
            IpAddr::V6(ip) => ip.to_bits() as u32,
        };
        match self.transport {
            Transport::Udp => Peer::Udp(address),
            Transport::Session => {
                Peer::Session(SessionId::new(host, address.port().into()), address)
            }
        }
    }

    fn call(
        &mut self,
        call: impl FnOnce(&mut Room, &mut DatagramContext<'_>),
    ) -> Vec<(u16, String)> {
        let mut cx = DatagramContext {
            out: &mut self.out,
            posts: &mut self.posts,
            now: self.now,
        };
        call(&mut self.room, &mut cx);
        self.sent()
    }

    /// Delivers a datagram; returns what the room sends, in this order.
    pub fn deliver(&mut self, from: SocketAddr, bytes: impl AsRef<[u8]>) -> Vec<(u16, String)> {
        let from = self.peer(from).into();
        self.call(|room, cx| room.on_datagram(from, bytes.as_ref(), cx))
    }

    pub fn icmp_error(&mut self, to: SocketAddr) -> Vec<(u16, String)> {
        self.call(|room, cx| room.on_refused(to, cx))
    }

    /// Ends the session of a client.
    pub fn close(&mut self, address: SocketAddr) -> Vec<(u16, String)> {
        let peer = self.peer(address);
        self.call(|room, cx| room.on_gone(peer, cx))
    }

    /// Ends the memberships of a client without `exit`: its host refuses three datagrams, or its
    /// session ends.
    pub fn lose(&mut self, address: SocketAddr) {
        match self.transport {
            Transport::Udp => (0..3).for_each(|_| drop(self.icmp_error(address))),
            Transport::Session => drop(self.close(address)),
        }
    }

    /// Lets this time pass without datagrams; returns what the room sends.
    pub fn pass(&mut self, micros: u64) -> Vec<(u16, String)> {
        let end = self.now + micros;
        let mut sent = Vec::new();
        while let Some(due) = self.room.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            sent.extend(self.call(|room, cx| room.on_time(cx)));
        }
        self.now = end;
        sent
    }

    pub fn sent(&mut self) -> Vec<(u16, String)> {
        let mut sent = Vec::new();
        self.named.clear();
        while let Some((text, to)) = self.out.front() {
            if let Meaning::About { name, .. } = text.meaning {
                let name = String::from_utf8_lossy(&text.bytes[..name]);
                self.named.push(name.into_owned());
            }
            let port = to.peer.address().port();
            match text.bytes.is_empty() {
                true => self.empty += 1,
                false => sent.push((port, String::from_utf8_lossy(&text.bytes).into_owned())),
            }
            self.out.advance();
        }
        sent
    }

    /// The only datagram that the room sends in answer to this one.
    #[track_caller]
    pub fn answer(&mut self, from: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
        let mut sent = self.deliver(from, bytes);
        assert_eq!(sent.len(), 1, "{sent:?}");
        let (port, text) = sent.remove(0);
        assert_eq!(port, from.port());
        text
    }

    #[track_caller]
    pub fn join(&mut self, from: SocketAddr, name: &str) {
        assert_eq!(self.answer(from, "PASSWORD sesame"), "PASSWORD OK");
        let sent = self.deliver(from, format!("USERNAME {name}"));
        assert_eq!(sent[0], (from.port(), "USERNAME OK".to_owned()), "{name:?}");
    }

    /// What the others get when a member sends `exit`, or another word for it.
    pub fn leave(&mut self, from: SocketAddr, word: &str) -> Vec<(u16, String)> {
        let mut sent = self.deliver(from, word);
        // A session gets the notice, too.
        if self.transport == Transport::Session {
            let own = sent.iter().position(|(port, _)| *port == from.port());
            let (_, text) = sent.remove(own.expect("its notice"));
            assert!(text.ends_with(" telah keluar dari chatroom."), "{text}");
        }
        sent
    }

    /// Whether the room relays a message of this member.
    pub fn relays(&mut self, from: SocketAddr) -> bool {
        !self.deliver(from, "hello").is_empty()
    }

    /// The lines for the operator since the last call.
    pub fn printed(&mut self) -> Vec<String> {
        let line = |post: Post| match (post.to, post.notice) {
            (Audience::Operator, Notice::Line(line)) => line.to_string(),
            _ => panic!("the room notifies only the operator"),
        };
        self.posts.drain(..).map(line).collect()
    }

    /// Whether nothing is due.
    pub fn is_idle(&self) -> bool {
        self.room.next_due().is_none()
    }
}
