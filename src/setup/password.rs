//! Reads the password of the room from a file, or generates one.
//! Shows it to nobody: the announcement does.

use super::error::StartError;

/// The password in the text of a file: its first line, without a byte-order mark, blanks and a
/// carriage return, which editors add and a person cannot type.
pub fn first_line(text: &str) -> &str {
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
