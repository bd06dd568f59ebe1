//! Parsing of HTTP/1.1 requests and answers: RFC 9112 (syntax), 9110 (meaning). No I/O, no clock.

pub mod chunked;
pub mod conditions;
pub mod date;
pub mod fields;
pub mod head;
pub mod head_lines;
pub mod path;
pub mod range;
pub mod response;
pub mod status;
pub mod want_digest;

/// The longest parts of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Bytes of the request line and all fields; also of the trailers after a chunked body.
    pub head: usize,
    /// Fields of a head; also of the trailers after a chunked body.
    pub fields: usize,
    /// Bytes of a method.
    pub method: usize,
    /// Bytes of a request target.
    pub target: usize,
    /// Bytes of the extensions of one chunk.
    pub chunk_extensions: usize,
}
