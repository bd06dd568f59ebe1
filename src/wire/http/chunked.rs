//! Parses the lines of a chunked body, not the data between them: RFC 9112, section 7.1.

use super::HttpLimits;
use super::head_lines::{Line, line};
use super::status::{Refusal, Status};

/// The state of a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chunked {
    /// A line with a size follows.
    #[default]
    Size,
    /// The data of a chunk has ended; its CR LF follows, and then a line with a size.
    DataEnd,
    /// The last chunk has been parsed; trailers follow.
    Trailers {
        /// Bytes of the trailers so far.
        bytes: usize,
        /// Trailers so far.
        fields: usize,
    },
}

/// What follows the parsed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Incomplete: more bytes are needed.
    More,
    /// This number of bytes of data, at least 1. The next call gets the bytes after them.
    Data(u64),
    /// The next request: the body has ended.
    End,
}

impl Chunked {
    /// Parses the beginning of `input`. Returns the number of bytes parsed, and what follows them.
    ///
    /// # Errors
    ///
    /// Status 400 for a line that is invalid or too long, 431 for trailers that are too long: the
    /// rest of the stream has no meaning.
    pub fn parse(&mut self, input: &[u8], limits: &HttpLimits) -> Result<(usize, Next), Refusal> {
        let mut parsed = 0;
        loop {
            let rest = &input[parsed..];
            let Some((length, next)) = self.parse_line(rest, limits)? else {
                return Ok((parsed, Next::More));
            };
            parsed += length;
            if let Some(next) = next {
                return Ok((parsed, next));
            }
        }
    }

    /// Parses one line. `None` if it is incomplete.
    fn parse_line(
        &mut self,
        input: &[u8],
        limits: &HttpLimits,
    ) -> Result<Option<(usize, Option<Next>)>, Refusal> {
        match self {
            Chunked::DataEnd => match input {
                [] | [b'\r'] => Ok(None),
                [b'\r', b'\n', ..] => {
                    *self = Chunked::Size;
                    Ok(Some((2, None)))
                }
                _ => Err(Refusal::bad("the data of a chunk is not followed by CR LF")),
            },
            Chunked::Size => {
                let Some((size, length)) = size_line(input, limits)? else {
                    return Ok(None);
                };
                let next = match size {
                    0 => Chunked::Trailers {
                        bytes: 0,
                        fields: 0,
                    },
                    _ => Chunked::DataEnd,
                };
                *self = next;
                Ok(Some((length, (size > 0).then_some(Next::Data(size)))))
            }
            Chunked::Trailers { bytes, fields } => {
                let Some(length) = trailer_line(input, limits.head - *bytes)? else {
                    return Ok(None);
                };
                if length == 2 {
                    return Ok(Some((length, Some(Next::End))));
                }
                (*bytes, *fields) = (*bytes + length, *fields + 1);
                match *fields > limits.fields {
                    true => Err(TRAILERS_TOO_LONG),
                    false => Ok(Some((length, None))),
                }
            }
        }
    }
}

const TRAILERS_TOO_LONG: Refusal = Refusal {
    status: Status::FieldsTooLarge,
    says: "the trailers after the chunked body are too long",
};

/// Parses a line with the size of a chunk: its value, and the length of the line. `None` if the
/// line is incomplete.
///
/// Trap: programs on the way may read a blank, a sign or a bare LF in this line in another way.
fn size_line(input: &[u8], limits: &HttpLimits) -> Result<Option<(u64, usize)>, Refusal> {
    let bad = Refusal::bad("the size of a chunk is not a hexadecimal number of 1 to 16 digits");
    let digits = input.iter().position(|byte| !byte.is_ascii_hexdigit());
    let (digits, rest) = input.split_at(digits.unwrap_or(input.len()));
    if digits.len() > 16 {
        return Err(bad);
    }
    let extensions = match rest {
        [] => return Ok(None),
        [b'\r', ..] if !digits.is_empty() => 0,
        [b';', ..] if !digits.is_empty() => {
            let end = rest.iter().take(limits.chunk_extensions + 1);
            let is_bad = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
            match end.clone().position(is_bad) {
                Some(end) => end,
                None if end.len() > limits.chunk_extensions => {
                    return Err(Refusal::bad("the extensions of a chunk are too long"));
                }
                None => return Ok(None),
            }
        }
        _ => return Err(bad),
    };
    match rest[extensions..] {
        [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] if !are_extensions(&rest[..extensions]) => Err(Refusal::bad(
            "the extensions of a chunk are not ;NAME or ;NAME=VALUE",
        )),
        [b'\r', b'\n', ..] => {
            let digits = str::from_utf8(digits).ok();
            let size = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            let length = input.len() - rest.len() + extensions + 2;
            Ok(Some((size.ok_or(bad)?, length)))
        }
        _ => Err(Refusal::bad(
            "the line with the size of a chunk does not end with CR LF",
        )),
    }
}

/// Whether the text is a list of `;NAME`, `;NAME=TOKEN` and `;NAME="TEXT"`: section 7.1.1.
fn are_extensions(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b';', extension @ ..] => behind_extension(extension).is_some_and(are_extensions),
        _ => false,
    }
}

fn behind_extension(text: &[u8]) -> Option<&[u8]> {
    match behind_token(text)? {
        [b'=', b'"', text @ ..] => behind_quote(text),
        [b'=', token @ ..] => behind_token(token),
        behind => Some(behind),
    }
}

/// What is behind the token at the beginning of the text: RFC 9110, section 5.6.2.
fn behind_token(text: &[u8]) -> Option<&[u8]> {
    let is_in_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(|byte| !is_in_token(byte));
    let end = end.unwrap_or(text.len());
    (end > 0).then(|| &text[end..])
}

/// What is behind the closing quote of a text: RFC 9110, section 5.6.4.
fn behind_quote(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'"', behind @ ..] => Some(behind),
        [b'\\', _, behind @ ..] | [_, behind @ ..] => behind_quote(behind),
        [] => None,
    }
}

/// Parses a trailer, or the empty line after the last one: its length. Trailers are not used.
fn trailer_line(input: &[u8], limit: usize) -> Result<Option<usize>, Refusal> {
    let window = &input[..input.len().min(limit)];
    match line(window) {
        Line::Fault(refusal) => Err(refusal),
        Line::Partial if window.len() == limit => Err(TRAILERS_TOO_LONG),
        Line::Partial => Ok(None),
        Line::Complete(2) => Ok(Some(2)),
        Line::Complete(length) => {
            let mut slots = [httparse::EMPTY_HEADER];
            match httparse::parse_headers(&window[..length], &mut slots) {
                Ok(_) => Ok(Some(length)),
                Err(_) => Err(Refusal::bad("a trailer is not NAME: VALUE")),
            }
        }
    }
}
