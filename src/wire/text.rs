//! Makes what strangers send fit for a person's screen.
//! Prints nothing, and keeps no bytes: what is cut is the caller's to keep.

/// Where the last character of `bytes` begins, if more bytes could complete it; else the end.
pub fn complete_prefix(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) => match bytes[error.valid_up_to()..].utf8_chunks().last() {
            // Only a character cut at the very end can still become whole.
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

/// Text for a screen: broken UTF-8 becomes U+FFFD, and control characters other than tab are left
/// out, so that no escape sequence reaches a terminal.
pub fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .filter(|&character| character == '\t' || !is_unsafe(character))
        .collect()
}

/// The longest excerpt, in characters: more of a wrong word or name helps nobody, and a line of a
/// terminal holds it beside the words around it.
const EXCERPT: usize = 60;

/// What a person is shown of a peer's bytes within a line: clean text, cut where it is long.
pub fn excerpt(bytes: &[u8]) -> String {
    shorten(&clean(bytes).replace('\t', ""))
}

/// Text as it is, or the beginning of a long one.
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Control characters, and the marks that make a terminal write from right to left.
fn is_unsafe(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_character_cut_at_the_end_is_left_for_later() {
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
    fn what_can_never_become_whole_is_not_waited_for() {
        assert_eq!(complete_prefix(b"a\xff"), 2);
        assert_eq!(complete_prefix(b"a\xffb"), 3);
        assert_eq!(complete_prefix(b"\xff\xe2\x82"), 1);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        assert_eq!(
            clean(b"\x1b[2J\x07hello\tworld\r\x9b"),
            "[2Jhello\tworld\u{fffd}"
        );
        assert_eq!(clean("\u{9b}31m\u{202e}abc".as_bytes()), "31mabc");
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
}
