//! The password of the room and the token of HTTP: given, read from a file, or generated.

use super::error::StartError;
use std::path::Path;

/// The variable that holds the password of the room.
pub const VARIABLE: &str = "LOKET_ROOM_PASSWORD";

/// The password from the setting or the file.
pub fn given(flag: Option<&str>, file: Option<&Path>) -> Result<Option<String>, StartError> {
    let (password, source) = match (flag, file) {
        (Some(password), _) => (password.to_owned(), "room-password"),
        (None, Some(file)) => {
            let password = from_file("the room's password", file)?;
            (password, "room-password-file")
        }
        (None, None) => return Ok(None),
    };
    // The room drops blanks around a password.
    if password.trim().is_empty() {
        let text = format!("the room's password in {source} is empty; give one");
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

fn from_file(what: &str, file: &Path) -> Result<String, StartError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let file = file.display();
        StartError::new(format!("cannot read {what} from {file}: {error}"))
    })?;
    Ok(first_line(&text).to_owned())
}

/// The addresses of the link from the flag or the file.
pub fn link(flag: Option<&str>, file: Option<&Path>) -> Result<Option<String>, StartError> {
    let file = file.map(|file| from_file("the link's servers", file));
    Ok(flag.map(str::to_owned).or(file.transpose()?))
}

/// The token of HTTP in a file.
pub fn token(file: &Path) -> Result<String, StartError> {
    let token = from_file("the token of HTTP", file)?;
    // A Bearer token has no blanks, and a field of a request is ASCII.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let file = file.display();
        return Err(StartError::new(format!(
            "the token of HTTP in {file} is not usable; write one line of ASCII letters, digits \
             and signs, without blanks"
        )));
    }
    Ok(token)
}

/// A password or a token.
#[derive(Debug, Clone)]
pub struct Secret {
    /// The text.
    pub text: String,
    /// Whether it was generated, so that it must be printed once.
    pub made: bool,
}

impl Secret {
    /// The given text, or a generated one. `flag` is the one that gives a text.
    ///
    /// # Errors
    ///
    /// The system has no random bytes: getrandom(2).
    pub fn given_or_made(given: Option<String>, flag: &str) -> Result<Secret, StartError> {
        let made = given.is_none();
        let text = match given {
            Some(text) => text,
            None => make().map_err(|error| {
                let text = format!("cannot make a password: {error}; give one with {flag} FILE");
                StartError::new(text)
            })?,
        };
        Ok(Secret { text, made })
    }
}

/// Generates a password of 60 random bits: twelve letters and digits that are hard to confuse.
fn make() -> Result<String, getrandom::Error> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 12];
    getrandom::fill(&mut random)?;
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    Ok(random.iter().map(letter).collect())
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
