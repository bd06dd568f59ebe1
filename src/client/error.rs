//! Errors of the clients: a text for people and an exit status.

use crate::wire::text::OneLine;
pub use crate::wire::text::reason;
use std::fmt;
use std::io;
use std::time::Duration;

/// Why a client failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    message: String,
    status: u8,
}

impl ClientError {
    /// The command line is wrong; nothing was opened.
    pub fn usage(message: impl AsRef<str>) -> ClientError {
        ClientError {
            message: OneLine(message.as_ref()).to_string(),
            status: 2,
        }
    }

    /// The operation failed.
    pub fn failure(message: impl AsRef<str>) -> ClientError {
        ClientError {
            message: OneLine(message.as_ref()).to_string(),
            status: 1,
        }
    }

    /// The message was printed already; only the exit status is left.
    pub fn quiet(status: u8) -> ClientError {
        ClientError {
            message: String::new(),
            status,
        }
    }

    /// The exit status of the process: 2 for a wrong command line, 1 for the rest.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// Whether there is nothing to print.
    pub fn is_quiet(&self) -> bool {
        self.message.is_empty()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for ClientError {}

/// Whether a call was interrupted, or would have to wait.
pub fn is_pause(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock];
    kinds.contains(&error.kind())
}

/// Why a conversation failed. The caller adds what was tried, and on which server.
#[derive(Debug)]
pub enum Trouble {
    /// The server refused with this line.
    Refused(String),
    /// The stream ended before the answer.
    Closed,
    /// The stream ended within a body.
    Cut {
        /// The bytes that arrived.
        got: u64,
        /// The bytes that were announced.
        announced: u64,
    },
    /// No byte could be read or written for this time.
    Silent(Duration),
    /// The transfer was below the minimum rate.
    Slow {
        /// The bytes transferred.
        moved: u64,
        /// The time spent waiting.
        waited: Duration,
    },
    /// The network failed.
    Network(io::Error),
    /// This line is not a reply of the service.
    Garbage(String),
    /// Something on this side failed, with this text.
    Local(String),
    /// The reader of standard output has closed it.
    OutputClosed,
}

impl Trouble {
    /// Adds what was tried, for instance `cannot send a.bin to 127.0.0.1:5050`.
    pub fn in_context(self, tried: impl fmt::Display) -> ClientError {
        match self {
            // The reader of our output, for example head(1), has all it wants: not a failure.
            Trouble::OutputClosed => ClientError::quiet(0),
            other => ClientError::failure(format!("{tried}: {other}")),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Trouble::Closed,
            _ => Trouble::Network(error),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Refused(words) => write!(out, "the server answered: {words}"),
            Trouble::Closed => write!(
                out,
                "the server closed the connection; see its log for the reason, or try again"
            ),
            Trouble::Cut { got, announced } => write!(
                out,
                "the server closed the connection after {got} of {announced} bytes; \
                 nothing was saved, try again"
            ),
            Trouble::Silent(patience) => write!(
                out,
                "no data for {patience:?}; is this the right port, and is the server running?"
            ),
            Trouble::Slow { moved, waited } => write!(
                out,
                "only {moved} bytes moved in {} s; is the server or the network overloaded? try \
                 again later",
                waited.as_secs()
            ),
            Trouble::Network(error) => write!(out, "{}; try again", reason(error)),
            Trouble::Garbage(line) => write!(
                out,
                "the server answered `{line}`, which is not a reply of this service; \
                 is this the right port?"
            ),
            Trouble::Local(words) => out.write_str(words),
            Trouble::OutputClosed => write!(out, "the output was closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_server_are_escaped() {
        let error = Trouble::Refused("ERROR \x1b[2Jgone".to_owned()).in_context("cannot list");
        assert_eq!(
            error.to_string(),
            "cannot list: the server answered: ERROR \\u{1b}[2Jgone"
        );
        assert_eq!(error.status(), 1);
    }
}
