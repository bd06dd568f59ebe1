//! Prints results on standard output and complaints on standard error.
//! Never panics when one of them is closed or full, and decides nothing about what is printed.

use super::error::{ClientError, Trouble, reason};
use crate::terminal::sanitize::clean;
use crate::wire::text::OneLine;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

/// Prints bytes as they are; only for bytes that the person typed or asked to see raw.
pub fn bytes(bytes: &[u8]) -> Result<(), Trouble> {
    let mut output = io::stdout().lock();
    let written = output.write_all(bytes).and_then(|()| output.flush());
    written.map_err(|error| unprintable(&error))
}

/// What it means that standard output failed.
pub fn unprintable(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Trouble::OutputClosed,
        _ => Trouble::Local(format!("cannot print the result: {}", reason(error))),
    }
}

/// Prints a text without the hidden characters in it.
pub fn text(text: &str) -> Result<(), Trouble> {
    bytes(clean(text).as_bytes())
}

/// Prints one line on what was done. That nobody reads it does not undo it.
pub fn note(line: impl fmt::Display) -> Result<(), Trouble> {
    match bytes(format!("{}\n", OneLine(line)).as_bytes()) {
        Err(Trouble::OutputClosed) => Ok(()),
        other => other,
    }
}

/// Prints one line on standard error, if anybody listens there.
pub fn remark(line: impl fmt::Display) {
    let line = format!("{}\n", OneLine(line));
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Prints a failure, unless it has been said already.
pub fn complain(error: &ClientError) {
    if !error.is_quiet() {
        remark(error);
    }
}

/// Prints the one line on a file that is now whole in its place.
pub fn note_saved(target: &Path, size: u64) -> Result<(), Trouble> {
    note(format!("saved {}, {size} bytes", target.display()))
}
