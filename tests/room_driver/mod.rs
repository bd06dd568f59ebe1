//! Runs the room without a socket, on a clock of the test.
#![allow(dead_code)] // each test binary uses a part of this

use loket::config::room::{DATAGRAMS, ROOM};
use loket::services::room::{Room, RoomLimits};
use loket::session::datagram::{DatagramContext, DatagramProtocol, SendQueue};
use loket::session::notice::{Audience, Notice, Post};
use std::net::SocketAddr;

pub const SECOND: u64 = 1_000_000;

/// A room without a socket.
pub struct RoomDriver {
    pub room: Room,
    pub out: SendQueue,
    posts: Vec<Post>,
    pub now: u64,
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
            out: SendQueue::new(DATAGRAMS.copies),
            posts: Vec::new(),
            now: 5 * SECOND,
        }
    }

    /// Delivers a datagram; returns what the room sends, in this order.
    pub fn deliver(&mut self, from: SocketAddr, bytes: impl AsRef<[u8]>) -> Vec<(u16, String)> {
        let mut cx = DatagramContext {
            out: &mut self.out,
            posts: &mut self.posts,
            now: self.now,
        };
        self.room.on_datagram(from.into(), bytes.as_ref(), &mut cx);
        self.sent()
    }

    pub fn icmp_error(&mut self, to: SocketAddr) -> Vec<(u16, String)> {
        let mut cx = DatagramContext {
            out: &mut self.out,
            posts: &mut self.posts,
            now: self.now,
        };
        self.room.on_refused(to, &mut cx);
        self.sent()
    }

    /// Lets this time pass without datagrams; returns what the room sends.
    pub fn pass(&mut self, micros: u64) -> Vec<(u16, String)> {
        let end = self.now + micros;
        while let Some(due) = self.room.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let mut cx = DatagramContext {
                out: &mut self.out,
                posts: &mut self.posts,
                now: self.now,
            };
            self.room.on_time(&mut cx);
        }
        self.now = end;
        self.sent()
    }

    pub fn sent(&mut self) -> Vec<(u16, String)> {
        let mut sent = Vec::new();
        while let Some((bytes, to)) = self.out.front() {
            sent.push((
                to.peer.port(),
                String::from_utf8(bytes.to_vec()).expect("text"),
            ));
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
