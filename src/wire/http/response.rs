//! Parses answers: RFC 9112, sections 4, 6 and 7. It says how many bytes of a body follow, and
//! never gets them.
//!
//! ```text
//!            1xx
//!          ┌─────┐   Content-Length
//!   Head ──┴─────┴────────────────▶ Body ── all bytes ──▶ Head
//!          │         chunked
//!          ├──────────────────────▶ Chunks ── data ⇄ Chunks ── last chunk ──▶ Head
//!          │         neither
//!          ├──────────────────────▶ ToEof ── end of the stream
//!          └── HEAD, 204, 304 ────▶ Head
//! ```

use super::HttpLimits;
use super::chunked::{Chunked, Next};
use super::fields::is_same;

/// What the parsed bytes are, or what follows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerPart {
    /// Incomplete: more bytes are needed.
    More,
    /// A complete head.
    Head(AnswerHead),
    /// This number of bytes of the body follows, at least 1; the next call gets the bytes behind
    /// them. `u64::MAX`: all bytes to the end of the stream.
    Data(u64),
    /// The answer is complete.
    End,
}

/// What a head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerHead {
    /// The status, 200 to 599.
    pub status: u16,
    /// The text behind the status of an error; empty for other statuses.
    pub reason: String,
    /// The field Content-Length. An answer to HEAD has no body of that length.
    pub length: Option<u64>,
    /// Whether the server closes the connection behind this answer.
    pub closes: bool,
}

/// The parser of one connection.
#[derive(Debug, Default)]
pub struct AnswerParser {
    state: State,
    /// The answer is one to HEAD.
    is_bodiless: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// The head is parsed, and this number of bytes follows.
    Body(u64),
    Chunks(Chunked),
    ToEof,
    End,
}

impl AnswerParser {
    /// Begins the next answer; `to_head` if the request was HEAD.
    pub fn begin(&mut self, to_head: bool) {
        (self.state, self.is_bodiless) = (State::Head, to_head);
    }

    /// Whether the answer is complete if the stream ends here.
    pub fn ends_at_eof(&self) -> bool {
        matches!(self.state, State::ToEof)
    }

    /// Parses the beginning of `input`. Returns the number of bytes parsed, and what they are or
    /// what follows them. If it needs more bytes, the next call must get the unparsed ones again.
    ///
    /// # Errors
    ///
    /// What is wrong; the rest of the stream has no meaning.
    pub fn parse(
        &mut self,
        input: &[u8],
        limits: &HttpLimits,
    ) -> Result<(usize, AnswerPart), String> {
        match &mut self.state {
            State::Head => self.parse_head(input, limits),
            State::Body(left) => {
                let left = *left;
                self.state = State::End;
                match left {
                    0 => Ok((0, AnswerPart::End)),
                    left => Ok((0, AnswerPart::Data(left))),
                }
            }
            State::Chunks(chunks) => {
                let parsed = chunks.parse(input, limits);
                let (count, next) = parsed.map_err(|refusal| refusal.says.to_owned())?;
                let part = match next {
                    Next::More => AnswerPart::More,
                    Next::Data(length) => AnswerPart::Data(length),
                    Next::End => AnswerPart::End,
                };
                Ok((count, part))
            }
            State::ToEof => Ok((0, AnswerPart::Data(u64::MAX))),
            State::End => Ok((0, AnswerPart::End)),
        }
    }

    fn parse_head(
        &mut self,
        input: &[u8],
        limits: &HttpLimits,
    ) -> Result<(usize, AnswerPart), String> {
        let mut parsed = 0;
        loop {
            let window = &input[parsed..];
            let mut fields = [httparse::EMPTY_HEADER; 64];
            let mut head = httparse::Response::new(&mut fields);
            let length = match head.parse(window) {
                Ok(httparse::Status::Complete(length)) => length,
                Ok(httparse::Status::Partial) if window.len() < limits.head => {
                    return Ok((parsed, AnswerPart::More));
                }
                Ok(httparse::Status::Partial) => return Err("the head is too long".to_owned()),
                Err(error) => return Err(format!("it is no HTTP ({error})")),
            };
            parsed += length;
            let status = head.code.expect("the head is complete");
            // An interim answer: another one follows.
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let framing = Framing::of(&head)?;
            let has_body = !self.is_bodiless && !matches!(status, 101 | 204 | 304);
            self.state = match framing {
                _ if !has_body => State::End,
                Framing { chunked: true, .. } => State::Chunks(Chunked::default()),
                Framing {
                    length: Some(length),
                    ..
                } => State::Body(length),
                _ => State::ToEof,
            };
            let head = AnswerHead {
                status,
                reason: head
                    .reason
                    .filter(|_| status >= 300)
                    .unwrap_or_default()
                    .to_owned(),
                length: framing.length,
                closes: framing.closes || self.ends_at_eof(),
            };
            return Ok((parsed, AnswerPart::Head(head)));
        }
    }
}

/// What the fields say about the length of the body and the connection.
struct Framing {
    length: Option<u64>,
    chunked: bool,
    closes: bool,
}

impl Framing {
    fn of(head: &httparse::Response<'_, '_>) -> Result<Framing, String> {
        let (mut length, mut chunked) = (None, false);
        let mut closes = head.version == Some(0);
        for field in head.headers.iter() {
            let value = field.value.trim_ascii();
            if field.name.eq_ignore_ascii_case("content-length") {
                let digits = str::from_utf8(value).ok();
                let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                let number: Option<u64> = digits.and_then(|text| text.parse().ok());
                let number = number.ok_or("its Content-Length is no number")?;
                if length.replace(number).is_some_and(|other| other != number) {
                    return Err("it has two values of Content-Length".to_owned());
                }
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                if chunked || !is_same(value, "chunked") {
                    return Err("its Transfer-Encoding is not `chunked`".to_owned());
                }
                chunked = true;
            } else if field.name.eq_ignore_ascii_case("connection") {
                for member in value.split(|byte| *byte == b',') {
                    let member = member.trim_ascii();
                    closes |= is_same(member, "close");
                    closes &= !is_same(member, "keep-alive");
                }
            }
        }
        if chunked && length.is_some() {
            return Err("it has Content-Length and Transfer-Encoding".to_owned());
        }
        Ok(Framing {
            length,
            chunked,
            closes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// The statuses and bodies of answers that arrive in pieces of `step` bytes. Bytes of `HEAD`
    /// requests are given by position in `to_head`.
    fn answers(stream: &[u8], to_head: &[bool], step: usize) -> Result<Vec<String>, String> {
        let mut parser = AnswerParser::default();
        let (mut found, mut status, mut body, mut left) = (Vec::new(), 0, Vec::new(), 0);
        let (mut held, mut closes): (Vec<u8>, _) = (Vec::new(), false);
        parser.begin(to_head.first() == Some(&true));
        for piece in stream.chunks(step) {
            held.extend_from_slice(piece);
            loop {
                let count = left.min(held.len() as u64) as usize;
                body.extend(held.drain(..count));
                left -= count as u64;
                if left > 0 {
                    break;
                }
                let (count, part) = parser.parse(&held, &config::HTTP)?;
                held.drain(..count);
                match part {
                    AnswerPart::More => break,
                    AnswerPart::Head(head) => (status, closes) = (head.status, head.closes),
                    AnswerPart::Data(count) => left = count,
                    AnswerPart::End => {
                        let text = String::from_utf8_lossy(&std::mem::take(&mut body)).into_owned();
                        found.push(format!("{status} {closes} {text}"));
                        parser.begin(to_head.get(found.len()) == Some(&true));
                        if held.is_empty() {
                            break;
                        }
                    }
                }
            }
        }
        if parser.ends_at_eof() {
            found.push(format!(
                "{status} {closes} {}",
                String::from_utf8_lossy(&body)
            ));
        }
        Ok(found)
    }

    #[test]
    fn answers_are_separated_for_any_split_of_the_stream() {
        let stream = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
            HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length:0\r\n\r\n\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\n\
            T: v\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n\
            HTTP/1.1 200\r\nContent-Length: 7\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\
            HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\n!\
            HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n?\
            HTTP/1.0 404 Not Found\r\n\r\nto the end";
        let to_head = [false, false, false, false, true];
        let wanted = [
            "200 false hello",
            "201 false ",
            "200 false abcde",
            "304 false ",
            "200 false ",
            "204 false ",
            "200 true !",
            "200 false ?",
            "404 true to the end",
        ];
        for step in 1..stream.len() {
            let found = answers(stream, &to_head, step);
            assert_eq!(
                found.as_deref(),
                Ok(&wanted.map(str::to_owned)[..]),
                "{step}"
            );
        }
    }

    #[test]
    fn an_answer_with_more_than_one_meaning_is_an_error() {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "ERROR\n",
        ] {
            for step in [1, 7, 1_000] {
                assert!(answers(head.as_bytes(), &[], step).is_err(), "{head:?}");
            }
        }
        let endless = [
            &b"HTTP/1.1 200 OK\r\nA: "[..],
            &vec![b'x'; config::HTTP.head],
        ]
        .concat();
        assert!(answers(&endless, &[], 500).is_err());
    }
}
