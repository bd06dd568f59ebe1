//! Errors of single requests, and errors that end or prevent a run.

pub use crate::wire::text::reason;
use std::fmt;

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFailure {
    /// The answer has a wrong byte.
    WrongBytes,
    /// The server answered with an error.
    Refused,
    /// The server closed the connection before the answer.
    Closed,
    /// The connection failed, for example by a reset.
    Broken,
    /// No answer arrived in time.
    TimedOut,
}

impl RequestFailure {
    /// All kinds, in the order of their discriminants.
    pub const ALL: [RequestFailure; 5] = [
        RequestFailure::WrongBytes,
        RequestFailure::Refused,
        RequestFailure::Closed,
        RequestFailure::Broken,
        RequestFailure::TimedOut,
    ];

    /// Its key in the JSON results.
    pub fn name(self) -> &'static str {
        ["wrong", "refused", "closed", "broken", "silent"][self as usize]
    }

    /// Its text in the report.
    pub fn meaning(self) -> &'static str {
        [
            "were answered with wrong bytes",
            "were refused by the server",
            "had their connection closed by the server",
            "had their connection broken",
            "got no answer in time",
        ][self as usize]
    }
}

/// Why a run failed. The text says what was tried and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    message: String,
    status: u8,
}

impl LoadError {
    /// The command line is wrong; nothing was opened. Exit status 2.
    pub fn usage(message: impl Into<String>) -> LoadError {
        LoadError {
            message: message.into(),
            status: 2,
        }
    }

    /// The run was tried and failed. Exit status 1.
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
