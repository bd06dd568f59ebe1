//! The protocols of the servers: requests to fetch and store a file, and checks of the answers.
//! An unexpected answer is an error, never a fast success.

use std::borrow::Cow;

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Returns every byte.
    Echo,
    /// The line protocol of loket's files service.
    Line,
    /// HTTP/1.1.
    Http,
    /// The protocol of redis (RESP arrays).
    Redis,
    /// FTP with passive data connections.
    Ftp,
}

/// Longest header of an answer, in bytes.
const HEADER: usize = 8192;

impl Dialect {
    /// The request for a file; `last` marks the last request of the connection.
    pub fn fetch(self, name: &str, last: bool) -> Result<String, String> {
        let close = if last { "Connection: close\r\n" } else { "" };
        match self {
            Dialect::Line => Ok(format!("download {name}\n")),
            Dialect::Http => Ok(format!(
                "GET /{name} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n"
            )),
            _ => Err(format!("{self:?} cannot fetch a file")),
        }
    }

    /// Offset of the body in the received bytes, or `None` while the header is incomplete.
    pub fn body_at(self, got: &[u8], size: u64) -> Result<Option<usize>, String> {
        let end: &[u8] = match self {
            Dialect::Http => b"\r\n\r\n",
            _ => b"\n",
        };
        let Some(place) = got.windows(end.len()).position(|part| part == end) else {
            return match got.len() {
                ..HEADER => Ok(None),
                _ => Err(format!(
                    "the header of an answer in {self:?} is longer than {HEADER} bytes"
                )),
            };
        };
        let header = String::from_utf8_lossy(&got[..place]);
        let is_good = match self {
            Dialect::Http => {
                let length = format!("content-length: {size}");
                status(&header) == Some(200)
                    && header
                        .lines()
                        .any(|line| line.to_ascii_lowercase() == length)
            }
            _ => header == format!("OK {size}"),
        };
        match is_good {
            true => Ok(Some(place + end.len())),
            false => Err(format!("expected {size} bytes, the answer was {header:?}")),
        }
    }

    /// The request that precedes the bytes of a file to store.
    pub fn store(self, name: &str, size: u64) -> Result<String, String> {
        match self {
            Dialect::Line => Ok(format!("upload {name} {size}\n")),
            Dialect::Http => Ok(format!(
                "PUT /{name} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
            )),
            Dialect::Ftp => Ok(format!("STOR {}/{name}\r\n", crate::measure::ftp::FOLDER)),
            _ => Err(format!("{self:?} cannot store a file")),
        }
    }

    /// Whether the complete confirmation of an upload was received; any other answer is an error.
    pub fn is_stored(self, got: &[u8]) -> Result<bool, String> {
        let text = String::from_utf8_lossy(got);
        let (whole, good) = match self {
            Dialect::Http => (
                text.contains("\r\n\r\n"),
                matches!(status(&text), Some(201 | 204)),
            ),
            Dialect::Ftp => (text.ends_with("\r\n"), text.starts_with("226 ")),
            _ => (text.ends_with('\n'), text == "OK File Berhasil Dibuat\n"),
        };
        match (whole, good) {
            (true, false) => Err(format!("the answer to an upload was {text:?}")),
            _ => Ok(whole),
        }
    }
}

fn status(header: &str) -> Option<u16> {
    let rest = header.strip_prefix("HTTP/1.1 ")?;
    rest.split(' ').next()?.parse().ok()
}

/// A request and its expected answer.
#[derive(Clone)]
pub struct Exchange {
    pub request: Vec<u8>,
    answer: Answer,
    /// The first eight bytes of the request are a serial number.
    pub stamped: bool,
    /// Number of messages in the request.
    pub messages: u64,
}

/// Makes the request for a server with this protocol.
pub type PerDialect<'a, T> = &'a dyn Fn(Dialect) -> Result<T, String>;

#[derive(Clone)]
enum Answer {
    Same,
    Bytes(Vec<u8>),
    File(Dialect, Vec<u8>),
}

impl Exchange {
    /// A message of `size` bytes that the server returns.
    pub fn echo(size: usize) -> Exchange {
        Exchange {
            request: vec![b'x'; size],
            answer: Answer::Same,
            stamped: size >= 8,
            messages: 1,
        }
    }

    /// `messages` PINGs of redis in one request; an echo service returns them unchanged.
    pub fn pings(dialect: Dialect, messages: usize) -> Exchange {
        Exchange {
            request: b"*1\r\n$4\r\nPING\r\n".repeat(messages),
            answer: match dialect {
                Dialect::Redis => Answer::Bytes(b"+PONG\r\n".repeat(messages)),
                _ => Answer::Same,
            },
            stamped: false,
            messages: messages as u64,
        }
    }

    /// A request for a file with this content.
    pub fn file(
        dialect: Dialect,
        name: &str,
        content: &[u8],
        last: bool,
    ) -> Result<Exchange, String> {
        Ok(Exchange {
            request: dialect.fetch(name, last)?.into_bytes(),
            answer: Answer::File(dialect, content.to_vec()),
            stamped: false,
            messages: 1,
        })
    }

    /// Whether the answer to this request is complete; a wrong answer is an error.
    pub fn is_whole(&self, request: &[u8], got: &[u8]) -> Result<bool, String> {
        let (expected, got): (Cow<[u8]>, &[u8]) = match &self.answer {
            Answer::Same => (request.into(), got),
            Answer::Bytes(bytes) => (bytes.into(), got),
            Answer::File(dialect, content) => match dialect.body_at(got, content.len() as u64)? {
                Some(place) => (content.into(), &got[place..]),
                None => return Ok(false),
            },
        };
        if got.len() < expected.len() {
            return Ok(false);
        }
        if got != &*expected {
            let shown = String::from_utf8_lossy(&got[..got.len().min(100)]);
            return Err(format!("wrong answer: {shown:?}"));
        }
        Ok(true)
    }
}
