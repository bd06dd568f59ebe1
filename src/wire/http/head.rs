//! Parses the head of a request: the request line and the fields (RFC 9112, sections 2 to 6).

use super::HttpLimits;
use super::conditions::Conditions;
use super::host::Host;
use super::range::Range;
use super::status::Refusal;

/// The result of parsing the bytes that have arrived.
#[derive(Debug)]
pub enum Parsed<'a> {
    /// The head is incomplete: parse again when more bytes have arrived.
    Partial,
    /// A complete head, and its length in bytes. The body follows, or the next request.
    Request(Box<Request<'a>>, usize),
    /// An invalid head: answer, then close the connection, because it is unknown where the next
    /// request begins.
    Refused(Refusal),
}

/// A valid request. Text is as the client sent it; a value of bytes may hold any byte except
/// control characters other than tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The path of the target as sent: see [`resource`](super::path::resource).
    pub path: &'a str,
    /// The query of the target as sent, without its question mark; empty if there is none.
    pub query: &'a str,
    /// Whether the version is 1.1 or 1.0.
    pub version: Version,
    /// The host of the target or of the field Host. `None` only in version 1.0.
    pub host: Option<Host<'a>>,
    /// How long the body is.
    pub framing: Framing,
    /// Whether the client wants to keep the connection: the default of 1.1.
    pub keep_alive: bool,
    /// The field Expect.
    pub expect: Expect,
    /// The field Range. It counts for GET only.
    pub range: Range,
    /// The fields whose names begin with `If-`.
    pub conditions: Conditions,
    /// Whether the field Content-Range is present.
    pub has_content_range: bool,
    /// Whether Accept lists `text/html`.
    pub accepts_html: bool,
    /// Whether Accept lists `application/json`.
    pub accepts_json: bool,
    /// The field Authorization.
    pub authorization: Option<&'a [u8]>,
    /// The field Origin.
    pub origin: Option<&'a [u8]>,
    /// The field Sec-Fetch-Site.
    pub sec_fetch_site: Option<&'a [u8]>,
}

/// A method. CONNECT is refused when the head is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Put,
    Delete,
    Options,
    Post,
    Patch,
    Trace,
    /// Any other: status 501.
    Unknown,
}

/// The version of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The length of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body and no field about it.
    None,
    /// Content-Length, in bytes; 0 is possible.
    Length(u64),
    /// A chunked body: see [`Chunked`](super::chunked::Chunked).
    Chunked,
}

/// What the client expects before it sends the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Nothing,
    /// `100-continue`, in version 1.1.
    Continue,
    /// Another expectation: status 417.
    Other,
}

/// Parses the head at the beginning of `input`. One empty line before it is ignored.
///
/// A longer input with the same beginning gives the same refusal, and the same request.
pub fn parse<'a>(_input: &'a [u8], _limits: &HttpLimits) -> Parsed<'a> {
    Parsed::Partial
}
