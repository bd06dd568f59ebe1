//! The blocking clients: one conversation a file, each over one plain socket of `std::net`.
//!
//! Reading order: `echo` is the smallest whole conversation; `connection` and `dialer` are what
//! all of them stand on; `transfer` and `files` add bodies (`upload_file` out, `download` in);
//! `shell` is `files` with a prompt. `talk` and `room` have people at both ends, and each is one
//! `poll` over standard input and a socket: `chat_screen` shows what arrives while something is
//! typed, and `membership` is the way into a room and tells when it has to be taken again.

pub mod chat_screen;
pub mod connection;
pub mod conversation;
pub mod dialer;
pub mod download;
pub mod echo;
pub mod error;
pub mod files;
pub mod input;
pub mod join;
pub mod membership;
pub mod names;
pub mod progress;
pub mod question;
pub mod room;
pub mod screen;
pub mod shell;
pub mod split_args;
pub mod talk;
pub mod transfer;
pub mod unacked;
pub mod upload_file;

use std::time::Duration;

/// The patience and the buffer sizes of one client.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// One address of the server must answer within this.
    pub connect_timeout: Duration,
    /// No byte could be read or written for this long: the conversation is given up.
    pub quiet_timeout: Duration,
    /// The time over which the rate is judged.
    pub rate_window: Duration,
    /// Fewer bytes a second: the conversation is given up.
    pub min_rate: u64,
    /// Shorter transfers show no progress bar.
    pub progress_delay: Duration,
    /// The longest line a server may answer, in bytes.
    pub reply_line: usize,
    /// The longest line of a script for the shell, in bytes.
    pub command_line: usize,
    /// What echo writes before it reads back, in bytes.
    pub echo_piece: usize,
    /// What a transfer moves at once, in bytes.
    pub body_piece: usize,
    /// Lines of a chat that arrow-up brings back.
    pub history: usize,
    /// The talk client alone.
    pub talk: TalkLimits,
    /// The room client alone.
    pub room: RoomLimits,
}

/// What the talk client waits for and holds.
#[derive(Debug, Clone, Copy)]
pub struct TalkLimits {
    /// The longest line that is sent, without its end, in bytes.
    pub line: usize,
    /// What is read at once, in bytes.
    pub piece: usize,
    /// A line without an end is shown to a person after this silence.
    pub settle: Duration,
    /// After the end of the input the server is heard until it is silent for so long.
    pub last_words: Duration,
    /// How a dead server is found.
    pub keepalive: Keepalive,
}

/// The kernel's probes of a connection on which nothing moves.
#[derive(Debug, Clone, Copy)]
pub struct Keepalive {
    /// The silence before the first probe.
    pub idle: Duration,
    /// The time between two probes.
    pub interval: Duration,
    /// So many unanswered probes end the connection.
    pub probes: u32,
}

/// What the room client waits for and sends.
#[derive(Debug, Clone, Copy)]
pub struct RoomLimits {
    /// The longest datagram, in bytes.
    pub datagram: usize,
    /// The longest name, in characters.
    pub name: usize,
    /// A request unanswered for so long is sent again.
    pub answer: Duration,
    /// A request is sent so often at most.
    pub tries: u32,
    /// A message that has not come back from the room within this is called lost.
    pub relay: Duration,
    /// Between two messages.
    pub pace: Duration,
    /// After this time without a message the room is asked whether it still knows us.
    pub probe: Duration,
    /// The first pause between two attempts to join again; it doubles each time.
    pub first_pause: Duration,
    /// The longest such pause.
    pub longest_pause: Duration,
}

#[cfg(test)]
use crate::config::client::CLIENT;

#[cfg(test)]
impl ClientLimits {
    /// Small and impatient, for tests in this folder.
    pub fn short() -> ClientLimits {
        ClientLimits {
            quiet_timeout: Duration::from_millis(50),
            rate_window: Duration::from_secs(1),
            min_rate: 1000,
            reply_line: 64,
            command_line: 64,
            echo_piece: 16,
            body_piece: 16,
            history: 2,
            talk: TalkLimits {
                line: 64,
                piece: 16,
                settle: Duration::from_millis(20),
                last_words: Duration::from_millis(50),
                ..CLIENT.talk
            },
            room: RoomLimits {
                datagram: 64,
                name: 8,
                answer: Duration::from_millis(500),
                relay: Duration::from_millis(50),
                pace: Duration::ZERO,
                first_pause: Duration::from_millis(1),
                longest_pause: Duration::from_millis(4),
                ..CLIENT.room
            },
            ..CLIENT
        }
    }
}
