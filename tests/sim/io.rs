//! Is a kernel that does to every call what a real one may, by seed, and watches who calls.
//! Owes an edge for all that it kept back; delivering edges is the engine's business.

use super::shared::{Mood, Shared};
use super::sim_socket::{Handle, Wire};
use super::trace::Event;
use loket::reactor::clock::Moment;
use loket::reactor::io::{Io, Sent, TakeError};
use loket::reactor::token::Key;
use loket::session::blob::Blob;
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

/// The kernel of one seed.
pub struct WildKernel(pub Rc<Shared>);

impl WildKernel {
    /// What is written to a peer that was not registered is its refusal.
    fn refuse(&self, wire: &mut Wire, bytes: &[u8]) -> usize {
        assert_eq!(bytes, REFUSAL);
        let most = self.0.plan.limits.per_address;
        let there = self.connections_from(wire);
        assert_eq!(Some(there), most, "there was room");
        wire.turned_away = true;
        bytes.len()
    }

    fn connections_from(&self, wire: &Wire) -> usize {
        let address = |number| -> IpAddr { address(number).ip() };
        let live = self.0.live.borrow();
        let there = live.values().filter(|other| {
            let other = other.borrow();
            !other.is_console() && address(other.number) == address(wire.number)
        });
        there.count()
    }

    /// Every call is made in a turn of its own connection, and none after the last.
    fn called(&self, wire: &Wire) {
        let serial = wire.key.map(|key| key.serial);
        assert_eq!(self.0.turn.get().serial, serial, "a call out of turn");
        assert!(wire.closed.is_none(), "a call on a closed connection");
        assert!(!wire.dead, "a call after the connection broke");
    }

    fn done(&self, wire: &Wire, name: &'static str, most: usize, came: Option<usize>) {
        let peer = wire.number;
        self.0.note(Event::Call {
            peer,
            name,
            most,
            came,
        });
        let probing = self.0.mood.get() == Mood::Probing;
        assert!(
            !(probing && came.is_some()),
            "a lost wake-up: peer {peer} can {name} {came:?} at rest, and nobody did"
        );
    }

    /// Bytes may be moved only while the budget of the turn is not spent.
    fn moved(&self, bytes: usize) {
        let mut turn = self.0.turn.get();
        assert!(
            turn.moved < self.0.plan.limits.turn_bytes,
            "a step after {} bytes in one turn",
            turn.moved
        );
        turn.moved += bytes;
        self.0.turn.set(turn);
    }

    /// A step of a body that is no small one has a bulk turn, and is alone in it.
    fn stepped(&self, most: usize) {
        if most <= self.0.plan.limits.small_body {
            return;
        }
        let mut turn = self.0.turn.get();
        turn.steps += 1;
        assert!(turn.bulk && turn.steps == 1, "a big step out of turn");
        self.0.turn.set(turn);
    }

    fn fails(&self, wire: &mut Wire) -> io::Result<()> {
        if self.0.strikes(self.0.plan.mischief.interrupt) {
            return Err(ErrorKind::Interrupted.into());
        }
        if wire.reset {
            wire.dead = true;
            return Err(ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    /// How much a read may give; `WouldBlock` says that nothing is there, or nothing yet.
    fn readable(&self, wire: &mut Wire, most: usize, stops: bool) -> io::Result<usize> {
        assert!(!wire.end_read, "a read behind the end of the stream");
        assert!(!wire.read_in_vain, "a read that was in vain is made again");
        self.fails(wire)?;
        let end = match wire.urgent {
            Some(urgent) if urgent > wire.taken => wire.arrived.min(urgent),
            Some(urgent) if urgent == wire.taken && stops => wire.taken,
            _ => wire.arrived,
        };
        let kept_back = self.0.strikes(self.0.plan.mischief.would_block);
        let ended = wire.end_arrived && wire.taken == wire.arrived;
        if kept_back || (end == wire.taken && !ended) {
            wire.read_in_vain = true;
            wire.owed |= wire.has_news() && kept_back;
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(most.min(end - wire.taken))
    }

    fn read_now(&self, wire: &mut Wire, most: usize) -> io::Result<usize> {
        let mut count = self.readable(wire, most, false)?;
        if wire.is_console() {
            // A terminal hands out a line at a time, whatever else is there.
            let unread = &wire.script.input[wire.taken..wire.taken + count];
            let line = unread.iter().position(|&byte| byte == b'\n');
            count = line.map_or(count, |end| end + 1);
        }
        self.moved(count);
        if wire.shut.is_none() {
            self.may_read(wire, most);
        } else {
            wire.drained += count;
        }
        self.take(wire, count);
        Ok(count)
    }

    fn take(&self, wire: &mut Wire, count: usize) {
        if wire.urgent == Some(wire.taken) {
            wire.urgent = None;
        }
        wire.taken += count;
        wire.end_read |= count == 0;
        // What is read away behind a goodbye buys no time.
        if wire.shut.is_none() {
            wire.moved_bytes(count, self.0.now.get());
        }
    }

    /// Nothing is taken in while too much is owed. What the inbox held is known from the room
    /// that was left in the read buffer.
    fn may_read(&self, wire: &Wire, most: usize) {
        let held = self.0.plan.limits.read_buffer - most;
        let consumed = wire.taken - held;
        let (owed, body_end) = match wire.is_conversation() {
            true => (wire.script.expected.len(), 0),
            false => {
                let point = wire.script.owed(consumed);
                (point.owed, point.body_end)
            }
        };
        assert!(wire.sent >= body_end, "a read while a body is owed");
        let owed = owed.saturating_sub(wire.sent);
        let perhaps = wire.perhaps.is_some();
        assert!(
            owed < self.0.plan.high_water || perhaps,
            "a read while {owed} bytes are owed"
        );
    }

    fn write_now(&self, wire: &mut Wire, bytes: &[u8]) -> io::Result<usize> {
        assert!(wire.shut.is_none(), "a write after the end");
        assert!(
            !wire.write_in_vain,
            "a write that was in vain is made again"
        );
        self.fails(wire)?;
        let mut count = wire.room().min(bytes.len());
        if self.0.strikes(self.0.plan.mischief.short_write) && count > 1 {
            count = self.0.random.within(1..=count);
        }
        let kept_back = count > 0 && self.0.strikes(self.0.plan.mischief.would_block);
        if kept_back || count == 0 {
            wire.write_in_vain = true;
            wire.full = !kept_back;
            wire.owed |= kept_back;
            return Err(ErrorKind::WouldBlock.into());
        }
        self.moved(count);
        let rest = &wire.script.expected[wire.sent..];
        assert!(
            rest.starts_with(&bytes[..count]),
            "peer {} hears {:?} instead of {:?}",
            wire.number,
            String::from_utf8_lossy(&bytes[..count]),
            String::from_utf8_lossy(&rest[..rest.len().min(count)])
        );
        wire.sent += count;
        wire.moved_bytes(count, self.0.now.get());
        Ok(count)
    }

    fn take_now(
        &self,
        wire: &mut Wire,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> Result<usize, TakeError> {
        let body = wire.script.bodies.iter();
        let mut body = body.filter(|body| body.contains(&wire.taken));
        let left = body.next().map_or(0, |body| body.end - wire.taken);
        assert!(
            most <= left,
            "{most} bytes are asked of a body that has {left}"
        );
        let told = wire.urgent.is_some_and(|urgent| urgent <= wire.arrived) && !wire.owed;
        assert!(
            !told,
            "urgent data was announced, and a splice stops in front of it"
        );
        let count = self.readable(wire, most, true).map_err(TakeError::Socket)?;
        let bytes = wire.script.input[wire.taken..wire.taken + count].to_vec();
        self.take(wire, count);
        self.moved(0);
        blob.write_all_at(&bytes, at).map_err(TakeError::Blob)?;
        self.moved(count);
        Ok(count)
    }
}

impl Io for WildKernel {
    type Socket = Handle;
    type Listener = Backlog;

    fn accept(&mut self, backlog: &mut Backlog) -> io::Result<(Handle, SocketAddr)> {
        if self.0.strikes(self.0.plan.mischief.no_descriptor) {
            self.0.note(Event::NoDescriptor);
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

    fn register(&mut self, socket: &mut Handle, key: Key) -> io::Result<()> {
        // From here on the kernel tells of the connection by its key.
        let mut open = socket.borrow_mut();
        if !open.is_console() {
            let most = self.0.plan.limits.per_address.unwrap_or(usize::MAX);
            assert!(
                self.connections_from(&open) < most,
                "too many of one address"
            );
            if self.0.strikes(self.0.plan.mischief.no_descriptor) {
                open.turned_away = true;
                return Err(ErrorKind::OutOfMemory.into());
            }
            let (peer, serial) = (open.number, key.serial);
            self.0.note(Event::Accepted { peer, serial });
        }
        let now = self.0.now.get();
        (open.key, open.moved, open.served, open.took_at) = (Some(key), now, now, now);
        // Registering tells at once what is known already.
        open.owed = true;
        drop(open);
        self.0.live.borrow_mut().insert(key.serial, socket.clone());
        self.0.queue.borrow_mut().push_short(key.serial);
        Ok(())
    }

    fn read(&mut self, socket: &mut Handle, into: &mut [u8]) -> io::Result<usize> {
        let wire = &mut *socket.borrow_mut();
        self.called(wire);
        let start = wire.taken;
        let got = self.read_now(wire, into.len());
        self.done(wire, "read", into.len(), got.as_ref().ok().copied());
        let count = got?;
        into[..count].copy_from_slice(&wire.script.input[start..start + count]);
        Ok(count)
    }

    fn write(&mut self, socket: &mut Handle, bytes: &[u8]) -> io::Result<usize> {
        let wire = &mut *socket.borrow_mut();
        if wire.key.is_none() {
            return Ok(self.refuse(wire, bytes));
        }
        self.called(wire);
        let put = self.write_now(wire, bytes);
        self.done(wire, "write", bytes.len(), put.as_ref().ok().copied());
        put
    }

    fn send_body(
        &mut self,
        socket: &mut Handle,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> io::Result<Sent> {
        let wire = &mut *socket.borrow_mut();
        self.called(wire);
        assert!(most <= self.0.plan.limits.send_step, "a step too long");
        self.stepped(most);
        if self.0.strikes(self.0.plan.mischief.cold) {
            self.done(wire, "wait for the pages of", most, None);
            return Ok(Sent::Cold);
        }
        let mut bytes = vec![0; most];
        let count = blob.read_at(&mut bytes, at)?;
        if count == 0 {
            self.done(wire, "send the end of a body", most, Some(0));
            return Ok(Sent::Bytes(0));
        }
        let put = self.write_now(wire, &bytes[..count]);
        self.done(wire, "send", most, put.as_ref().ok().copied());
        put.map(Sent::Bytes)
    }

    fn can_take_body(&mut self, _: &dyn Blob) -> bool {
        self.0.plan.direct
    }

    fn take_body(
        &mut self,
        socket: &mut Handle,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> Result<usize, TakeError> {
        let wire = &mut *socket.borrow_mut();
        self.called(wire);
        assert!(most <= self.0.plan.limits.take_step, "a step too long");
        self.stepped(most);
        let took = self.take_now(wire, blob, at, most);
        let came = match &took {
            Ok(count) => Some(*count),
            Err(TakeError::Blob(_)) => Some(0),
            Err(TakeError::Socket(_)) => None,
        };
        self.done(wire, "take", most, came);
        took
    }

    fn cork(&mut self, socket: &mut Handle, _: bool) {
        self.called(&socket.borrow());
    }

    fn acknowledge_now(&mut self, socket: &mut Handle) {
        // After the turn has ended, on what may be closed next.
        assert!(
            socket.borrow().closed.is_none(),
            "a call on a closed connection"
        );
    }

    fn finish_writing(&mut self, socket: &mut Handle) -> io::Result<()> {
        let wire = &mut *socket.borrow_mut();
        if wire.turned_away {
            return Ok(());
        }
        self.called(wire);
        self.done(wire, "shut", 0, Some(0));
        if wire.reset {
            return Err(ErrorKind::NotConnected.into());
        }
        assert!(wire.shut.is_none(), "its sending side is closed twice");
        assert!(
            wire.has_heard_all(),
            "peer {} is told the end {} bytes early",
            wire.number,
            wire.pending()
        );
        wire.shut = Some(self.0.now.get());
        wire.moved = self.0.now.get();
        Ok(())
    }

    fn now(&self) -> Moment {
        self.0.now.get()
    }
}
