//! What a seed does to the calls of the acceptor, and what must hold for every call.

use super::shared::{Mode, SimState};
use super::sim_socket::{Call, Handle, SimSocket};
use super::trace::Event;
use loket::reactor::token::Key;
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// Peers that were not accepted yet.
pub type Backlog = Rc<RefCell<VecDeque<Handle>>>;

/// What a peer is sent that comes from an address with as many as it may have.
pub const REFUSAL: &[u8] = b"too many from your address\n";

/// Where a peer comes from: some share an address.
pub fn address(number: usize) -> SocketAddr {
    ([127, 0, 0, (number % 3) as u8], 1000 + number as u16).into()
}

impl SimState {
    /// One peer leaves the queue.
    pub fn accept(&self, backlog: &Backlog) -> io::Result<(Handle, SocketAddr)> {
        if self.injects(self.plan.faults.no_descriptor) {
            self.note(Event::NoDescriptor);
            return Err(Errno::MFILE.into());
        }
        let peer = backlog.borrow_mut().pop_front();
        let peer = peer.ok_or(ErrorKind::WouldBlock)?;
        if peer.borrow().reset {
            peer.borrow_mut().turned_away = true;
            return Err(ErrorKind::ConnectionAborted.into());
        }
        let address = address(peer.borrow().number);
        Ok((peer, address))
    }

    /// From here on the kernel tells of a connection by its key.
    pub fn register(&self, socket: &Handle, key: Key) -> io::Result<()> {
        let mut open = socket.borrow_mut();
        if !open.is_console() {
            let most = self.plan.limits.per_address.unwrap_or(usize::MAX);
            let there = self.connections_from(&open);
            assert!(there < most, "too many of one address");
            if self.injects(self.plan.faults.no_descriptor) {
                open.turned_away = true;
                return Err(ErrorKind::OutOfMemory.into());
            }
            let (peer, serial) = (open.number, key.serial);
            self.note(Event::Accepted { peer, serial });
        }
        let now = self.now.get();
        (open.key, open.moved, open.served, open.took_at) = (Some(key), now, now, now);
        // Registering tells at once what is known already.
        open.owed = true;
        drop(open);
        self.live.borrow_mut().insert(key.serial, socket.clone());
        self.queue.borrow_mut().push_short(key.serial);
        Ok(())
    }

    /// What is written to a peer that was not registered is its refusal.
    pub fn refuse(&self, socket: &mut SimSocket, bytes: &[u8]) -> usize {
        assert_eq!(bytes, REFUSAL);
        let there = self.connections_from(socket);
        assert_eq!(Some(there), self.plan.limits.per_address, "there was room");
        socket.turned_away = true;
        bytes.len()
    }

    fn connections_from(&self, socket: &SimSocket) -> usize {
        let address = |number| -> IpAddr { address(number).ip() };
        let live = self.live.borrow();
        let there = live.values().filter(|other| {
            let other = other.borrow();
            !other.is_console() && address(other.number) == address(socket.number)
        });
        there.count()
    }

    /// Every call is made in a turn of its own connection, and none after the last.
    pub fn called(&self, socket: &SimSocket) {
        let serial = socket.key.map(|key| key.serial);
        assert_eq!(self.turn.get().serial, serial, "a call out of turn");
        assert!(socket.closed.is_none(), "a call on a closed connection");
        assert!(!socket.dead, "a call after the connection broke");
    }

    /// At rest, no call finds anything.
    pub fn done(&self, socket: &SimSocket, call: Call, came: Option<usize>) {
        let peer = socket.number;
        self.note(Event::Call { peer, call, came });
        let probing = self.mode.get() == Mode::Probing;
        assert!(
            !(probing && came.is_some()),
            "a lost wake-up: peer {peer} can {call:?} {came:?} at rest, and was not served"
        );
    }

    /// Bytes may be moved only while the budget of the turn is not spent.
    pub fn moved(&self, bytes: usize) {
        let mut turn = self.turn.get();
        let spent = turn.moved;
        let left = spent < self.plan.limits.turn_bytes;
        assert!(left, "a step after {spent} bytes in one turn");
        turn.moved += bytes;
        self.turn.set(turn);
    }

    /// A step of a body that is no small one has a bulk turn, and is alone in it.
    pub fn stepped(&self, most: usize) {
        if most <= self.plan.limits.small_body {
            return;
        }
        let mut turn = self.turn.get();
        turn.steps += 1;
        assert!(turn.bulk && turn.steps == 1, "a big step out of turn");
        self.turn.set(turn);
    }

    /// Nothing is taken in while too much is owed. What the inbox held is known from the room
    /// that was left in the read buffer.
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
        let perhaps = socket.perhaps.is_some();
        assert!(
            owed < self.plan.high_water || perhaps,
            "a read while {owed} bytes are owed"
        );
    }

    /// The peer is sent what its script says, byte for byte.
    pub fn wrote(&self, socket: &SimSocket, bytes: &[u8]) {
        self.moved(bytes.len());
        let rest = &socket.script.expected[socket.sent..];
        assert!(
            rest.starts_with(bytes),
            "peer {} hears {:?} instead of {:?}",
            socket.number,
            String::from_utf8_lossy(bytes),
            String::from_utf8_lossy(&rest[..rest.len().min(bytes.len())])
        );
    }

    /// The sending side is closed once, and behind all that is owed.
    pub fn shuts(&self, socket: &mut SimSocket) {
        assert!(socket.shut.is_none(), "its sending side is closed twice");
        assert!(
            socket.has_heard_all(),
            "peer {} is told the end {} bytes early",
            socket.number,
            socket.pending()
        );
        socket.shut = Some(self.now.get());
        socket.moved = self.now.get();
    }
}

impl SimSocket {
    /// A splice takes no more than the body has, and stops in front of urgent data.
    pub fn may_take(&self, most: usize) {
        let mut bodies = self.script.bodies.iter();
        let body = bodies.find(|body| body.contains(&self.taken));
        let left = body.map_or(0, |body| body.end - self.taken);
        assert!(
            most <= left,
            "{most} bytes are asked of a body that has {left}"
        );
        let told = self.urgent.is_some_and(|urgent| urgent <= self.arrived) && !self.owed;
        assert!(
            !told,
            "urgent data was announced, and a splice stops in front of it"
        );
    }
}
