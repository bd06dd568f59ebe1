//! The event loop and all that it needs of mio, sockets and the clock.

pub mod acceptor;
pub mod clock;
pub mod connect;
pub mod connection;
pub mod datagram;
pub mod dispatcher;
pub mod event_loop;
pub mod fd_limit;
pub mod io;
pub mod linux;
pub mod log;
pub mod loop_lag;
pub mod own_sessions;
pub mod per_ip_limit;
pub mod poller;
pub mod proxied;
pub mod run_queue;
pub mod sample;
pub mod signals;
pub mod spin;
pub mod splice;
pub mod stdio;
pub mod step_size;
pub mod table;
pub mod timers;
pub mod token;
pub mod turn;
pub mod udp;
pub mod uplink;

use crate::wire::follows::Timer;

/// Limits of the reactor.
#[derive(Debug, Clone, Copy)]
pub struct ReactorLimits {
    /// Connections served at once.
    pub connections: usize,
    /// Connections for which memory is reserved at the start, at most.
    pub reserved: usize,
    /// Connections accepted from one listener in a round.
    pub accepts_per_turn: usize,
    /// Events of one poll.
    pub events_per_round: usize,
    /// Bytes moved in one turn, both directions together.
    pub turn_bytes: usize,
    /// Calls of the protocol in one turn: a few bytes can request much work.
    pub turn_calls: usize,
    /// Calls of the protocol in a short turn.
    pub short_calls: usize,
    /// Microseconds after which no short turn is begun before the next poll.
    pub short_micros: u64,
    /// Bytes moved by bulk turns between two polls, if no short turn waits.
    pub bulk_bytes: usize,
    /// Bulk turns between two polls, if no short turn waits.
    pub bulk_turns: usize,
    /// Microseconds after which no bulk turn is begun before the next poll, if no short turn waits.
    pub bulk_micros: u64,
    /// Bytes of a body sent in one step.
    pub send_step: usize,
    /// Bytes of a body received in one step.
    pub receive_step: usize,
    /// A body of at most this many bytes may be moved in a short turn.
    pub small_body: usize,
    /// Bytes of the shared read buffer.
    pub read_buffer: usize,
    /// Bytes read at once where a command is expected. This bounds the inbox as well.
    pub command_read: usize,
    /// Bytes that a lingering connection reads and discards at most.
    pub linger_bytes: usize,
    /// Milliseconds for which the kernel keeps unsent data of a closed connection.
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
    /// See [`Timer::Heartbeat`].
    pub heartbeat_millis: u64,
    /// Seconds without a moved byte after which a connection is closed; `None` is never.
    pub idle_seconds: Option<u32>,
    /// Seconds that a connection waits for a disk of this machine before it is closed.
    pub disk_seconds: u32,
    /// Seconds from the first byte of a command to its last.
    pub command_seconds: u32,
    /// Bytes a second below which a transfer is closed.
    pub min_rate: u64,
    /// Seconds over which that rate is measured.
    pub rate_seconds: u32,
    /// Of the bytes above that rate, at most this many count for the next measurement.
    pub rate_surplus: u64,
    /// Connections from one address; `None` is no limit.
    pub per_ip: Option<usize>,
    /// Microseconds for which the loop polls without sleeping, while that pays; 0 is never.
    pub spin_micros: u64,
    /// Waits that sleep at once after several spins without an event.
    pub spin_skips: u32,
    /// Microseconds without a poll above which a line is logged.
    pub slow_micros: u64,
    /// Bytes in the console's outbox above which the console has the next turn.
    pub operator_high_water: usize,
    /// Seconds without a write to standard output after which talk clients no longer wait for it.
    pub operator_stall_seconds: u32,
    /// Log lines a second about uploads that were rejected, cut or failed.
    pub uploads_logged: u32,
    /// Seconds that running transfers have when the server shuts down.
    pub drain_seconds: u64,
}

impl ReactorLimits {
    /// The length of a timer in microseconds.
    pub fn micros(&self, timer: Timer) -> u64 {
        let millis = match timer {
            Timer::Interbyte => self.interbyte_millis,
            Timer::Settle => self.settle_millis,
            Timer::PartialCommand => self.partial_command_millis,
            Timer::HeaderGap => self.header_gap_millis,
            Timer::FirstByte => self.first_byte_millis,
            Timer::Linger => self.linger_millis,
            Timer::Pace => self.pace_millis,
            Timer::Heartbeat => self.heartbeat_millis,
        };
        millis * 1_000
    }
}
