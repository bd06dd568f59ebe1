//! The reasons for which a connection is closed.

use log::Level;
use std::fmt;
use std::net::SocketAddr;

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer has ended its stream and has got all output.
    PeerFinished,
    /// The conversation is complete by the rules of the protocol.
    Goodbye,
    /// The peer broke the protocol or requested what is not allowed, and got an error reply.
    Refused,
    /// The peer has reset the connection, is unreachable, or has closed it during a write.
    PeerReset,
    /// The inbox is full, and the protocol consumes nothing of it.
    FrameTooLong,
    /// No byte was moved for `idle_seconds`.
    Idle,
    /// A command was not complete `command_seconds` after its first byte.
    Unfinished,
    /// A body was moved more slowly than `min_rate`.
    TooSlow,
    /// The peer does not read the messages of other sessions.
    SlowReader,
    /// The operator has closed the connection.
    Kicked,
    /// Its page has connected again: the old connection is broken.
    Replaced,
    /// A file shrank while it was being sent, so its announced length is wrong; or it could not be
    /// read.
    BodyCut,
    /// A disk of this machine did not answer for `disk_seconds`.
    DiskStalled,
    /// epoll_ctl(2) has failed, so no event of the connection would be reported.
    Unregistered,
    /// The server is shutting down.
    Shutdown,
}

impl CloseReason {
    /// All reasons, each at its number. The last in the list must be the last of the enum.
    pub const ALL: [CloseReason; CloseReason::Shutdown as usize + 1] = {
        use CloseReason::*;
        [
            PeerFinished,
            Goodbye,
            Refused,
            PeerReset,
            FrameTooLong,
            Idle,
            Unfinished,
            TooSlow,
            SlowReader,
            Kicked,
            Replaced,
            BodyCut,
            DiskStalled,
            Unregistered,
            Shutdown,
        ]
    };

    /// Whether the kernel discards unsent output: the peer has had its time to read.
    pub fn discards_unsent(self) -> bool {
        use CloseReason::{Idle, Replaced, SlowReader, TooSlow, Unfinished};
        matches!(self, Idle | Replaced | SlowReader | TooSlow | Unfinished)
    }

    /// The level of the log line about the closed connection.
    fn level(self) -> Level {
        use CloseReason::{BodyCut, DiskStalled, FrameTooLong, SlowReader, Unregistered};
        match self {
            FrameTooLong | BodyCut | DiskStalled | SlowReader | Unregistered => Level::Warn,
            _ => Level::Debug,
        }
    }

    /// Logs that a connection is closed. The console has no peer.
    pub fn log(self, service: &str, serial: u32, peer: Option<SocketAddr>) {
        let level = self.level();
        match peer {
            Some(peer) => log::log!(level, service, peer:%, reason:% = self;
                "conn {serial} {service} {peer}: closed, {self}"),
            None => log::log!(level, service, reason:% = self;
                "conn {serial} {service}: closed, {self}"),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            CloseReason::PeerFinished => "end of stream",
            CloseReason::Goodbye => "the conversation is over",
            CloseReason::Refused => "refused",
            CloseReason::PeerReset => "the connection broke",
            CloseReason::FrameTooLong => "the command is too long",
            CloseReason::Idle => "idle for too long",
            CloseReason::Unfinished => "a command was not completed in time",
            CloseReason::TooSlow => "below the minimum rate",
            CloseReason::SlowReader => "it does not read",
            CloseReason::Kicked => "closed by the operator",
            CloseReason::Replaced => "its page has connected again",
            CloseReason::BodyCut => "a file shrank while it was sent",
            CloseReason::DiskStalled => "the disk did not answer in time",
            CloseReason::Unregistered => {
                "epoll_ctl(2) failed; free memory or raise fs.epoll.max_user_watches"
            }
            CloseReason::Shutdown => "the server shuts down",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_at_its_number() {
        for (number, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
