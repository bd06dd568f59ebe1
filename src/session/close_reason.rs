//! Lists why a connection can end.

use std::fmt;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer ended its stream and got all it was owed.
    PeerFinished,
    /// The conversation is over by its own rules.
    Goodbye,
    /// The peer broke the protocol or asked for what is not allowed, and was told so.
    Refused,
    /// The connection broke: reset, unreachable, or closed while we were writing.
    PeerReset,
    /// The inbox is full and the protocol takes nothing of it.
    FrameTooLong,
    /// No progress within the idle deadline.
    Idle,
    /// A command was begun and not completed within its deadline.
    Unfinished,
    /// A body moved more slowly than the minimum rate.
    TooSlow,
    /// The peer does not read what others have to say to it.
    SlowReader,
    /// The operator ended the conversation.
    Kicked,
    /// A file shrank while it was being sent: the promised length cannot be kept.
    BodyCut,
    /// The server is going down.
    Shutdown,
}

impl CloseReason {
    /// Whether the peer has had its time: what it has not taken by now is not kept for it.
    pub fn discards_unsent(self) -> bool {
        use CloseReason::{Idle, SlowReader, TooSlow, Unfinished};
        matches!(self, Idle | SlowReader | TooSlow | Unfinished)
    }

    /// Whether an operator should see it without asking.
    pub fn is_warning(self) -> bool {
        use CloseReason::{BodyCut, FrameTooLong, SlowReader};
        matches!(self, FrameTooLong | BodyCut | SlowReader)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            CloseReason::PeerFinished => "the peer is finished",
            CloseReason::Goodbye => "the conversation is over",
            CloseReason::Refused => "refused",
            CloseReason::PeerReset => "the connection broke",
            CloseReason::FrameTooLong => "too much without a meaning",
            CloseReason::Idle => "idle for too long",
            CloseReason::Unfinished => "a command was never finished",
            CloseReason::TooSlow => "below the minimum rate",
            CloseReason::SlowReader => "it does not read",
            CloseReason::Kicked => "ended by the operator",
            CloseReason::BodyCut => "a file shrank while it was sent",
            CloseReason::Shutdown => "the server goes down",
        })
    }
}
