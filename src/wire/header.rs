//! Reads the words of the transfer service and its headers: a name, the separator and a size.
//! Opens nothing and waits for nothing: what is missing is said, and the caller comes again.

use super::SEPARATOR;
use super::names;
use super::puzzle::{Digits, Start};
use super::text;
use super::unended::Unended;
use std::fmt;

const SEND: &[u8] = b"SEND";
const RECEIVE: &[u8] = b"RECEIVE";

/// A word of the transfer service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// A file will come.
    Send,
    /// A file is asked for.
    Receive,
}

/// What is neither of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownWord<'a>(&'a [u8]);

impl fmt::Display for UnknownWord<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = text::excerpt(self.0);
        write!(
            out,
            "unknown command {word}; the words are SEND and RECEIVE"
        )
    }
}

/// Reads a word.
pub fn word(unit: &[u8]) -> Result<Word, UnknownWord<'_>> {
    match unit {
        SEND => Ok(Word::Send),
        RECEIVE => Ok(Word::Receive),
        _ => Err(UnknownWord(unit)),
    }
}

/// What a word is of which no end has come.
pub fn unended_word(unit: &[u8]) -> Unended {
    Unended::judge(unit, |unit| {
        match [SEND, RECEIVE].iter().any(|word| word.starts_with(unit)) {
            true => Unended::Part,
            false => Unended::Hopeless,
        }
    })
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderFault {
    /// There is no separator in the line.
    NoSeparator,
    /// What stands behind the separator is no size.
    NoSize,
    /// A bare name came once, with no pause that says where it ends.
    NotDoubled,
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderFault::NoSeparator => write!(out, "write the header as NAME{SEPARATOR}BYTES"),
            HeaderFault::NoSize => write!(out, "the size is not a number of bytes"),
            HeaderFault::NotDoubled => {
                write!(
                    out,
                    "the name must come twice, the second time before the separator"
                )
            }
        }
    }
}

/// The header of a bare upload, as far as it has come.
#[derive(Debug, PartialEq, Eq)]
pub enum BareHeader<'a> {
    /// More bytes are needed.
    Open,
    /// The name and the digits behind the separator.
    Whole {
        /// The name, once.
        name: &'a [u8],
        /// The longest possible size.
        digits: Digits,
        /// Where they begin.
        behind: usize,
    },
}

/// Where the separator begins, which may stand behind at most `longest` bytes of names.
pub fn separator(input: &[u8], longest: usize) -> Option<usize> {
    input[..input.len().min(longest + SEPARATOR.len())]
        .windows(SEPARATOR.len())
        .position(|window| window == SEPARATOR.as_bytes())
}

/// Whether it can still come there, or its first bytes have, though it is not whole.
pub fn separator_may_come(input: &[u8], longest: usize) -> bool {
    let starts = input.len().saturating_sub(SEPARATOR.len())..=longest.min(input.len());
    starts
        .into_iter()
        .any(|start| SEPARATOR.as_bytes().starts_with(&input[start..]))
}

/// What a person takes for the name in front of `input`, of which no header can be made.
pub fn name_on_its_way(input: &[u8]) -> &[u8] {
    let line = input.split(|&byte| byte == b'\n').next().unwrap_or(input);
    &line[..separator(line, line.len()).unwrap_or(line.len())]
}

/// Splits a header line into its name and size.
pub fn parse_line(header: &[u8]) -> Result<(&[u8], u64), HeaderFault> {
    // The last separator: a name may hold one, a number cannot.
    let end = header
        .windows(SEPARATOR.len())
        .rposition(|window| window == SEPARATOR.as_bytes())
        .ok_or(HeaderFault::NoSeparator)?;
    let digits = &header[end + SEPARATOR.len()..];
    let size = std::str::from_utf8(digits)
        .ok()
        .filter(|_| digits.iter().all(u8::is_ascii_digit))
        .and_then(|digits| digits.parse().ok());
    Ok((&header[..end], size.ok_or(HeaderFault::NoSize)?))
}

/// Reads `name name SEPARATOR digits`, with no delimiter between, once the separator has come.
/// `boundary` is where the peer paused first; `finished` says that nothing follows.
pub fn parse_bare(
    input: &[u8],
    separator: usize,
    boundary: Option<usize>,
    finished: bool,
) -> Result<BareHeader<'_>, HeaderFault> {
    let names = &input[..separator];
    let name = match (names::undouble(names), boundary) {
        (Some(name), _) => name,
        // A pause inside the separator says nothing about the names.
        (None, Some(boundary)) if boundary <= separator => &names[boundary..],
        (None, _) => return Err(HeaderFault::NotDoubled),
    };
    let behind = separator + SEPARATOR.len();
    match Digits::read(&input[behind..], finished) {
        Start::Open => Ok(BareHeader::Open),
        Start::NotASize => Err(HeaderFault::NoSize),
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

    fn bare(input: &[u8], boundary: Option<usize>) -> Result<BareHeader<'_>, HeaderFault> {
        parse_bare(
            input,
            separator(input, 4096).expect("a separator"),
            boundary,
            false,
        )
    }

    #[test]
    fn a_line_header_is_split_at_its_last_separator() {
        assert_eq!(parse_line(b"a.bin<SEPARATOR>12"), Ok((&b"a.bin"[..], 12)));
        assert_eq!(
            parse_line(b"a<SEPARATOR>b<SEPARATOR>1"),
            Ok((&b"a<SEPARATOR>b"[..], 1))
        );
        assert_eq!(parse_line(b"a.bin 12"), Err(HeaderFault::NoSeparator));
        for size in ["", "-1", "+1", "1x", "99999999999999999999"] {
            let header = format!("a<SEPARATOR>{size}");
            assert_eq!(
                parse_line(header.as_bytes()),
                Err(HeaderFault::NoSize),
                "{size}"
            );
        }
    }

    #[test]
    fn a_doubled_name_is_taken_once() {
        let Ok(BareHeader::Whole {
            name,
            digits,
            behind,
        }) = bare(b"a.bina.bin<SEPARATOR>11hi", None)
        else {
            panic!("not whole")
        };
        assert_eq!(
            (name, digits.text(), behind),
            (&b"a.bin"[..], &b"11"[..], 21)
        );
    }

    #[test]
    fn a_pause_says_where_the_first_name_ends() {
        let input = b"a.binphotos/a.bin<SEPARATOR>3abc";
        assert_eq!(bare(input, None), Err(HeaderFault::NotDoubled));
        let Ok(BareHeader::Whole { name, .. }) = bare(input, Some(5)) else {
            panic!("not whole")
        };
        assert_eq!(name, b"photos/a.bin");
    }

    #[test]
    fn a_separator_behind_too_many_bytes_is_none() {
        assert_eq!(separator(b"1234<SEPARATOR>5", 4), Some(4));
        assert_eq!(separator(b"12345<SEPARATOR>5", 4), None);
    }

    #[test]
    fn a_separator_may_come_until_a_byte_too_many_stands_where_it_must_begin() {
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
    fn a_pause_inside_the_separator_is_no_boundary() {
        let input = b"ab<SEPARATOR>3abc";
        for boundary in 3..input.len() {
            assert_eq!(bare(input, Some(boundary)), Err(HeaderFault::NotDoubled));
        }
    }

    #[test]
    fn digits_at_the_end_leave_the_header_open() {
        assert_eq!(bare(b"aa<SEPARATOR>1", None), Ok(BareHeader::Open));
        assert_eq!(bare(b"aa<SEPARATOR>x", None), Err(HeaderFault::NoSize));
    }
}
