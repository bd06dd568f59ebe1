//! One connection: its socket, its session, and what is known of the socket's readiness.
//!
//! ```text
//!            session closes, outbox empty           end of stream, 1 MiB or 2 s
//!   Open ─────────────────────────────▶ Lingering ─────────────────────────▶ over
//!     └── the peer had finished already, or broke off, or was idle too long ──▶ over
//! ```

use super::clock::Moment; // microseconds since the start
use crate::session::close_reason::CloseReason; // why a connection ends
use crate::session::observer::Readiness; // which calls would not block
use crate::session::session::{Deadline, Session}; // what must happen in time; the conversation
use crate::wire::follows::Timer; // which silence of the peer

/// Where a connection stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The session is served.
    Open,
    /// Our stream has ended. What the peer still sends is read and discarded: closing over unread
    /// bytes would reset the connection, and the peer might lose the last reply.
    Lingering {
        /// How many more bytes are discarded.
        left: u32,
        /// Why the session closed.
        reason: CloseReason,
    },
}

/// A slot of the table.
pub struct Connection<S> {
    /// The stream.
    pub socket: S,
    /// The conversation.
    pub session: Session,
    /// When the peer last made progress in any direction.
    pub last_progress: Moment,
    /// The number that names this connection in events, logs and traces.
    pub serial: u32,
    /// The place of its service in the list of listeners.
    pub service: u16,
    /// Whether it stands in the run queue.
    pub queued: bool,
    /// What its last turns took, in microseconds.
    pub cost: u16,
    /// Whether its socket is corked.
    pub corked: bool,
    /// What its deadline means.
    pub deadline: Deadline,
    /// The second in which that comes, however much moves until then; `u32::MAX` is never.
    pub deadline_second: u32,
    /// Bytes moved since that was set.
    pub moved: u64,
    /// Whether the protocol has taken bytes since the deadline was looked at.
    pub consumed: bool,
    /// What the kernel has reported.
    pub ready: Readiness,
    /// Where it stands in its life.
    pub phase: Phase,
    /// A silence that is over, and that the session has not been shown.
    pub silence: Option<Timer>,
    /// Kinds of timer that have an entry in the queues, one bit each.
    pub armed: u8,
    /// Kinds of timer that have passed since the last progress, one bit each.
    pub passed: u8,
}

impl<S> Connection<S> {
    /// A connection just accepted. Both bits are set: the peer may have spoken already, and edges
    /// from before the registration do not come.
    pub fn new(
        socket: S,
        session: Session,
        serial: u32,
        service: u16,
        now: Moment,
    ) -> Connection<S> {
        Connection {
            socket,
            session,
            last_progress: now,
            serial,
            service,
            queued: false,
            // Nothing is known of it yet: those that are known to be cheap come first.
            cost: 64,
            corked: false,
            deadline: Deadline::None,
            deadline_second: u32::MAX,
            moved: 0,
            consumed: false,
            ready: Readiness {
                readable: true,
                writable: true,
                drain_to_eof: false,
            },
            phase: Phase::Open,
            silence: None,
            armed: 0,
            passed: 0,
        }
    }

    /// So many bytes have moved, or something else has: silences begin anew.
    pub fn progressed(&mut self, bytes: usize, now: Moment) {
        self.moved = self.moved.saturating_add(bytes as u64);
        self.last_progress = now;
        self.silence = None;
        self.passed = 0;
    }

    /// A turn took so long. One long turn alone is not believed: another process may have had the
    /// core meanwhile.
    pub fn record_cost(&mut self, micros: u64) {
        let believed = micros.min(u64::from(2 * self.cost + 64)) as u16;
        self.cost = self.cost.midpoint(believed).min(1_000);
    }

    /// Whether the next pages of the file that it is sent are still on the disk.
    pub fn is_cold(&self) -> bool {
        self.armed & bit(Timer::Cold) != 0
    }

    /// The timer to measure now, if it has not passed since the last progress.
    pub fn awaited(&self) -> Option<Timer> {
        let awaited = match self.phase {
            Phase::Open => self.session.awaited(),
            Phase::Lingering { .. } => Some(Timer::Linger),
        };
        awaited.filter(|timer| self.passed & bit(*timer) == 0)
    }
}

/// The bit of a timer in `armed` and `passed`.
pub fn bit(timer: Timer) -> u8 {
    1 << timer.index()
}
