//! What follows the input shown to a protocol: more bytes, a silence, or the end of the stream.

/// The kinds of fixed short timers. Most of them measure a silence of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// Time for the bytes of one `send()` to arrive, from the first byte on. A unit that grows
    /// later is being typed, or written in parts.
    Interbyte,
    /// The settle window: the silence that completes a bare unit.
    Settle,
    /// The silence after which a unit that is not a whole command is rejected.
    PartialCommand,
    /// The time between a bare header and its first data byte.
    HeaderGap,
    /// The time within which a bare upload must begin.
    FirstByte,
    /// The longest time for which input is drained after the server has shut down its side.
    Linger,
    /// The time for which a peer above its rate limit is not read from.
    Pace,
    /// The time after which a stream of events without an event gets a sign of life.
    Heartbeat,
}

impl Timer {
    /// Every kind, in the order of [`Timer::index`].
    pub const ALL: [Timer; 8] = [
        Timer::Interbyte,
        Timer::Settle,
        Timer::PartialCommand,
        Timer::HeaderGap,
        Timer::FirstByte,
        Timer::Linger,
        Timer::Pace,
        Timer::Heartbeat,
    ];

    /// Its place in [`Timer::ALL`], as an index for tables.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// What follows the bytes shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// More may arrive at any time.
    More,
    /// The peer was silent until this timer expired.
    Silence(Timer),
    /// The end of the stream: no more bytes arrive.
    Eof,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_a_timer_is_its_place_in_all() {
        for (place, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer.index(), place);
        }
    }
}
