//! Says in words for people what failed, and with which exit status.
//! Prints nothing: `screen.rs` and `main.rs` do.

use crate::wire::text::OneLine;
use std::fmt;
use std::io;
use std::time::Duration;

/// The end of a client that did not do all it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    message: String,
    status: u8,
}

impl ClientError {
    /// The command line asks for something that cannot be; nothing was opened.
    pub fn usage(message: impl AsRef<str>) -> ClientError {
        ClientError {
            message: OneLine(message.as_ref()).to_string(),
            status: 2,
        }
    }

    /// It was tried and did not work.
    pub fn failure(message: impl AsRef<str>) -> ClientError {
        ClientError {
            message: OneLine(message.as_ref()).to_string(),
            status: 1,
        }
    }

    /// Everything has been said already; only the exit status is left.
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

    /// There is nothing to print.
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

/// What broke a conversation; who was spoken to and what for is added by the caller.
#[derive(Debug)]
pub enum Trouble {
    /// The server said no, in these words.
    Refused(String),
    /// The stream ended where an answer was due.
    Closed,
    /// The stream ended inside a body.
    Cut {
        /// The bytes that came.
        got: u64,
        /// The bytes that were announced.
        announced: u64,
    },
    /// Not one byte could be read or written for so long.
    Silent(Duration),
    /// So few bytes moved in this time that the rest would take for ever.
    Slow {
        /// The bytes that moved.
        moved: u64,
        /// The time spent waiting.
        waited: Duration,
    },
    /// The network failed.
    Network(io::Error),
    /// A line that is no reply of this service.
    Garbage(String),
    /// Something on this side failed, in these words.
    Local(String),
    /// Nobody reads our output any more.
    OutputClosed,
}

impl Trouble {
    /// Adds what was tried, for instance `cannot send a.bin to 127.0.0.1:5050`.
    pub fn in_context(self, tried: impl fmt::Display) -> ClientError {
        match self {
            // Whoever closed our output has seen enough: that is their decision, not a failure.
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
                "nothing moved for {patience:?}; is this the right port, and is the server well?"
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
                "the server answered `{line}`, which is no reply of this service; \
                 is this the right port?"
            ),
            Trouble::Local(words) => out.write_str(words),
            Trouble::OutputClosed => write!(out, "nobody reads the output any more"),
        }
    }
}

/// The system's own words for an error, without its number.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_error_is_left_out() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(reason(&refused), "Connection refused");
    }

    #[test]
    fn words_of_a_server_cannot_reach_the_terminal_raw() {
        let error = Trouble::Refused("ERROR \x1b[2Jgone".to_owned()).in_context("cannot list");
        assert_eq!(
            error.to_string(),
            "cannot list: the server answered: ERROR \\u{1b}[2Jgone"
        );
        assert_eq!(error.status(), 1);
    }
}
