//! Asks the person, or the script, for one word that the command line did not give.

use super::error::{ClientError, reason};
use crate::terminal::raw_mode::RawMode;
use rustix::io::Errno;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

/// The next line of standard input without its end, or none at the end of the input. The prompt
/// is shown to people only.
pub fn ask(prompt: &str, most: usize) -> Result<Option<String>, ClientError> {
    show(prompt);
    read_line(most)
}

/// The same for a secret: what a person types is not shown.
pub fn ask_secretly(prompt: &str, most: usize) -> Result<Option<String>, ClientError> {
    let _silence = match io::stdin().is_terminal() {
        true => Some(RawMode::hide_input(io::stdin().as_fd()).map_err(|error| {
            ClientError::failure(format!(
                "cannot hide what is typed: {}; give the password by LOKET_ROOM_PASSWORD",
                reason(&error)
            ))
        })?),
        false => None,
    };
    show(prompt);
    read_line(most)
}

/// On standard error: standard output is for the conversation.
fn show(prompt: &str) {
    if io::stdin().is_terminal() {
        let _ = io::stderr().lock().write_all(prompt.as_bytes());
    }
}

fn read_line(most: usize) -> Result<Option<String>, ClientError> {
    let mut line = Vec::new();
    let mut byte = [0];
    // One by one: what stands behind the line is the conversation's.
    while line.len() <= most && !line.ends_with(b"\n") {
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
    if line.len() > most && !line.ends_with(b"\n") {
        return Err(ClientError::usage(format!(
            "cannot use an answer of more than {most} bytes; shorten it"
        )));
    }
    let text = String::from_utf8(line).map_err(|_| {
        ClientError::usage("cannot use an answer that is not UTF-8 text; write it anew")
    })?;
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}
