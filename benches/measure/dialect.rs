//! What servers of different kinds are told to fetch and store a file, and how their answers begin.
//! An answer that is not the expected one is an error, never a fast success.

use std::borrow::Cow;

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Every byte comes back.
    Echo,
    /// The line dialect of loket's files service.
    Line,
    /// HTTP/1.1.
    Http,
    /// The arrays of redis.
    Redis,
    /// FTP with passive data connections.
    Ftp,
}

/// The longest header that an answer may have.
const HEADER: usize = 8192;

impl Dialect {
    /// The request for a file; `last` says that nothing more will be asked on the connection.
    pub fn fetch(self, name: &str, last: bool) -> Result<String, String> {
        let close = if last { "Connection: close\r\n" } else { "" };
        match self {
            Dialect::Line => Ok(format!("download {name}\n")),
            Dialect::Http => Ok(format!(
                "GET /{name} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n"
            )),
            _ => Err(format!("no file is fetched in {self:?}")),
        }
    }

    /// Where the body begins in what has come, once its header is whole.
    pub fn body_at(self, got: &[u8], size: u64) -> Result<Option<usize>, String> {
        let end: &[u8] = match self {
            Dialect::Http => b"\r\n\r\n",
            _ => b"\n",
        };
        let Some(place) = got.windows(end.len()).position(|part| part == end) else {
            return match got.len() {
                ..HEADER => Ok(None),
                _ => Err(format!("an answer in {self:?} has no end of its header")),
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
            false => Err(format!("asked for {size} bytes, answered {header:?}")),
        }
    }

    /// The request that comes before the bytes of a file to be stored.
    pub fn store(self, name: &str, size: u64) -> Result<String, String> {
        match self {
            Dialect::Line => Ok(format!("upload {name} {size}\n")),
            Dialect::Http => Ok(format!(
                "PUT /{name} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
            )),
            Dialect::Ftp => Ok(format!("STOR {}/{name}\r\n", crate::measure::ftp::FOLDER)),
            _ => Err(format!("no file is stored in {self:?}")),
        }
    }

    /// Whether this is the whole word that a file is stored; anything else that is whole is wrong.
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
            (true, false) => Err(format!("the server says {text:?} to an upload")),
            _ => Ok(whole),
        }
    }
}

fn status(header: &str) -> Option<u16> {
    let rest = header.strip_prefix("HTTP/1.1 ")?;
    rest.split(' ').next()?.parse().ok()
}

/// One question and what has to come back.
#[derive(Clone)]
pub struct Exchange {
    pub request: Vec<u8>,
    answer: Answer,
    /// The first eight bytes of the request are a number that grows.
    pub stamped: bool,
    /// Messages in it.
    pub messages: u64,
}

/// What is asked of a server that speaks a dialect.
pub type Asked<'a, T> = &'a dyn Fn(Dialect) -> Result<T, String>;

#[derive(Clone)]
enum Answer {
    Same,
    Bytes(Vec<u8>),
    File(Dialect, Vec<u8>),
}

impl Exchange {
    /// So many bytes, which come back.
    pub fn echo(size: usize) -> Exchange {
        Exchange {
            request: vec![b'x'; size],
            answer: Answer::Same,
            stamped: size >= 8,
            messages: 1,
        }
    }

    /// So many PINGs of redis at once, which an echo service sends back as they are.
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

    /// A file with this content.
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

    /// Whether the answer to this request is whole; a wrong one is an error.
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
            return Err(format!("a wrong answer came back: {shown:?}"));
        }
        Ok(true)
    }
}
