//! The clients of the services, over plain sockets of `std::net`.
//!
//! Reading order: `echo` is the smallest complete client, and `connection` is the blocking TCP
//! connection that it uses. `transfer` and `files` move file contents, with `reconnector`,
//! `upload_file` and `download`; `shell` is `files` with a prompt. In the chat clients, `talk` and
//! `room`, a line can arrive while another is being typed, so each is a `poll` loop over standard
//! input and a socket: `talk` is the shorter one; `room` continues in `join`, `conversation` and
//! `membership`; `chat_screen` is the terminal of both.

pub mod chat_screen;
pub mod connection;
pub mod conversation;
mod digest;
pub mod download;
pub mod echo;
pub mod error;
pub mod files;
pub mod input;
pub mod join;
pub mod membership;
pub mod names;
pub mod output;
pub mod progress;
pub mod prompt;
pub mod reconnector;
pub mod resume;
pub mod room;
pub mod shell;
pub mod split_args;
pub mod talk;
pub mod transfer;
pub mod unacked;
pub mod upload_file;

use std::time::Duration;

/// Timeouts and buffer sizes of one client.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// The time to connect to one address of the server.
    pub connect_timeout: Duration,
    /// The longest time in which no byte can be read or written.
    pub quiet_timeout: Duration,
    /// The longest time that the server may take for a digest.
    pub digest_timeout: Duration,
    /// The time over which the transfer rate is measured.
    pub rate_window: Duration,
    /// The lowest transfer rate, in bytes per second.
    pub min_rate: u64,
    /// A transfer that is shorter than this shows no progress bar.
    pub progress_delay: Duration,
    /// The longest reply line of a server, in bytes.
    pub reply_line: usize,
    /// The longest line of a script for the shell, in bytes.
    pub command_line: usize,
    /// What echo writes before it reads back, in bytes.
    pub echo_piece: usize,
    /// The buffer of a file transfer, in bytes.
    pub body_piece: usize,
    /// The history of a chat, in lines.
    pub history: usize,
    /// The limits of the talk client.
    pub talk: TalkClientLimits,
    /// The limits of the room client.
    pub room: RoomClientLimits,
}

/// Timeouts and buffer sizes of the talk client.
#[derive(Debug, Clone, Copy)]
pub struct TalkClientLimits {
    /// The longest line that is sent, without its line end, in bytes.
    pub line: usize,
    /// The buffer for one read from the socket, in bytes.
    pub piece: usize,
    /// The silence after which a line without its line end is shown on a terminal.
    pub settle: Duration,
    /// The silence after which the client exits once its input has ended.
    pub drain_timeout: Duration,
    /// How a server that is gone without a FIN or RST is detected.
    pub keepalive: Keepalive,
}

/// TCP keepalive: probes of an idle connection. See tcp(7).
#[derive(Debug, Clone, Copy)]
pub struct Keepalive {
    /// The idle time before the first probe (TCP_KEEPIDLE).
    pub idle: Duration,
    /// The time between two probes (TCP_KEEPINTVL).
    pub interval: Duration,
    /// The number of unanswered probes that end the connection (TCP_KEEPCNT).
    pub probes: u32,
}

/// Timeouts and sizes of the room client.
#[derive(Debug, Clone, Copy)]
pub struct RoomClientLimits {
    /// The longest datagram, in bytes.
    pub datagram: usize,
    /// The longest name, in characters.
    pub name: usize,
    /// The time after which an unanswered request is sent again.
    pub answer_timeout: Duration,
    /// The number of times that a request is sent.
    pub max_tries: u32,
    /// The time after which a message whose copy has not come back counts as lost.
    pub relay_timeout: Duration,
    /// The time between two messages.
    pub send_interval: Duration,
    /// The time without a message after which the client checks its membership.
    pub check_interval: Duration,
    /// The pause between the first two failed attempts to join again. It doubles each time.
    pub first_pause: Duration,
    /// The longest such pause.
    pub max_pause: Duration,
}

#[cfg(test)]
use crate::config::client::CLIENT;

#[cfg(test)]
impl ClientLimits {
    /// Small sizes and short timeouts, for tests in this folder.
    pub fn short() -> ClientLimits {
        ClientLimits {
            quiet_timeout: Duration::from_millis(50),
            digest_timeout: Duration::from_millis(50),
            rate_window: Duration::from_secs(1),
            min_rate: 1000,
            reply_line: 64,
            command_line: 64,
            echo_piece: 16,
            body_piece: 16,
            history: 2,
            talk: TalkClientLimits {
                line: 64,
                piece: 16,
                settle: Duration::from_millis(20),
                drain_timeout: Duration::from_millis(50),
                ..CLIENT.talk
            },
            room: RoomClientLimits {
                datagram: 64,
                name: 8,
                answer_timeout: Duration::from_millis(500),
                relay_timeout: Duration::from_millis(50),
                send_interval: Duration::ZERO,
                first_pause: Duration::from_millis(1),
                max_pause: Duration::from_millis(4),
                ..CLIENT.room
            },
            ..CLIENT
        }
    }
}
