//! Parses the words of the transfer service and its headers: a name, the separator and a size.
//! If the input is incomplete, the caller calls again with more.

use super::SEPARATOR;
use super::ambiguous_size::{Digits, Start};
use super::names;
use super::text;
use super::unended::Unended;
use std::fmt;

const SEND: &[u8] = b"SEND";
const RECEIVE: &[u8] = b"RECEIVE";
/// Does not begin with another word: that one would be executed while this one arrives.
const RESUME: &[u8] = b"RESUME";
const SUM: &[u8] = b"SUM";

/// A word of the transfer service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// The peer sends a file.
    Send,
    /// The peer requests a file.
    Receive,
    /// The peer requests a file from an offset on; only on lines.
    Resume,
    /// The peer requests the SHA-256 of a file's front; only on lines.
    Sum,
}

/// A unit that is none of the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownWord<'a>(&'a [u8]);

impl fmt::Display for UnknownWord<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = text::excerpt(self.0);
        write!(
            out,
            "unknown command {word}; the words are SEND, RECEIVE, RESUME and SUM"
        )
    }
}

/// Parses a word.
pub fn word(unit: &[u8]) -> Result<Word, UnknownWord<'_>> {
    match unit {
        SEND => Ok(Word::Send),
        RECEIVE => Ok(Word::Receive),
        RESUME => Ok(Word::Resume),
        SUM => Ok(Word::Sum),
        _ => Err(UnknownWord(unit)),
    }
}

/// Classifies a word whose end has not arrived.
pub fn unended_word(unit: &[u8]) -> Unended {
    Unended::judge(unit, |unit| match unit {
        SEND | RECEIVE => Unended::Word,
        _ if [SEND, RECEIVE, RESUME, SUM]
            .iter()
            .any(|word| word.starts_with(unit)) =>
        {
            Unended::Part
        }
        _ => Unended::Hopeless,
    })
}

/// Why a header is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderFault<'a> {
    /// This line has no separator.
    NoSeparator(&'a [u8]),
    /// These bytes after the separator are not a size.
    NoSize(&'a [u8]),
    /// The name was not sent twice, and pauses within the text make it ambiguous.
    NotDoubled,
}

impl fmt::Display for HeaderFault<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderFault::NoSeparator(line) => {
                let line = text::excerpt(line);
                write!(
                    out,
                    "write the header as NAME{SEPARATOR}BYTES, not as {line}"
                )
            }
            HeaderFault::NoSize(b"") => write!(out, "the size is not a number of bytes"),
            HeaderFault::NoSize(size) => {
                let size = text::excerpt(size);
                write!(out, "the size is not a number of bytes: {size}")
            }
            HeaderFault::NotDoubled => {
                write!(
                    out,
                    "the name must come twice, the second time before the separator"
                )
            }
        }
    }
}

/// What the pauses of a bare peer say about the names before the separator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pauses {
    /// No pause: a textbook client sends both names back to back.
    None,
    /// One pause, after this many bytes: they are the first name.
    Behind(usize),
    /// Several pauses: the names are being typed.
    Typed,
}

impl Pauses {
    /// Where the second name begins, if a pause shows it.
    pub fn first(self) -> usize {
        match self {
            Pauses::Behind(first) => first,
            Pauses::None | Pauses::Typed => 0,
        }
    }
}

/// The header of a bare upload, as far as it was received.
#[derive(Debug, PartialEq, Eq)]
pub enum BareHeader<'a> {
    /// More bytes are needed.
    Open,
    /// The name and the digits after the separator.
    Whole {
        /// The name, once.
        name: &'a [u8],
        /// The longest possible size.
        digits: Digits,
        /// Where they begin.
        behind: usize,
    },
}

/// Where the separator begins, after at most `longest` bytes of names.
pub fn separator(input: &[u8], longest: usize) -> Option<usize> {
    input[..input.len().min(longest + SEPARATOR.len())]
        .windows(SEPARATOR.len())
        .position(|window| window == SEPARATOR.as_bytes())
}

/// Whether the separator can still arrive there, or has arrived in part.
pub fn separator_may_come(input: &[u8], longest: usize) -> bool {
    let starts = input.len().saturating_sub(SEPARATOR.len())..=longest.min(input.len());
    starts
        .into_iter()
        .any(|start| SEPARATOR.as_bytes().starts_with(&input[start..]))
}

/// The probable name at the beginning of an invalid header, for the log.
pub fn name_on_its_way(input: &[u8]) -> &[u8] {
    let line = input.split(|&byte| byte == b'\n').next().unwrap_or(input);
    &line[..separator(line, line.len()).unwrap_or(line.len())]
}

/// Splits a header line into name and size.
pub fn parse_line(header: &[u8]) -> Result<(&[u8], u64), HeaderFault<'_>> {
    // The last separator: a name may contain one, a number cannot.
    let end = header
        .windows(SEPARATOR.len())
        .rposition(|window| window == SEPARATOR.as_bytes())
        .ok_or(HeaderFault::NoSeparator(header))?;
    let digits = &header[end + SEPARATOR.len()..];
    let size = std::str::from_utf8(digits)
        .ok()
        .filter(|_| digits.iter().all(u8::is_ascii_digit))
        .and_then(|digits| digits.parse().ok());
    Ok((&header[..end], size.ok_or(HeaderFault::NoSize(digits))?))
}

/// Parses `name name SEPARATOR digits`, without delimiters, once the separator has arrived.
/// `finished` says that the stream ends here.
pub fn parse_bare(
    input: &[u8],
    separator: usize,
    pauses: Pauses,
    finished: bool,
) -> Result<BareHeader<'_>, HeaderFault<'_>> {
    let names = &input[..separator];
    let name = match (names::undouble(names), pauses) {
        (Some(name), _) => name,
        (None, Pauses::Typed) => return Err(HeaderFault::NotDoubled),
        // A pause within the separator says nothing about the names.
        (None, Pauses::Behind(first)) if first <= separator => &names[first..],
        // The header came in one piece. At end of stream, the size proves that it is a header.
        (None, _) => names,
    };
    let behind = separator + SEPARATOR.len();
    match Digits::read(&input[behind..], finished) {
        Start::Open => Ok(BareHeader::Open),
        // It is not known where the name ends.
        Start::NotASize => Err(HeaderFault::NoSize(b"")),
        Start::Closed(digits) => Ok(BareHeader::Whole {
            name,
            digits,
            behind,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(input: &[u8], pauses: Pauses) -> Result<BareHeader<'_>, HeaderFault<'_>> {
        let separator = separator(input, 4096).expect("a separator");
        parse_bare(input, separator, pauses, false)
    }

    /// The name in a complete header.
    fn name(input: &str, pauses: Pauses) -> &str {
        match bare(input.as_bytes(), pauses) {
            Ok(BareHeader::Whole { name, .. }) => std::str::from_utf8(name).expect("text"),
            other => panic!("{other:?} of {input}"),
        }
    }

    #[test]
    fn no_word_is_executed_while_another_one_arrives() {
        for (word, begun) in [
            ("SEND", Unended::Word),
            ("RECEIVE", Unended::Word),
            ("RESUME", Unended::Part),
            ("SUM", Unended::Part),
        ] {
            for end in 1..word.len() {
                let unit = &word.as_bytes()[..end];
                assert_eq!(unended_word(unit), Unended::Part, "{unit:?}");
            }
            assert_eq!(unended_word(word.as_bytes()), begun, "{word}");
        }
    }

    #[test]
    fn a_line_header_is_split_at_its_last_separator() {
        assert_eq!(parse_line(b"a.bin<SEPARATOR>12"), Ok((&b"a.bin"[..], 12)));
        assert_eq!(
            parse_line(b"a<SEPARATOR>b<SEPARATOR>1"),
            Ok((&b"a<SEPARATOR>b"[..], 1))
        );
        assert_eq!(
            parse_line(b"a.bin 12"),
            Err(HeaderFault::NoSeparator(b"a.bin 12"))
        );
        for size in ["", "-1", "+1", "1x", "99999999999999999999"] {
            let header = format!("a<SEPARATOR>{size}");
            assert_eq!(
                parse_line(header.as_bytes()),
                Err(HeaderFault::NoSize(size.as_bytes())),
                "{size}"
            );
        }
    }

    #[test]
    fn a_name_sent_twice_is_taken_once() {
        let Ok(BareHeader::Whole {
            name,
            digits,
            behind,
        }) = bare(b"a.bina.bin<SEPARATOR>11hi", Pauses::None)
        else {
            panic!("not whole")
        };
        assert_eq!(
            (name, digits.text(), behind),
            (&b"a.bin"[..], &b"11"[..], 21)
        );
    }

    #[test]
    fn a_name_sent_twice_is_recognised_wherever_the_peer_pauses() {
        let input = "a.bina.bin<SEPARATOR>3abc";
        for pauses in [Pauses::None, Pauses::Typed, Pauses::Behind(2)] {
            assert_eq!(name(input, pauses), "a.bin");
        }
    }

    #[test]
    fn a_path_and_its_last_component_are_one_name() {
        for path in [
            "dir/base.txt",
            "/a/b c/base.txt",
            "C:\\dir\\base.txt",
            "\\base.txt",
        ] {
            let input = format!("{path}base.txt<SEPARATOR>3abc");
            for pauses in [Pauses::None, Pauses::Typed, Pauses::Behind(path.len())] {
                assert_eq!(name(&input, pauses), "base.txt", "{path}");
            }
        }
    }

    #[test]
    fn a_pause_marks_the_end_of_the_first_name() {
        let input = "a.binphotos/b.bin<SEPARATOR>3abc";
        assert_eq!(name(input, Pauses::Behind(5)), "photos/b.bin");
    }

    #[test]
    fn a_name_sent_once_needs_a_text_without_pauses() {
        let input = b"once.txt<SEPARATOR>5hello";
        assert_eq!(name("once.txt<SEPARATOR>5hello", Pauses::None), "once.txt");
        assert_eq!(bare(input, Pauses::Typed), Err(HeaderFault::NotDoubled));
    }

    #[test]
    fn a_separator_after_too_many_bytes_is_ignored() {
        assert_eq!(separator(b"1234<SEPARATOR>5", 4), Some(4));
        assert_eq!(separator(b"12345<SEPARATOR>5", 4), None);
    }

    #[test]
    fn a_separator_can_arrive_until_its_last_possible_position_is_taken() {
        for (input, may) in [
            (&b""[..], true),
            (b"1234", true),
            (b"12345", false),
            (b"1234<", true),
            (b"1234<SEPARATOR", true),
            (b"1234<SEPARATE", false),
            (b"12345<", false),
        ] {
            assert_eq!(separator_may_come(input, 4), may, "{input:?}");
        }
    }

    #[test]
    fn a_pause_within_the_separator_ends_no_name() {
        let input = "ab<SEPARATOR>3abc";
        for first in 3..input.len() {
            assert_eq!(name(input, Pauses::Behind(first)), "ab");
        }
    }

    #[test]
    fn digits_at_the_end_leave_the_header_open() {
        assert_eq!(bare(b"aa<SEPARATOR>1", Pauses::None), Ok(BareHeader::Open));
        assert_eq!(
            bare(b"aa<SEPARATOR>x", Pauses::None),
            Err(HeaderFault::NoSize(b""))
        );
    }
}
