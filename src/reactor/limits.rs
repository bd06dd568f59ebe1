//! Names what the reactor must keep to.
//! Holds no numbers of its own: those, with their reasons, stand in `config.rs`.

use crate::wire::pause::Delay;

/// How big a step may be.
#[derive(Debug, Clone, Copy)]
pub struct StepLimits {
    /// Bytes at once.
    pub most: usize,
    /// Bytes at once where that takes long.
    pub least: usize,
    /// Microseconds that a step should last at most.
    pub micros: u64,
}

/// How bodies are moved between sockets and files.
#[derive(Debug, Clone, Copy)]
pub struct BodySteps {
    /// Steps from a file into a socket.
    pub send: StepLimits,
    /// Steps from a socket into a file; the longest is the size of the pipe for it.
    pub take: StepLimits,
    /// Bytes copied at once, where they cannot be moved without.
    pub copy: usize,
    /// Bytes of a body after which its peer is known to read.
    pub reads: u64,
    /// How far apart the pages lie that are asked whether the disk has read them.
    pub probe: usize,
}

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
    pub take_step: usize,
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
    /// The length of each delay in microseconds, by `Delay::index`.
    pub delays: [u64; Delay::ALL.len()],
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
    pub per_address: Option<usize>,
    /// Microseconds until it is worth asking again for pages that the disk has to read.
    pub cold_micros: u64,
    /// A turn, or a round without a poll, of so many microseconds is told to the operator.
    pub slow_micros: u64,
    /// Lines a second about uploads that were refused, cut or failed.
    pub uploads_logged: u32,
    /// Seconds that transfers under way are given when the server goes down.
    pub wind_down_seconds: u64,
}
