//! Packs what an event is about into mio's token, and unpacks it again.
//!
//! ```text
//!   63  60 59                       32 31                            0
//!   ┌─────┬───────────────────────────┬───────────────────────────────┐
//!   │kind │ serial (sessions only)    │ slot, or the listener's number │
//!   └─────┴───────────────────────────┴───────────────────────────────┘
//! ```

use crate::session::notice::PeerId;
use mio::Token;

const _: () = assert!(usize::BITS == 64, "a token holds a slot and a serial");

const KIND_SHIFT: u32 = 60;
const SERIAL_SHIFT: u32 = 32;
const SERIAL_MASK: u32 = (1 << (KIND_SHIFT - SERIAL_SHIFT)) - 1;

/// One connection: its slot in the table, and the serial that it alone has had there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The place in the table; used again after a close.
    pub slot: u32,
    /// Grows with every accept, so that a stale event finds nobody.
    pub serial: u32,
}

impl Key {
    /// The same as an opaque number for protocols.
    pub fn peer(self) -> PeerId {
        PeerId(u64::from(self.serial) << SERIAL_SHIFT | u64::from(self.slot))
    }

    /// What [`Key::peer`] was made of.
    pub fn of_peer(peer: PeerId) -> Key {
        Key {
            slot: peer.0 as u32,
            serial: (peer.0 >> SERIAL_SHIFT) as u32,
        }
    }

    /// The serial that follows; it wraps where the token has no more room for it.
    pub fn next_serial(serial: u32) -> u32 {
        (serial + 1) & SERIAL_MASK
    }
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A listening socket, by its number.
    Listener(u32),
    /// A connection.
    Session(Key),
    /// A signal has arrived.
    Signal,
    /// The UDP socket.
    Datagram,
    /// Standard error takes log lines again.
    Log,
    /// The store has waited for a disk.
    Waker,
    /// A socket beside the table, by its number: one on its way to its peer, for example.
    Socket(u32),
    /// An alarm of the clock.
    Timer,
}

impl Target {
    /// The token to register with.
    pub fn token(self) -> Token {
        let (kind, serial, slot) = match self {
            Target::Listener(number) => (0, 0, number),
            Target::Session(key) => (1, key.serial, key.slot),
            Target::Signal => (2, 0, 0),
            Target::Datagram => (3, 0, 0),
            Target::Log => (4, 0, 0),
            Target::Waker => (5, 0, 0),
            Target::Socket(number) => (6, 0, number),
            Target::Timer => (7, 0, 0),
        };
        debug_assert!(serial <= SERIAL_MASK);
        Token(kind << KIND_SHIFT | (serial as usize) << SERIAL_SHIFT | slot as usize)
    }

    /// What the token of an event is about.
    pub fn from_token(token: Token) -> Option<Target> {
        let slot = token.0 as u32;
        let serial = (token.0 >> SERIAL_SHIFT) as u32 & SERIAL_MASK;
        match token.0 >> KIND_SHIFT {
            0 => Some(Target::Listener(slot)),
            1 => Some(Target::Session(Key { slot, serial })),
            2 => Some(Target::Signal),
            3 => Some(Target::Datagram),
            4 => Some(Target::Log),
            5 => Some(Target::Waker),
            6 => Some(Target::Socket(slot)),
            7 => Some(Target::Timer),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_survives_the_round_trip() {
        let session = |slot, serial| Target::Session(Key { slot, serial });
        for target in [
            Target::Listener(0),
            Target::Listener(7),
            Target::Signal,
            Target::Socket(511),
            Target::Timer,
            Target::Datagram,
            Target::Log,
            Target::Waker,
            session(0, 0),
            session(u32::MAX, SERIAL_MASK),
            session(19_999, 12),
        ] {
            assert_eq!(Target::from_token(target.token()), Some(target));
        }
        assert_eq!(Target::from_token(Token(usize::MAX)), None);
    }

    #[test]
    fn a_peer_is_found_again_by_its_number() {
        let key = Key {
            slot: 19_999,
            serial: SERIAL_MASK,
        };
        assert_eq!(Key::of_peer(key.peer()), key);
    }

    #[test]
    fn serials_wrap_within_the_token() {
        assert_eq!(Key::next_serial(SERIAL_MASK), 0);
        assert_eq!(Key::next_serial(41), 42);
    }
}
