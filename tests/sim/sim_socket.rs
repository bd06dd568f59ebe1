//! Is one simulated connection: what has arrived, what has left, and which edge the kernel owes.

use super::script::{Script, Service, Until};
use crate::memory::counting::Bodies;
use loket::reactor::ReactorLimits;
use loket::reactor::clock::Moment;
use loket::reactor::token::Key;
use loket::session::close_reason::CloseReason;
use loket::session::observer::Readiness;
use std::cell::RefCell;
use std::rc::Rc;

/// A system call and what came of it; `None` is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Read { most: usize, got: Option<usize> },
    Write { most: usize, got: Option<usize> },
    SendBody { at: u64, most: usize },
    TakeBody { at: u64, most: usize },
    Cork(bool),
    Acknowledge,
    FinishWriting,
}

/// A socket as the engine, the I/O and the watcher share it.
pub type Handle = Rc<RefCell<SimSocket>>;

/// One connection, seen from the network.
#[derive(Default)]
pub struct SimSocket {
    pub number: usize,
    pub script: Script,
    pub bodies: Bodies,
    pub key: Option<Key>,
    /// Bytes of the input that have arrived, and that the server has read.
    pub arrived: usize,
    pub taken: usize,
    /// Bytes that its protocol was shown and took.
    pub took: usize,
    pub end_arrived: bool,
    pub end_read: bool,
    /// A read stops in front of this byte, once.
    pub urgent: Option<usize>,
    pub reset: bool,
    /// The server was told of the reset.
    pub dead: bool,
    /// Bytes that the server has sent, and that the peer has read.
    pub sent: usize,
    pub heard: usize,
    pub window: usize,
    /// A write was refused: an edge is owed once there is room.
    pub full: bool,
    /// When the server has closed its sending side.
    pub shut: Option<Moment>,
    pub drained: usize,
    /// An edge that was not delivered yet.
    pub owed: bool,
    /// Nothing was said of readiness since the last call in vain.
    pub read_in_vain: bool,
    pub write_in_vain: bool,
    /// When bytes last moved, and when it last had a turn.
    pub moved: Moment,
    pub served: Moment,
    /// When its protocol last took bytes, and how many had moved at which times.
    pub took_at: Moment,
    pub history: Vec<(Moment, usize)>,
    /// The last turn left something in the outbox.
    pub owes: bool,
    /// The server waits for the settle window: it has noticed a pause.
    pub paused: bool,
    pub never_reads: bool,
    pub never_writes: bool,
    /// Of a talk client: it was kicked, it must be dropped for its backlog, and from here on it
    /// may be closing already, so that what it is told may not reach it.
    pub kicked: bool,
    pub too_slow: bool,
    pub perhaps: Option<usize>,
    /// How many of the lines in the script were understood.
    pub understood: usize,
    pub closed: Option<CloseReason>,
    /// The server goes down, or has refused it, before it was accepted.
    pub turned_away: bool,
    /// All that the server has sent.
    pub output: Vec<u8>,
    /// Of a test by hand: the next so many calls are interrupted, the next so many pieces of a
    /// body are still on the disk, and so many microseconds pass with every write.
    pub interrupts: usize,
    pub cold: usize,
    pub write_micros: u64,
    pub calls: Vec<Call>,
}

impl SimSocket {
    /// A connection before anything has happened.
    pub fn new(number: usize, script: Script, window: usize) -> SimSocket {
        SimSocket {
            number,
            script,
            window,
            ..SimSocket::default()
        }
    }

    /// Whom it speaks to.
    pub fn service(&self) -> Service {
        self.script.service
    }

    /// Bytes have moved, one way or the other.
    pub fn moved_bytes(&mut self, bytes: usize, now: Moment) {
        self.moved = now;
        let before = self.history.last().map_or(0, |(_, total)| *total);
        self.history.push((now, before + bytes));
    }

    /// How many bytes have moved since then.
    pub fn moved_since(&self, since: Moment) -> usize {
        let behind = self.history.partition_point(|(when, _)| *when < since);
        let total = |at: usize| self.history.get(at).map_or(0, |(_, total)| *total);
        let before = if behind == 0 { 0 } else { total(behind - 1) };
        self.history.last().map_or(0, |(_, total)| *total) - before
    }

    /// Whether it is the operator's.
    pub fn is_console(&self) -> bool {
        self.service() == Service::Console
    }

    /// Whether others decide what it hears.
    pub fn is_conversation(&self) -> bool {
        matches!(self.service(), Service::Console | Service::Talk)
    }

    /// Whether all that the server owed has left it. Who may have been closing hears what was
    /// said before that.
    pub fn has_heard_all(&self) -> bool {
        self.pending() == 0 || self.perhaps.is_some_and(|perhaps| self.sent >= perhaps)
    }

    /// Bytes that the socket takes before it is full.
    pub fn room(&self) -> usize {
        self.window.saturating_sub(self.sent - self.heard)
    }

    /// Bytes that were sent by the server's protocol and not by its socket.
    pub fn pending(&self) -> usize {
        self.script.expected.len() - self.sent
    }

    /// Bytes that the last turn left behind, as far as that is seen from outside.
    pub fn pending_now(&self) -> usize {
        if self.owes { self.pending() } else { 0 }
    }

    /// Whether a read would find something, be it the end.
    pub fn has_news(&self) -> bool {
        self.arrived > self.taken || (self.end_arrived && !self.end_read) || self.reset
    }

    /// What an event says: the state at the moment of its delivery, as epoll(7) has it.
    pub fn mask(&self) -> Readiness {
        Readiness {
            readable: self.arrived > self.taken || self.end_arrived || self.reset,
            writable: self.room() > 0 || self.reset,
            read_on: self.end_arrived
                || self.reset
                || self.urgent.is_some_and(|urgent| urgent <= self.arrived),
        }
    }

    /// How far the peer may speak before it waits for something.
    pub fn may_say(&self) -> usize {
        let gate = self.script.gates.iter().find(|gate| self.is_closed(gate));
        gate.map_or(self.script.input.len(), |(at, _)| *at)
    }

    /// Whether the peer's end of stream may come: all is said, or the server has said goodbye.
    pub fn may_end(&self) -> bool {
        let all = self.script.input.len();
        let said = self.arrived == all && self.may_say() == all && !self.is_gated();
        !self.end_arrived && (said || (self.shut.is_some() && self.heard == self.sent))
    }

    fn is_gated(&self) -> bool {
        self.script.gates.iter().any(|gate| self.is_closed(gate))
    }

    fn is_closed(&self, (_, until): &(usize, Until)) -> bool {
        match *until {
            Until::Heard(bytes) => self.heard < bytes,
            Until::Took(bytes) => self.took < bytes,
            Until::Paused => !self.paused,
        }
    }

    /// So many more bytes arrive.
    pub fn arrive(&mut self, bytes: usize) {
        self.arrived += bytes;
        self.owed = true;
    }

    /// The end of the stream arrives.
    pub fn arrive_end(&mut self) {
        self.end_arrived = true;
        self.owed = true;
    }

    /// The peer reads.
    pub fn hear(&mut self, bytes: usize) {
        self.heard += bytes;
        if std::mem::take(&mut self.full) {
            self.owed = true;
        }
    }

    /// The connection breaks: what has not been read is gone.
    pub fn break_off(&mut self) {
        self.reset = true;
        self.owed = true;
    }

    /// Whether the peer can do no more, and has got what it waits for.
    pub fn is_over(&self) -> bool {
        self.closed.is_some() || self.turned_away
    }

    /// Whether a silence of the peer would now be misunderstood, and when at the latest it must
    /// have gone on speaking.
    pub fn must_speak(&self, limits: &ReactorLimits) -> Option<(usize, Moment)> {
        if self.is_over() || self.reset || self.shut.is_some() || self.end_read {
            return None;
        }
        let tight = self.script.tights.iter().find(|tight| {
            let bytes = &tight.bytes;
            self.taken > bytes.start && self.taken < bytes.end && bytes.start < self.arrived
        })?;
        if self.arrived < tight.bytes.end
            && self.may_say() <= self.arrived
            && !self.may_end()
            && !self.end_arrived
        {
            return None;
        }
        let until = self.moved.after(limits.micros(tight.within) - 1);
        Some((tight.bytes.end, until))
    }
}
