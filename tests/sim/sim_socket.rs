//! A simulated socket: its bytes in both directions, its pending event and its faults.

use super::script::{Script, Service, Until};
use crate::memory::counting::Bodies;
use loket::reactor::ReactorLimits;
use loket::reactor::clock::Moment;
use loket::session::close_reason::CloseReason;
use loket::session::observer::Readiness;
use loket::session::session_id::SessionId;
use std::cell::RefCell;
use std::rc::Rc;

/// A system call and the number of bytes it moved; `None` is an error.
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

/// One connection, as the network sees it.
#[derive(Default)]
pub struct SimSocket {
    pub number: usize,
    pub script: Script,
    pub bodies: Bodies,
    /// Of its connection, from the accept on.
    pub serial: Option<u32>,
    /// Of its connection, once it is registered: before, no event is reported.
    pub id: Option<SessionId>,
    /// Bytes of the input that have arrived, and that the server has read.
    pub arrived: usize,
    pub taken: usize,
    /// Bytes that the protocol has consumed.
    pub consumed: usize,
    pub end_arrived: bool,
    pub end_read: bool,
    /// A read stops before this byte, once (urgent data, tcp(7)).
    pub urgent: Option<usize>,
    pub reset: bool,
    /// A call of the server has returned the reset.
    pub reset_seen: bool,
    /// Bytes that the server has sent, and that the peer has received.
    pub sent: usize,
    pub received: usize,
    pub window: usize,
    /// A write returned EAGAIN: an event follows when there is space.
    pub full: bool,
    /// When the server shut down its sending side.
    pub shut: Option<Moment>,
    pub drained: usize,
    /// An event is pending.
    pub event_pending: bool,
    /// A call returned EAGAIN and no event has been delivered since.
    pub read_in_vain: bool,
    pub write_in_vain: bool,
    /// The time of the last moved byte, of the last turn, and of the last completion of its disk.
    pub moved: Moment,
    pub served: Moment,
    pub answered: Moment,
    /// The time when the protocol last consumed bytes, and the total of moved bytes over time.
    pub consumed_at: Moment,
    pub history: Vec<(Moment, usize)>,
    /// The last turn left output in the outbox.
    pub owes: bool,
    /// The session awaits the settle window: it has noticed a pause.
    pub paused: bool,
    pub never_reads: bool,
    pub never_writes: bool,
    /// Of a talk client: it was kicked; its backlog is full; and the offset of the output from
    /// which on it may be closing already, so that it need not arrive.
    pub kicked: bool,
    pub too_slow: bool,
    pub maybe_closing: Option<usize>,
    /// Of an HTTP client: where the answer begins that a deadline has passed.
    pub timed_out: Option<usize>,
    /// The number of messages of the script that the protocol has parsed.
    pub parsed: usize,
    pub closed: Option<CloseReason>,
    /// The server refused it, or was shut down before it was accepted.
    pub rejected: bool,
    /// All bytes that the server has sent.
    pub output: Vec<u8>,
    /// Set by tests: the number of calls that will return EINTR, and the microseconds that every
    /// write takes.
    pub interrupts: usize,
    pub write_micros: u64,
    pub calls: Vec<Call>,
}

impl SimSocket {
    /// A new connection.
    pub fn new(number: usize, script: Script, window: usize) -> SimSocket {
        SimSocket {
            number,
            script,
            window,
            ..SimSocket::default()
        }
    }

    /// The service that it is connected to.
    pub fn service(&self) -> Service {
        self.script.service
    }

    /// Records bytes that moved in either direction.
    pub fn moved_bytes(&mut self, bytes: usize, now: Moment) {
        self.moved = now;
        let before = self.history.last().map_or(0, |(_, total)| *total);
        self.history.push((now, before + bytes));
    }

    /// The number of bytes that moved since then.
    pub fn moved_since(&self, since: Moment) -> usize {
        let behind = self.history.partition_point(|(when, _)| *when < since);
        let total = |at: usize| self.history.get(at).map_or(0, |(_, total)| *total);
        let before = if behind == 0 { 0 } else { total(behind - 1) };
        self.history.last().map_or(0, |(_, total)| *total) - before
    }

    /// Whether it is the operator.
    pub fn is_operator(&self) -> bool {
        self.service() == Service::Operator
    }

    /// Whether its output depends on other connections.
    pub fn is_conversation(&self) -> bool {
        matches!(self.service(), Service::Operator | Service::Talk)
    }

    /// Whether the server has sent all expected output; a connection that may have been closing
    /// gets only the part before that.
    pub fn has_received_all(&self) -> bool {
        self.pending() == 0
            || self
                .maybe_closing
                .is_some_and(|maybe_closing| self.sent >= maybe_closing)
    }

    /// The free space of the socket.
    pub fn room(&self) -> usize {
        self.window.saturating_sub(self.sent - self.received)
    }

    /// Expected output that is not sent yet.
    pub fn pending(&self) -> usize {
        self.script.expected.len() - self.sent
    }

    /// Output that the last turn left in the outbox.
    pub fn pending_now(&self) -> usize {
        if self.owes { self.pending() } else { 0 }
    }

    /// Whether a read would return bytes, the end of the stream or an error.
    pub fn is_readable(&self) -> bool {
        self.arrived > self.taken || (self.end_arrived && !self.end_read) || self.reset
    }

    /// The readiness that an event reports: the state at its delivery, as in epoll(7).
    pub fn readiness(&self) -> Readiness {
        Readiness {
            readable: self.arrived > self.taken || self.end_arrived || self.reset,
            writable: self.room() > 0 || self.reset,
            drain_to_eof: self.end_arrived
                || self.reset
                || self.urgent.is_some_and(|urgent| urgent <= self.arrived),
        }
    }

    /// The number of input bytes up to the next wait of the script.
    pub fn may_send(&self) -> usize {
        let wait = self.script.waits.iter().find(|wait| self.is_unmet(wait));
        wait.map_or(self.script.input.len(), |(at, _)| *at)
    }

    /// Whether the peer may end its stream: all is sent, or the server has ended its own.
    pub fn may_end(&self) -> bool {
        let all = self.script.input.len();
        let all_sent = self.arrived == all && self.may_send() == all && !self.is_waiting();
        !self.end_arrived && (all_sent || (self.shut.is_some() && self.received == self.sent))
    }

    fn is_waiting(&self) -> bool {
        self.script.waits.iter().any(|wait| self.is_unmet(wait))
    }

    fn is_unmet(&self, (_, until): &(usize, Until)) -> bool {
        match *until {
            Until::Received(bytes) => self.received < bytes,
            Until::Consumed(bytes) => self.consumed < bytes,
            Until::Paused => !self.paused,
        }
    }

    /// Bytes arrive.
    pub fn arrive(&mut self, bytes: usize) {
        self.arrived += bytes;
        self.event_pending = true;
    }

    /// The end of the stream arrives.
    pub fn arrive_end(&mut self) {
        self.end_arrived = true;
        self.event_pending = true;
    }

    /// The peer reads.
    pub fn receive(&mut self, bytes: usize) {
        self.received += bytes;
        if std::mem::take(&mut self.full) {
            self.event_pending = true;
        }
    }

    /// The connection is reset: unread bytes are lost.
    pub fn break_off(&mut self) {
        self.reset = true;
        self.event_pending = true;
    }

    /// Whether the connection is closed or was never accepted.
    pub fn is_over(&self) -> bool {
        self.closed.is_some() || self.rejected
    }

    /// The bytes that must have arrived, and until when, because a silence would change their
    /// meaning.
    pub fn must_send(&self, limits: &ReactorLimits) -> Option<(usize, Moment)> {
        if self.is_over() || self.reset || self.shut.is_some() || self.end_read {
            return None;
        }
        let no_pause = self.script.no_pauses.iter().find(|no_pause| {
            let bytes = &no_pause.bytes;
            self.taken > bytes.start && self.taken < bytes.end && bytes.start < self.arrived
        })?;
        if self.arrived < no_pause.bytes.end
            && self.may_send() <= self.arrived
            && !self.may_end()
            && !self.end_arrived
        {
            return None;
        }
        let until = self.moved.after(limits.micros(no_pause.within) - 1);
        Some((no_pause.bytes.end, until))
    }
}
