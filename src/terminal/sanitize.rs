//! Takes out of a server's text what could steer a terminal.

use crate::wire::text::{self, is_hidden};

/// The text without its hidden characters; LF and tab stay.
pub fn clean(text: &str) -> String {
    text.chars()
        .filter(|&letter| is_printable(letter))
        .collect()
}

/// Cleans a stream of bytes whose pieces may cut a character in two.
#[derive(Debug, Default)]
pub struct Cleaner {
    unfinished: Vec<u8>,
}

impl Cleaner {
    /// The clean text of this piece, as far as its characters are whole.
    pub fn clean(&mut self, piece: &[u8]) -> String {
        self.unfinished.extend_from_slice(piece);
        let whole = text::complete_prefix(&self.unfinished);
        let text = clean(&String::from_utf8_lossy(&self.unfinished[..whole]));
        self.unfinished.drain(..whole);
        text
    }

    /// What is left when no more comes: nothing, or one character that was never finished.
    pub fn finish(self) -> &'static str {
        if self.unfinished.is_empty() {
            ""
        } else {
            "\u{fffd}"
        }
    }
}

fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | '\t') || !is_hidden(letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_and_c1_controls_lose_their_teeth() {
        assert_eq!(clean("a\x1b[2Jb\r\n\tc\u{9b}d\x07"), "a[2Jb\n\tcd");
    }

    #[test]
    fn a_character_cut_in_two_is_put_together() {
        let mut cleaner = Cleaner::default();
        let bytes = "aé".as_bytes();
        let text = cleaner.clean(&bytes[..2]) + &cleaner.clean(&bytes[2..]) + cleaner.finish();
        assert_eq!(text, "aé");
    }

    #[test]
    fn broken_text_is_shown_as_broken() {
        let mut cleaner = Cleaner::default();
        assert_eq!(cleaner.clean(b"a\xffb\xc3"), "a\u{fffd}b");
        assert_eq!(cleaner.finish(), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn no_cutting_changes_what_is_shown(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            cut in 0_usize..60,
        ) {
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let mut whole = Cleaner::default();
            let expected = whole.clean(&bytes) + whole.finish();
            let mut parts = Cleaner::default();
            let found = parts.clean(first) + &parts.clean(second) + parts.finish();
            prop_assert_eq!(&found, &expected);
            prop_assert!(found.chars().all(is_printable));
        }
    }
}
