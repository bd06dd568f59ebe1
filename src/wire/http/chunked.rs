//! Parses the lines of a chunked body, not the data between them: RFC 9112, section 7.1.

use super::HttpLimits;
use super::status::Refusal;

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
    pub fn parse(&mut self, _input: &[u8], _limits: &HttpLimits) -> Result<(usize, Next), Refusal> {
        Ok((0, Next::More))
    }
}
