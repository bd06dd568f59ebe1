//! Removes hidden characters from a stream of text, so that no escape sequence reaches a terminal.

use crate::wire::text;

/// Sanitizes a stream of bytes whose pieces may cut a character.
#[derive(Debug, Default)]
pub struct Sanitizer {
    unfinished: Vec<u8>,
}

impl Sanitizer {
    /// The sanitized text of this piece, without a character that is cut at its end.
    pub fn clean(&mut self, piece: &[u8]) -> String {
        self.unfinished.extend_from_slice(piece);
        let whole = text::complete_prefix(&self.unfinished);
        let text = text::clean_lines(&self.unfinished[..whole]);
        self.unfinished.drain(..whole);
        text
    }

    /// The rest at the end of the stream: nothing, or U+FFFD for a character that was cut.
    pub fn finish(self) -> &'static str {
        if self.unfinished.is_empty() {
            ""
        } else {
            "\u{fffd}"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_character_cut_in_two_is_joined() {
        let mut sanitizer = Sanitizer::default();
        let bytes = "aé".as_bytes();
        let text =
            sanitizer.clean(&bytes[..2]) + &sanitizer.clean(&bytes[2..]) + sanitizer.finish();
        assert_eq!(text, "aé");
    }

    #[test]
    fn invalid_bytes_become_replacement_characters() {
        let mut sanitizer = Sanitizer::default();
        assert_eq!(sanitizer.clean(b"a\xffb\xc3"), "a\u{fffd}b");
        assert_eq!(sanitizer.finish(), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn the_text_does_not_depend_on_where_the_stream_is_cut(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            cut in 0_usize..60,
        ) {
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let mut whole = Sanitizer::default();
            let expected = whole.clean(&bytes) + whole.finish();
            let mut parts = Sanitizer::default();
            let found = parts.clean(first) + &parts.clean(second) + parts.finish();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(text::clean_lines(found.as_bytes()), found);
        }
    }
}
