//! Packs what an event is about into mio's token, and unpacks it again.
//!
//! ```text
//!   63  60 59                           32 31                            0
//!   ┌─────┬───────────────────────────────┬───────────────────────────────┐
//!   │kind │ serial (sessions only)        │ slot, or number of the socket │
//!   └─────┴───────────────────────────────┴───────────────────────────────┘
//! ```

use crate::session::session_id::SessionId;
use mio::Token;

const _: () = assert!(usize::BITS == 64, "a token holds a kind and a session id");

const KIND_SHIFT: u32 = 60;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A listening socket, by its number.
    Listener(u32),
    /// A connection.
    Session(SessionId),
    /// A signal has arrived.
    Signal,
    /// The UDP socket.
    Datagram,
    /// Standard error is writable again.
    Log,
    /// Another thread has work for the loop: see `session/completions.rs`.
    Waker,
    /// A socket that is not in the table, by its number: one that is connecting, for example.
    Socket(u32),
    /// A timer descriptor, of timerfd_create(2).
    Timer,
}

impl Target {
    /// The token to register with.
    pub fn token(self) -> Token {
        let (kind, number) = match self {
            Target::Listener(number) => (0, u64::from(number)),
            Target::Session(id) => (1, id.0),
            Target::Signal => (2, 0),
            Target::Datagram => (3, 0),
            Target::Log => (4, 0),
            Target::Waker => (5, 0),
            Target::Socket(number) => (6, u64::from(number)),
            Target::Timer => (7, 0),
        };
        Token(kind << KIND_SHIFT | number as usize)
    }

    /// What the token of an event is about; `None` for a token that was never made here.
    pub fn from_token(token: Token) -> Option<Target> {
        let kind = token.0 >> KIND_SHIFT;
        let number = token.0 as u32;
        match kind {
            0 => Some(Target::Listener(number)),
            1 => {
                let id = token.0 & !(kind << KIND_SHIFT);
                Some(Target::Session(SessionId(id as u64)))
            }
            2 => Some(Target::Signal),
            3 => Some(Target::Datagram),
            4 => Some(Target::Log),
            5 => Some(Target::Waker),
            6 => Some(Target::Socket(number)),
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
        let session = |slot, serial| Target::Session(SessionId::new(slot, serial));
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
            session(u32::MAX, u32::MAX),
            session(19_999, 12),
        ] {
            assert_eq!(Target::from_token(target.token()), Some(target));
        }
        assert_eq!(Target::from_token(Token(usize::MAX)), None);
    }
}
