//! The acceptor's calls in a seed, and the assertions about every call.

use super::dialogue_http;
use super::shared::{Mode, SimState};
use super::sim_socket::{Call, Handle, SimSocket};
use super::trace::Event;
use crate::memory::Service;
use loket::session::session_id::SessionId;
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// Peers that are not accepted yet.
pub type Backlog = Rc<RefCell<VecDeque<Handle>>>;

/// Sent to a peer whose address has reached its limit.
pub const REFUSAL: &[u8] = b"too many from your address\n";

/// The address of a peer: some peers share one.
pub fn address(number: usize) -> SocketAddr {
    ([127, 0, 0, (number % 3) as u8], 1000 + number as u16).into()
}

impl SimState {
    /// accept(2): removes a peer from the backlog.
    pub fn accept(&self, backlog: &Backlog) -> io::Result<(Handle, SocketAddr)> {
        if self.injects(self.plan.faults.no_descriptor) {
            self.note(Event::NoDescriptor);
            return Err(Errno::MFILE.into());
        }
        let peer = backlog.borrow_mut().pop_front();
        let peer = peer.ok_or(ErrorKind::WouldBlock)?;
        if peer.borrow().reset {
            peer.borrow_mut().rejected = true;
            return Err(ErrorKind::ConnectionAborted.into());
        }
        let address = address(peer.borrow().number);
        *self.accepted.borrow_mut() = Some(peer.clone());
        Ok((peer, address))
    }

    /// The accepted peer has a connection: it is in the table.
    pub fn opened(&self, socket: &Handle, serial: u32) {
        let mut open = socket.borrow_mut();
        if !open.is_operator() {
            let most = self.plan.limits.per_ip.unwrap_or(usize::MAX);
            let there = self.connections_from(&open);
            assert!(there < most, "too many connections of one address");
            let peer = open.number;
            self.note(Event::Accepted { peer, serial });
        }
        let now = self.now.get();
        (open.moved, open.served, open.consumed_at) = (now, now, now);
        (open.serial, open.answered) = (Some(serial), now);
        drop(open);
        self.live.borrow_mut().insert(serial, socket.clone());
        self.queue.borrow_mut().push_short(serial);
    }

    /// Registers a connection under its id. From now on its events are reported.
    pub fn register(&self, socket: &Handle, id: SessionId) -> io::Result<()> {
        if socket.borrow().is_operator() {
            self.opened(socket, id.serial());
        } else if self.injects(self.plan.faults.no_descriptor) {
            // The server closes the connection, as if it were reset.
            socket.borrow_mut().reset = true;
            return Err(ErrorKind::OutOfMemory.into());
        }
        let mut socket = socket.borrow_mut();
        assert!(socket.id.is_none(), "it is registered already");
        assert_eq!(socket.serial, Some(id.serial()));
        socket.id = Some(id);
        // Registration reports the current readiness at once (epoll(7)).
        socket.event_pending = true;
        Ok(())
    }

    /// A write to a peer without a connection: the refusal.
    pub fn refuse(&self, socket: &mut SimSocket, bytes: &[u8]) -> usize {
        assert_eq!(bytes, REFUSAL);
        let there = self.connections_from(socket);
        assert_eq!(
            Some(there),
            self.plan.limits.per_ip,
            "the limit was not reached"
        );
        socket.rejected = true;
        self.accepted.take();
        bytes.len()
    }

    fn connections_from(&self, socket: &SimSocket) -> usize {
        let address = |number| -> IpAddr { address(number).ip() };
        let live = self.live.borrow();
        let there = live.values().filter(|other| {
            let other = other.borrow();
            !other.is_operator() && address(other.number) == address(socket.number)
        });
        there.count()
    }

    /// Asserts that a call is made in a turn of its connection, which is open.
    pub fn called(&self, socket: &SimSocket) {
        assert_eq!(
            self.turn.get().serial,
            socket.serial,
            "a call in the turn of another connection"
        );
        assert!(socket.closed.is_none(), "a call on a closed connection");
        assert!(!socket.reset_seen, "a call after the connection broke");
    }

    /// Asserts that no call succeeds while the loop should be idle.
    pub fn done(&self, socket: &SimSocket, call: Call, bytes: Option<usize>) {
        let peer = socket.number;
        self.note(Event::Call { peer, call, bytes });
        let probing = self.mode.get() == Mode::Probing;
        assert!(
            !(probing && bytes.is_some()),
            "a lost wake-up: peer {peer} can {call:?} {bytes:?} and was not served"
        );
    }

    /// Asserts that bytes are moved only while the turn has budget left, and at most `more`.
    pub fn moved(&self, bytes: usize, more: usize) {
        let mut turn = self.turn.get();
        let spent = turn.moved;
        let left = spent < self.plan.limits.turn_bytes + more;
        assert!(left, "a step after {spent} bytes in one turn");
        turn.moved += bytes;
        self.turn.set(turn);
    }

    /// Asserts that a large step of a body is the only one of a bulk turn.
    pub fn stepped(&self, most: usize) {
        if most <= self.plan.limits.small_body {
            return;
        }
        let mut turn = self.turn.get();
        turn.steps += 1;
        assert!(turn.bulk && turn.steps == 1, "a large step in a short turn");
        self.turn.set(turn);
    }

    /// Asserts that nothing is read while too much output is queued. `most` is the free space of
    /// the read buffer, the rest of which the inbox fills.
    pub fn may_read(&self, socket: &SimSocket, most: usize) {
        let held = self.plan.limits.read_buffer - most;
        let consumed = socket.taken - held;
        let (owed, body_end) = match socket.is_conversation() {
            true => (socket.script.expected.len(), 0),
            false => {
                let point = socket.script.owed(consumed);
                (point.owed, point.body_end)
            }
        };
        assert!(socket.sent >= body_end, "a read while a body is owed");
        let owed = owed.saturating_sub(socket.sent);
        let maybe_closing = socket.maybe_closing.is_some();
        assert!(
            owed < self.plan.high_water || maybe_closing,
            "a read while {owed} bytes are owed"
        );
    }

    /// Asserts that the server sends exactly what the script expects.
    pub fn wrote(&self, socket: &mut SimSocket, bytes: &[u8]) {
        match socket.service() {
            // One step of a relay writes what it has read.
            Service::Echo => self.moved(bytes.len(), self.plan.limits.read_buffer),
            _ => self.moved(bytes.len(), 0),
        }
        if socket.service() == Service::Http && !socket.pending_bytes().starts_with(bytes) {
            socket.expect_timeout(bytes);
        }
        let rest = socket.pending_bytes();
        assert!(
            rest.starts_with(bytes),
            "peer {} is sent {:?} instead of {:?}",
            socket.number,
            String::from_utf8_lossy(bytes),
            String::from_utf8_lossy(&rest[..rest.len().min(bytes.len())])
        );
    }

    /// Asserts that the sending side is shut down once, after all output.
    pub fn shuts(&self, socket: &mut SimSocket) {
        assert!(socket.shut.is_none(), "shutdown(2) is called twice");
        assert!(
            socket.has_received_all(),
            "the stream to peer {} ends {} bytes early",
            socket.number,
            socket.pending()
        );
        socket.shut = Some(self.now.get());
        socket.moved = self.now.get();
    }
}

impl SimSocket {
    /// Expected output that is not sent yet.
    fn pending_bytes(&self) -> &[u8] {
        &self.script.expected[self.sent..]
    }

    /// Expects the answer to a request whose deadline has passed, if these bytes are of it. The
    /// watcher checks the deadline when the connection is closed.
    fn expect_timeout(&mut self, bytes: &[u8]) {
        let timeout = dialogue_http::timeout();
        let whole = [&self.output[..], bytes].concat();
        let ends = self.script.points.iter().map(|point| point.owed);
        let is_timeout = |end: &usize| {
            let rest = whole.get(*end..);
            rest.is_some_and(|rest| timeout.as_bytes().starts_with(rest))
        };
        if let Some(end) = ends.filter(|end| *end <= self.sent).find(is_timeout) {
            self.timed_out = Some(end);
            self.script.expected.truncate(end);
            self.script.expected.extend(timeout.as_bytes());
        }
    }

    /// Asserts that a splice stays within the body and stops before urgent data.
    pub fn may_take(&self, most: usize) {
        let mut bodies = self.script.bodies.iter();
        let body = bodies.find(|body| body.contains(&self.taken));
        let left = body.map_or(0, |body| body.end - self.taken);
        assert!(
            most <= left,
            "a splice of {most} bytes from a body of {left}"
        );
        let reported =
            self.urgent.is_some_and(|urgent| urgent <= self.arrived) && !self.event_pending;
        assert!(!reported, "a splice although urgent data was reported");
    }
}
