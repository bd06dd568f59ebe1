//! Says why a server cannot start.
//! Decides no exit status: `main.rs` does.

use std::fmt;
use std::io;

/// Why a server cannot start. The text names the thing and the way out.
#[derive(Debug)]
pub struct StartError(String);

impl StartError {
    /// An error with its whole text.
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

/// The system's words without the number behind them.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
