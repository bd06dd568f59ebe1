//! Says why a server cannot start.

use std::fmt;

/// Why the server cannot start. The text says what was tried, on what, and what to do.
#[derive(Debug)]
pub struct StartError(String);

impl StartError {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> StartError {
        StartError(text.into())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}
