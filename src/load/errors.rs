//! Names what can go wrong with a request, and how a run that could not be made is told of.

pub use crate::wire::text::reason;
use std::fmt;

/// What became of a request that was not answered as it should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A byte came back that should have been another one.
    Wrong,
    /// The server said no.
    Refused,
    /// The server ended the connection in the middle.
    Ended,
    /// The connection broke.
    Broken,
    /// No answer came in time.
    Silent,
}

impl Fault {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Fault; 5] = [
        Fault::Wrong,
        Fault::Refused,
        Fault::Ended,
        Fault::Broken,
        Fault::Silent,
    ];

    /// Its name in figures.
    pub fn name(self) -> &'static str {
        ["wrong", "refused", "closed", "broken", "silent"][self as usize]
    }

    /// What it means, in words.
    pub fn meaning(self) -> &'static str {
        [
            "came back with wrong bytes",
            "were refused by the server",
            "had their connection closed by the server",
            "had their connection broken",
            "got no answer in time",
        ][self as usize]
    }
}

/// Why a run could not be made, or not to its end. The text names what was tried and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    message: String,
    status: u8,
}

impl LoadError {
    /// The command line asks for something that cannot be; nothing was opened.
    pub fn usage(message: impl Into<String>) -> LoadError {
        LoadError {
            message: message.into(),
            status: 2,
        }
    }

    /// It was tried and did not work.
    pub fn failure(message: impl Into<String>) -> LoadError {
        LoadError {
            message: message.into(),
            status: 1,
        }
    }

    /// The exit status of the process.
    pub fn status(&self) -> u8 {
        self.status
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for LoadError {}
