//! Names what a client waits for and holds at most.
//! Holds no numbers of its own: those, with their reasons, stand in `config.rs`.

use std::time::Duration;

/// The patience and the buffer sizes of one client.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// One address of the server must answer within this.
    pub connect_timeout: Duration,
    /// No byte could be read or written for this long: the conversation is given up.
    pub quiet_timeout: Duration,
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
}

#[cfg(test)]
impl ClientLimits {
    /// Small and impatient, for tests in this folder.
    pub fn short() -> ClientLimits {
        ClientLimits {
            connect_timeout: Duration::from_secs(5),
            quiet_timeout: Duration::from_millis(50),
            progress_delay: Duration::from_secs(5),
            reply_line: 64,
            command_line: 64,
            echo_piece: 16,
            body_piece: 16,
        }
    }
}
