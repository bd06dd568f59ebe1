//! Says what is known of the stream behind the bytes in hand: nothing, a silence, or its end.

/// A short wait, which is mostly for a silence of the peer. Each kind has one fixed length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// One `send()` has arrived this long after its first byte, whatever comes meanwhile. A unit
    /// that grows later is being typed, or written in parts.
    Interbyte,
    /// The settle window: a bare unit is complete once its sender has been quiet for so long.
    Settle,
    /// A unit that is no whole command is refused after this silence.
    PartialCommand,
    /// The wait between a bare header and its first data byte.
    HeaderGap,
    /// A bare upload must begin within this.
    FirstByte,
    /// A closed connection's last bytes are read away for at most this.
    Linger,
    /// A peer that has said more than its rate allows is not read from for this long.
    Pace,
    /// Pages of a file that the disk had not read are asked for again after this.
    Cold,
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
        Timer::Cold,
    ];

    /// A small dense number for tables.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// What follows the bytes shown, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// More may come at any moment.
    More,
    /// The peer has been silent for the whole of this delay.
    Silence(Timer),
    /// The peer has sent its end of stream: what is shown is all there will ever be.
    Eof,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delay_has_the_index_of_its_place() {
        for (place, delay) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(delay.index(), place);
        }
    }
}
