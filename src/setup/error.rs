//! Says why a server cannot start.
//! Decides no exit status: `main.rs` does.

use std::fmt;
use std::io;

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

/// The text of a system error without its number.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
