//! The meaning of a datagram to the room: a password, a name or a message.

use crate::wire::text::{self, is_hidden, steers};

/// The content of a datagram.
pub enum Request<'a> {
    /// `PASSWORD ...`
    Password(&'a [u8]),
    /// `USERNAME ...`
    Name(String),
    /// Anything else.
    Text,
}

impl<'a> Request<'a> {
    /// The request in a datagram. Passwords are trimmed, names are as [`name_of`] has them.
    pub fn of(bytes: &'a [u8]) -> Request<'a> {
        if let Some(password) = bytes.strip_prefix(b"PASSWORD ") {
            Request::Password(password.trim_ascii())
        } else if let Some(name) = bytes.strip_prefix(b"USERNAME ") {
            Request::Name(name_of(&String::from_utf8_lossy(name)))
        } else {
            Request::Text
        }
    }
}

/// A name without blanks around it and without hidden characters. Control characters and direction
/// marks stay: they make the name invalid.
pub fn name_of(name: &str) -> String {
    let name = name.replace(|letter| is_hidden(letter) && !steers(letter), "");
    name.trim_ascii().to_owned()
}

/// A message as one line of sanitized text. LF would begin a line that looks like another member's
/// message.
pub fn one_line(bytes: &[u8]) -> String {
    let blank = |&byte: &u8| if byte == b'\n' { b' ' } else { byte };
    text::clean(&bytes.iter().map(blank).collect::<Vec<_>>())
}

/// What is relayed of a message: it begins with the name of its author, which may have sent it.
pub fn line_of(name: &str, said: String) -> String {
    let is_own = said
        .strip_prefix(name)
        .is_some_and(|rest| rest.starts_with(": "));
    if is_own {
        said
    } else {
        format!("{name}: {said}")
    }
}

/// Whether a member wants to leave.
pub fn is_exit(said: &str) -> bool {
    said.trim().eq_ignore_ascii_case("exit")
}

/// The first `most` bytes, or fewer where that would cut a character.
pub fn cut(line: &str, most: usize) -> &str {
    &line[..line.floor_char_boundary(most)]
}
