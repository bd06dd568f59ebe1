//! Prints results on standard output and diagnostics on standard error.
//! A closed or full stream is an error value and never a panic, which it is with `println!`.

use super::error::{ClientError, ExchangeError, reason};
use crate::wire::text::OneLine;
use crate::wire::text::clean_lines;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

/// Prints bytes unchanged. The caller removes control characters of a server, unless the user wants
/// the exact bytes.
pub fn bytes(bytes: &[u8]) -> Result<(), ExchangeError> {
    let mut output = io::stdout().lock();
    let written = output.write_all(bytes).and_then(|()| output.flush());
    written.map_err(|error| cannot_print(&error))
}

/// The error of a failed write to standard output.
pub fn cannot_print(error: &io::Error) -> ExchangeError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ExchangeError::OutputClosed,
        _ => ExchangeError::Local(format!("cannot print the result: {}", reason(error))),
    }
}

/// Prints text of a server without its hidden characters.
pub fn text(text: &str) -> Result<(), ExchangeError> {
    bytes(clean_lines(text.as_bytes()).as_bytes())
}

/// Prints one line about what was done. A closed standard output is no error: the work is done.
pub fn line(line: impl fmt::Display) -> Result<(), ExchangeError> {
    match bytes(format!("{}\n", OneLine(line)).as_bytes()) {
        Err(ExchangeError::OutputClosed) => Ok(()),
        other => other,
    }
}

/// Prints one line on standard error. An error of that is ignored.
pub fn diagnostic(line: impl fmt::Display) {
    let line = format!("{}\n", OneLine(line));
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Prints an error, unless it was printed already.
pub fn error(error: &ClientError) {
    if !error.is_quiet() {
        diagnostic(error);
    }
}

/// Prints the line about a completed download. The size is in bytes.
pub fn saved(target: &Path, size: u64) -> Result<(), ExchangeError> {
    line(format!("saved {}, {size} bytes", target.display()))
}
