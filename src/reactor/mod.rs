//! The readiness loop: the only room that knows mio, sockets and the clock.

pub mod acceptor;
pub mod clock;
pub mod connection;
pub mod datagram;
pub mod dispatcher;
pub mod event_loop;
pub mod fd_limit;
pub mod io;
pub mod linux;
pub mod log;
pub mod loop_lag;
pub mod per_ip_limit;
pub mod run_queue;
pub mod sendfile;
pub mod signals;
pub mod splice;
pub mod stdio;
pub mod step_size;
pub mod table;
pub mod timers;
pub mod token;
pub mod trace;
pub mod turn;
pub mod udp;

use crate::wire::follows::Timer;

/// Limits of the reactor.
#[derive(Debug, Clone, Copy)]
pub struct ReactorLimits {
    /// Connections served at once.
    pub connections: usize,
    /// Connections accepted in one turn of a listener.
    pub accepts_per_turn: usize,
    /// Events taken from the kernel in one round.
    pub events_per_round: usize,
    /// Bytes moved in one turn, both directions together.
    pub turn_bytes: usize,
    /// Calls of its protocol in one turn: a few bytes can ask for a lot of work.
    pub turn_calls: usize,
    /// Calls of its protocol in a short turn.
    pub short_calls: usize,
    /// Microseconds after which no more short turns are given before the next poll.
    pub short_micros: u64,
    /// Bytes of bodies moved between two polls when nobody has a short turn.
    pub bulk_bytes: usize,
    /// Bulk turns between two polls when nobody has a short turn.
    pub bulk_turns: usize,
    /// Microseconds after which nobody else's big piece is begun before the next poll.
    pub bulk_micros: u64,
    /// Bytes of a body sent in one step.
    pub send_step: usize,
    /// Bytes of a body taken in one step.
    pub receive_step: usize,
    /// A body of at most this is moved at once, beside the short turns.
    pub small_body: usize,
    /// The one read buffer.
    pub read_buffer: usize,
    /// Bytes read at once where commands are expected, which also bounds an inbox.
    pub command_read: usize,
    /// Bytes read away of a peer that has been told goodbye.
    pub linger_bytes: usize,
    /// Milliseconds for which the kernel keeps what the peer of a closed connection does not take.
    pub unsent_millis: u64,
    /// See [`Timer::Interbyte`].
    pub interbyte_millis: u64,
    /// See [`Timer::Settle`].
    pub settle_millis: u64,
    /// See [`Timer::PartialCommand`].
    pub partial_command_millis: u64,
    /// See [`Timer::HeaderGap`].
    pub header_gap_millis: u64,
    /// See [`Timer::FirstByte`].
    pub first_byte_millis: u64,
    /// See [`Timer::Linger`].
    pub linger_millis: u64,
    /// See [`Timer::Pace`].
    pub pace_millis: u64,
    /// See [`Timer::Cold`].
    pub cold_millis: u64,
    /// Seconds without progress until a connection is closed; `None` is never.
    pub idle_seconds: Option<u32>,
    /// Seconds that a command may take from its first byte to its last.
    pub command_seconds: u32,
    /// Bytes a second that a body must move, or its connection is closed.
    pub min_rate: u64,
    /// Seconds over which that is judged.
    pub rate_seconds: u32,
    /// Bytes that a reader may be ahead of that.
    pub rate_surplus: u64,
    /// Connections from one address; `None` is any number.
    pub per_ip: Option<usize>,
    /// A turn, or a round without a poll, of so many microseconds is told to the operator.
    pub slow_micros: u64,
    /// Bytes of lines for the operator above which standard output comes before all others.
    pub operator_high_water: usize,
    /// Seconds after which standard output that takes nothing is not waited for.
    pub operator_stall_seconds: u32,
    /// Lines a second about uploads that were refused, cut or failed.
    pub uploads_logged: u32,
    /// Seconds that transfers under way are given when the server goes down.
    pub drain_seconds: u64,
}

impl ReactorLimits {
    /// The length of a delay in microseconds.
    pub fn micros(&self, delay: Timer) -> u64 {
        let millis = match delay {
            Timer::Interbyte => self.interbyte_millis,
            Timer::Settle => self.settle_millis,
            Timer::PartialCommand => self.partial_command_millis,
            Timer::HeaderGap => self.header_gap_millis,
            Timer::FirstByte => self.first_byte_millis,
            Timer::Linger => self.linger_millis,
            Timer::Pace => self.pace_millis,
            Timer::Cold => self.cold_millis,
        };
        millis * 1_000
    }
}
