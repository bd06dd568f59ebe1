//! Names every limit with its default and the reason for it.
//! Enforces none: `server.rs` hands them to the rooms that do.

/// A connection without progress for this long is closed. People who try the shell by hand
/// pause for minutes; a dead peer should not hold a descriptor for hours.
pub const IDLE_TIMEOUT_SECONDS: u32 = 300;

/// Longer than the pauses between the `send()`s of one message, shorter than a person notices.
pub const SETTLE_MILLIS: u64 = 50;

/// A textbook client takes its first `recv` for the header: the data must not be there yet.
pub const BARE_GAP_MILLIS: u64 = 20;

/// Messages a second of one member of the room: nobody types faster.
pub const ROOM_RATE: u32 = 20;
