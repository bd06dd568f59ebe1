//! Text within a string of JSON: RFC 8259, section 7.

use super::text::is_hidden;
use std::fmt::{self, Display, Write};

/// Displays a value as the content of a JSON string, without the quotes. Hidden characters are
/// escaped, so that the text stays on one line and shows as what it is.
#[derive(Debug, Clone, Copy)]
pub struct JsonText<T>(pub T);

impl<T: Display> Display for JsonText<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(out), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '"' | '\\' => write!(self.0, "\\{character}")?,
                _ if is_hidden(character) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(self.0, "\\u{unit:04x}")?;
                    }
                }
                _ => self.0.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_hidden_characters_are_escaped() {
        for (text, shown) in [
            ("a \"b\" \\ ñ 😀", "a \\\"b\\\" \\\\ ñ 😀"),
            ("\n\u{2028}\u{202e}", "\\u000a\\u2028\\u202e"),
            ("\u{e0001}", "\\udb40\\udc01"),
        ] {
            assert_eq!(JsonText(text).to_string(), shown);
        }
    }
}
