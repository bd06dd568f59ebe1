//! Cleans text of peers for a terminal, and compares names by their appearance.

use std::fmt::{self, Display, Write};
use std::io;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The length of `bytes` without a character at the end that more bytes could complete.
pub fn complete_prefix(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) => match bytes[error.valid_up_to()..].utf8_chunks().last() {
            // Only a character that is cut at the end can still be completed.
            Some(last) if is_cut(last.invalid()) => bytes.len() - last.invalid().len(),
            _ => bytes.len(),
        },
    }
}

/// Whether these bytes are the beginning of a longer character.
fn is_cut(invalid: &[u8]) -> bool {
    !invalid.is_empty()
        && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none())
}

/// One line of text for a terminal: broken UTF-8 becomes U+FFFD, and hidden characters other than
/// tab are removed, so that no escape sequence reaches the terminal.
pub fn clean(bytes: &[u8]) -> String {
    filter(bytes, &['\t'])
}

/// The same for a text of several lines: LF is kept, too.
pub fn clean_lines(bytes: &[u8]) -> String {
    filter(bytes, &['\t', '\n'])
}

fn filter(bytes: &[u8], kept: &[char]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .filter(|character| kept.contains(character) || !is_hidden(*character))
        .collect()
}

/// The longest excerpt, in characters: enough to recognise a wrong word or name, and short enough
/// for a line of a terminal.
const EXCERPT: usize = 60;

/// Cleaned text of a peer for use within a line, cut after 60 characters.
pub fn excerpt(bytes: &[u8]) -> String {
    shorten(&clean(bytes).replace('\t', ""))
}

/// The text, or the beginning of a long text.
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether a character is invisible and may change how others are shown: control characters, the
/// Unicode category Format (including the zero-width joiner, also inside an emoji), and fillers.
pub fn is_hidden(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    steers(character)
        || character.general_category() == GeneralCategory::Format
        || is_filler(character)
}

/// Control characters, line separators, and marks that change the direction of text. No keyboard
/// types them into a name.
pub fn steers(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters with the Unicode property Default_Ignorable_Code_Point outside the category Format,
/// a property that no small crate has, and three characters that are always blank.
fn is_filler(character: char) -> bool {
    matches!(
        character,
        // The combining grapheme joiner, fillers of Hangul and Khmer, Mongolian selectors.
        '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{3164}' | '\u{ffa0}'
        // Variation selectors, tags, and what is reserved for more of them.
        | '\u{2065}' | '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}'
        // Braille without dots, the Khitan filler, a musical note without a head.
        | '\u{2800}' | '\u{16fe4}' | '\u{1d159}'
    )
}

/// Displays a value on one line: a hidden character becomes an escape, like `\n` or `\u{202e}`.
#[derive(Debug, Clone, Copy)]
pub struct OneLine<T>(pub T);

impl<T: Display> Display for OneLine<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(out), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '\n' | '\r' | '\t' => write!(self.0, "{}", character.escape_default())?,
                _ if is_hidden(character) => write!(self.0, "{}", character.escape_unicode())?,
                _ => self.0.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// A key that is equal for names that look the same: without hidden characters, in one normal form,
/// and in one case. Converting to upper case first unifies both forms of sigma, and the sharp s
/// with `ss`. Letters of different scripts stay different.
pub fn name_key(name: &str) -> String {
    name.chars()
        .filter(|&character| !is_hidden(character))
        .nfd()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfc()
        .collect()
}

/// A whole number, its thousands set apart: 200000 as 200,000.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The system's own words for an error, without its number.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// Whether this is `HOST:PORT`, with brackets around an IPv6 address.
pub fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    // `::1` would parse as host `::` and port 1: an IPv6 address needs its brackets.
    let whole_host = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    !host.is_empty() && whole_host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_character_cut_at_the_end_waits_for_its_rest() {
        let text = "añ€😀".as_bytes();
        for (length, prefix) in [
            (1, 1),
            (2, 1),
            (3, 3),
            (4, 3),
            (5, 3),
            (6, 6),
            (7, 6),
            (9, 6),
        ] {
            assert_eq!(complete_prefix(&text[..length]), prefix, "{length}");
        }
        assert_eq!(complete_prefix(text), 10);
    }

    #[test]
    fn invalid_bytes_are_not_waited_for() {
        assert_eq!(complete_prefix(b"a\xff"), 2);
        assert_eq!(complete_prefix(b"a\xffb"), 3);
        assert_eq!(complete_prefix(b"\xff\xe2\x82"), 1);
    }

    #[test]
    fn control_characters_are_removed() {
        assert_eq!(
            clean(b"\x1b[2J\x07hello\tworld\r\x9b"),
            "[2Jhello\tworld\u{fffd}"
        );
        assert_eq!(clean("\u{9b}31m\u{202e}abc".as_bytes()), "31mabc");
        assert_eq!(clean_lines(b"a\x1b[2Jb\r\n\tc\x07"), "a[2Jb\n\tc");
    }

    #[test]
    fn format_characters_and_fillers_are_removed_and_letters_stay() {
        let hidden = "\u{200b}\u{200d}\u{200e}\u{200f}\u{61c}\u{2028}\u{202e}\u{2066}\u{2069}\
                      \u{feff}\u{ad}\u{34f}\u{115f}\u{1160}\u{17b4}\u{180b}\u{180e}\u{2060}\
                      \u{2065}\u{206a}\u{2800}\u{3164}\u{fe0f}\u{ffa0}\u{fff9}\u{1bca0}\u{1d173}\
                      \u{e0001}\u{e0041}\u{e0100}";
        for character in hidden.chars() {
            assert!(is_hidden(character), "{}", character.escape_unicode());
        }
        assert_eq!(clean(format!("a{hidden}b").as_bytes()), "ab");
        let shown = "aé\u{301}ßЖ日本語한עברية\u{5b0}عربي हिन्दी😀 \u{3000}";
        assert_eq!(clean(shown.as_bytes()), shown);
    }

    #[test]
    fn a_value_stays_on_one_line_and_hidden_characters_are_escaped() {
        let name = "a\nb\rc\td\u{9b}31m\u{202e}e\u{3164}ü\\";
        let line = OneLine(format_args!("removed {name}")).to_string();
        let shown = "removed a\\nb\\rc\\td\\u{9b}31m\\u{202e}e\\u{3164}ü\\";
        assert_eq!(line, shown);
        assert_eq!(OneLine(&line).to_string(), line);
    }

    #[test]
    fn names_that_look_the_same_have_one_key() {
        for (one, other) in [
            ("amy", "a\u{200b}my\u{3164}"),
            ("amy", "AMY\u{fe0f}"),
            ("Jos\u{e9}", "JOSE\u{301}"),
            ("stra\u{df}e", "STRASSE"),
            ("stra\u{1e9e}e", "strasse"),
            ("\u{3c3}\u{3c2}", "\u{3a3}\u{3a3}"),
            ("\u{212a}", "k"),
            ("\u{1fb3}", "\u{391}\u{345}"),
        ] {
            assert_eq!(name_key(one), name_key(other), "{one} {other}");
        }
        assert_ne!(name_key("amy"), name_key("аmy"));
        assert_eq!(name_key("\u{200b}\u{3164}"), "");
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt(b"a\tb\r\nc\x1b[2J\xff"), "abc[2J\u{fffd}");
        assert_eq!(excerpt("\u{e9}".repeat(60).as_bytes()), "\u{e9}".repeat(60));
        let long = "\u{e9}".repeat(61);
        assert_eq!(excerpt(long.as_bytes()), "\u{e9}".repeat(60) + "...");
    }

    proptest! {
        #[test]
        fn any_cut_of_any_text_joins_again(text in "\\PC{0,20}", cut in 0usize..80) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let first = complete_prefix(&bytes[..cut]);
            let joined = [clean(&bytes[..first]), clean(&bytes[first..])].concat();
            prop_assert_eq!(joined, clean(bytes));
        }
    }

    #[test]
    fn numbers_are_grouped_and_errors_lose_theirs() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1234567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(reason(&refused), "Connection refused");
    }
}
