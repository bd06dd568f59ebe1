//! Prompts for a value that the command line does not give, and reads it from standard input.

use super::error::{ClientError, reason};
use crate::terminal::raw_mode::RawMode;
use rustix::io::Errno;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

/// Returns the next line of standard input without its line end, or none at the end of the input.
/// Its limit is in bytes. The prompt is printed only if standard input is a terminal.
pub fn ask(prompt: &str, max_bytes: usize) -> Result<Option<String>, ClientError> {
    show(prompt);
    read_line(max_bytes)
}

/// [`ask`] without echo: the typed characters are not shown.
pub fn ask_secret(prompt: &str, max_bytes: usize) -> Result<Option<String>, ClientError> {
    let _no_echo = match io::stdin().is_terminal() {
        true => Some(RawMode::hide_input(io::stdin().as_fd()).map_err(|error| {
            ClientError::failure(format!(
                "cannot turn off the terminal echo: {}; give the password in LOKET_ROOM_PASSWORD",
                reason(&error)
            ))
        })?),
        false => None,
    };
    show(prompt);
    read_line(max_bytes)
}

/// Prints on standard error: standard output is for the chat.
fn show(prompt: &str) {
    if io::stdin().is_terminal() {
        let _ = io::stderr().lock().write_all(prompt.as_bytes());
    }
}

fn read_line(max_bytes: usize) -> Result<Option<String>, ClientError> {
    let mut line = Vec::new();
    let mut byte = [0];
    // Byte by byte: the bytes after the line belong to the chat.
    while line.len() <= max_bytes && !line.ends_with(b"\n") {
        match rustix::io::read(io::stdin(), &mut byte) {
            Ok(0) => break,
            Ok(_) => line.extend(byte),
            Err(Errno::INTR) => {}
            Err(error) => {
                let why = reason(&error.into());
                return Err(ClientError::failure(format!(
                    "cannot read standard input: {why}"
                )));
            }
        }
    }
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() > max_bytes && !line.ends_with(b"\n") {
        return Err(ClientError::usage(format!(
            "cannot use an answer of more than {max_bytes} bytes; shorten it"
        )));
    }
    let text = String::from_utf8(line).map_err(|_| {
        ClientError::usage("cannot use an answer that is not UTF-8 text; write it again")
    })?;
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}
