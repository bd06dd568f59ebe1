//! Reads the password of the room from a flag, a file or a variable, or generates one.

use super::error::StartError;
use std::env::{self, VarError};
use std::path::Path;

/// The variable that holds the password of the room.
pub const VARIABLE: &str = "LOKET_ROOM_PASSWORD";

/// The password from the flag, the file or the variable, in this order.
pub fn given(flag: Option<&str>, file: Option<&Path>) -> Result<Option<String>, StartError> {
    let (password, source) = match (flag, file) {
        (Some(password), _) => (password.to_owned(), "--room-password"),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                let file = file.display();
                StartError::new(format!(
                    "cannot read the room's password from {file}: {error}"
                ))
            })?;
            (first_line(&text).to_owned(), "--room-password-file")
        }
        (None, None) => match env::var(VARIABLE) {
            Ok(password) => (password, VARIABLE),
            Err(VarError::NotPresent) => return Ok(None),
            Err(VarError::NotUnicode(_)) => {
                let text = format!("the room's password in {VARIABLE} is not UTF-8 text");
                return Err(StartError::new(format!("{text}; set it anew")));
            }
        },
    };
    // The room drops blanks around a password.
    if password.trim().is_empty() {
        let text = format!("the room's password from {source} is empty; give one");
        return Err(StartError::new(text));
    }
    Ok(Some(password))
}

/// The password in the text of a file: its first line, without a byte-order mark, blanks and a
/// carriage return, which editors add and a person cannot type.
fn first_line(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().next().unwrap_or("").trim()
}

/// Generates a password of 60 random bits: twelve letters and digits that are hard to confuse.
pub fn make() -> Result<String, StartError> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|error| {
        let way_out = "give one with --room-password-file FILE";
        StartError::new(format!(
            "cannot make a password for the room: {error}; {way_out}"
        ))
    })?;
    Ok(random
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_without_blanks_and_marks_that_editors_add() {
        for text in [
            "from far away",
            "from far away\n",
            "from far away\r\nnot this\r\n",
            "\u{feff}from far away\r\n",
            "\u{feff}from far away",
            "from far away \t \n",
            "  from far away\r",
        ] {
            assert_eq!(first_line(text), "from far away", "{text:?}");
        }
        for none in ["", "\n", "\u{feff}", "\u{feff}\r\n", "  \n", "\nsecond"] {
            assert_eq!(first_line(none), "", "{none:?}");
        }
    }
}
