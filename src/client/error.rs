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

    /// The outcome of a client that has printed its failures: exit status 1 for a script. For a
    /// user at a terminal it is 0, because they were shown.
    pub fn after_printed(has_failed: bool, is_terminal: bool) -> Result<(), ClientError> {
        match has_failed && !is_terminal {
            true => Err(ClientError::quiet(1)),
            false => Ok(()),
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

/// Whether a call was interrupted, would block, or has timed out (SO_RCVTIMEO).
pub fn would_block(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock];
    kinds.contains(&error.kind())
}

/// Why an exchange with a server failed. The caller adds what was tried, and on which server.
#[derive(Debug)]
pub enum ExchangeError {
    /// The server refused with this line.
    Refused(String),
    /// The stream ended before the answer.
    Closed,
    /// The stream ended within a body.
    Truncated {
        /// The bytes that arrived.
        got: u64,
        /// The bytes that were announced.
        announced: u64,
    },
    /// No byte could be read or written for this time.
    TimedOut(Duration),
    /// The transfer was below the minimum rate.
    TooSlow {
        /// The bytes transferred.
        moved: u64,
        /// The time spent waiting.
        waited: Duration,
    },
    /// The network failed.
    Network(io::Error),
    /// This line is not a reply of the service.
    NotAReply(String),
    /// Something on this side failed, with this text.
    Local(String),
    /// The reader of standard output has closed it.
    OutputClosed,
}

impl ExchangeError {
    /// Adds what was tried, for instance `cannot send a.bin to 127.0.0.1:5050`.
    pub fn in_context(self, tried: impl fmt::Display) -> ClientError {
        match self {
            // The reader of our output, for example head(1), has exited: no failure.
            ExchangeError::OutputClosed => ClientError::quiet(0),
            other => ClientError::failure(format!("{tried}: {other}")),
        }
    }
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> ExchangeError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => ExchangeError::Closed,
            _ => ExchangeError::Network(error),
        }
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExchangeError::Refused(words) => write!(out, "the server answered: {words}"),
            ExchangeError::Closed => write!(
                out,
                "the server closed the connection; see the log of the server, or try again"
            ),
            ExchangeError::Truncated { got, announced } => write!(
                out,
                "the server closed the connection after {got} of {announced} bytes; \
                 the file is not complete, try again"
            ),
            ExchangeError::TimedOut(timeout) => write!(
                out,
                "no data for {timeout:?}; is this the right port, and is the server running?"
            ),
            ExchangeError::TooSlow { moved, waited } => write!(
                out,
                "only {moved} bytes moved in {} s; is the server or the network overloaded? try \
                 again later",
                waited.as_secs()
            ),
            ExchangeError::Network(error) => write!(out, "{}; try again", reason(error)),
            ExchangeError::NotAReply(line) => write!(
                out,
                "the server answered `{line}`, which is not a reply of this service; \
                 is this the right port?"
            ),
            ExchangeError::Local(words) => out.write_str(words),
            ExchangeError::OutputClosed => write!(out, "the output was closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_in_the_answer_of_a_server_are_escaped() {
        let error =
            ExchangeError::Refused("ERROR \x1b[2Jgone".to_owned()).in_context("cannot list");
        assert_eq!(
            error.to_string(),
            "cannot list: the server answered: ERROR \\u{1b}[2Jgone"
        );
        assert_eq!(error.status(), 1);
    }
}
