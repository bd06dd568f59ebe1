//! Reads what a datagram of the room says, and writes what the room says about names.
//! Knows no member: `room.rs` does.

use crate::wire::text::{self, is_hidden, steers};

/// What a datagram says.
pub enum Words<'a> {
    /// The password is given.
    Password(&'a [u8]),
    /// A name is chosen.
    Name(String),
    /// Anything else.
    Text,
}

impl<'a> Words<'a> {
    /// Blanks around a name or a password are no part of it, and neither is what a name would
    /// lose in a message. Characters that steer stay: they make it invalid.
    pub fn of(bytes: &'a [u8]) -> Words<'a> {
        if let Some(password) = bytes.strip_prefix(b"PASSWORD ") {
            Words::Password(password.trim_ascii())
        } else if let Some(name) = bytes.strip_prefix(b"USERNAME ") {
            let name = String::from_utf8_lossy(name);
            let name = name.replace(|letter| is_hidden(letter) && !steers(letter), "");
            Words::Name(name.trim_ascii().to_owned())
        } else {
            Words::Text
        }
    }
}

/// The notice that a member is gone.
pub fn leaving(name: &str) -> String {
    format!("{name} telah keluar dari chatroom.")
}

/// What is shown of a message. A line feed would begin a line that looks like another member's.
pub fn one_line(bytes: &[u8]) -> String {
    let blank = |&byte: &u8| if byte == b'\n' { b' ' } else { byte };
    text::clean(&bytes.iter().map(blank).collect::<Vec<_>>())
}

/// Whether a member wants to leave.
pub fn is_exit(said: &str) -> bool {
    said.trim().eq_ignore_ascii_case("exit")
}

/// At most this number of bytes, without cutting a character.
pub fn cut(line: &str, most: usize) -> &str {
    &line[..line.floor_char_boundary(most)]
}
