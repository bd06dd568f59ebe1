//! One connection: its socket, its session, and the readiness of the socket.
//!
//! ```text
//!          session closes, outbox flushed         end of stream, 1 MiB or 2 s
//!   Open ─────────────────────────────▶ Lingering ────────────────────────────▶ closed
//!     └── the peer has ended its stream, or has reset it, or a deadline expired ──▶ closed
//! ```

use super::clock::Moment; // a time in microseconds since the start
use crate::session::close_reason::CloseReason; // why a connection ends
use crate::session::observer::Readiness; // whether the socket is readable and writable
use crate::session::session::{Deadline, Session}; // what is due in time; a protocol, its buffers
use crate::wire::follows::Timer; // kinds of silence

/// Whether a connection is served, or only read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The session has turns.
    Open,
    /// Our side of the stream is shut down. What the peer still sends is read and discarded:
    /// close(2) with unread bytes would reset the connection, and the peer might lose the last
    /// reply (RFC 1122, 4.2.2.13).
    Lingering {
        /// Bytes that may still be discarded.
        left: u32,
        /// Why the session closed.
        reason: CloseReason,
    },
}

/// A slot of the table.
pub struct Connection<S> {
    /// The socket, or the streams of the operator.
    pub socket: S,
    /// The protocol and its buffers.
    pub session: Session,
    /// Whether a byte was moved.
    pub spoke: bool,
    /// When a byte was last moved, in either direction.
    pub last_progress: Moment,
    /// The number of its listener.
    pub service: u16,
    /// Whether the kernel reports its events.
    pub registered: bool,
    /// Whether it is in the run queue.
    pub queued: bool,
    /// How long its last turns took: a smoothed value in microseconds.
    pub cost: u16,
    /// Whether `TCP_CORK` is set on the socket.
    pub corked: bool,
    /// What the peer must do before `deadline_second`.
    pub deadline: Deadline,
    /// The second of that deadline, which progress does not move; `u32::MAX` is never.
    pub deadline_second: u32,
    /// The second since which the session waits for a disk; `u32::MAX` if it does not.
    pub disk_since: u32,
    /// Whether a disk operation of the session has completed since the last turn.
    pub answered: bool,
    /// Whether it broke while the session waited for a disk, with input that is not read.
    pub broken: bool,
    /// Bytes moved since that deadline was set.
    pub moved: u64,
    /// Whether the protocol has consumed bytes since the deadline was last updated.
    pub consumed: bool,
    /// What the kernel has reported.
    pub ready: Readiness,
    /// Whether it is served, or only read to its end.
    pub phase: Phase,
    /// A timer that has expired and that the session has not got yet.
    pub silence: Option<Timer>,
    /// Timers that are in the queues of `timers.rs`, one bit each.
    pub armed: u8,
    /// Timers that have expired since the last progress, one bit each.
    pub expired: u8,
}

impl<S> Connection<S> {
    /// A connection that was just accepted. All readiness bits are set: what arrives before the
    /// registration causes no event.
    pub fn new(socket: S, session: Session, service: u16, now: Moment) -> Connection<S> {
        Connection {
            socket,
            session,
            spoke: false,
            last_progress: now,
            service,
            registered: false,
            queued: false,
            // Not measured yet: connections with cheap turns come first.
            cost: 64,
            corked: false,
            deadline: Deadline::None,
            deadline_second: u32::MAX,
            disk_since: u32::MAX,
            answered: false,
            broken: false,
            moved: 0,
            consumed: false,
            ready: Readiness {
                drain_to_eof: true,
                ..Readiness::BOTH
            },
            phase: Phase::Open,
            silence: None,
            armed: 0,
            expired: 0,
        }
    }

    /// Notes progress: bytes that were moved, or 0 for progress of another kind. Timers start anew.
    pub fn progressed(&mut self, bytes: usize, now: Moment) {
        self.moved = self.moved.saturating_add(bytes as u64);
        (self.spoke, self.last_progress) = (self.spoke || bytes > 0, now);
        self.silence = None;
        self.expired = 0;
    }

    /// Notes how long a turn took. One long turn counts little: another process may have had the
    /// core.
    pub fn record_cost(&mut self, micros: u64) {
        let capped = micros.min(u64::from(2 * self.cost + 64)) as u16;
        self.cost = self.cost.midpoint(capped).min(1_000);
    }

    /// The timer that must run now, if it has not expired since the last progress.
    pub fn awaited(&self) -> Option<Timer> {
        let awaited = match self.phase {
            Phase::Open => self.session.awaited(),
            Phase::Lingering { .. } => Some(Timer::Linger),
        };
        awaited.filter(|timer| self.expired & bit(*timer) == 0)
    }
}

/// The bit of a timer in `armed` and `expired`.
pub fn bit(timer: Timer) -> u8 {
    1 << timer.index()
}
