//! Parses the head of a request: the request line and the fields (RFC 9112, sections 2 to 6).
//!
//! Where two programs on the way read a head differently, one of them can be made to see a request
//! that the other did not check ("request smuggling"). So a head is refused unless there is only
//! one way to read it.

use super::HttpLimits;
use super::conditions::Conditions;
use super::fields::{Fields, Name, is_same};
use super::head_lines::{self, End};
use super::range::Range;
use super::status::{Refusal, Status};
use super::want_digest::wants_sha256;
use std::net::Ipv6Addr;

/// The result of parsing the bytes that have arrived.
#[derive(Debug, PartialEq, Eq)]
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
    /// The version.
    pub version: Version,
    /// The host of the target or else of the field Host, with the port if it was sent. `None` only
    /// in version 1.0.
    pub host: Option<&'a str>,
    /// How long the body is.
    pub framing: Framing,
    /// Whether the client keeps the connection open for another request.
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
    /// Whether User-Agent names a program that walks trees by links.
    pub reads_links: bool,
    /// Whether Accept lists `application/json`.
    pub accepts_json: bool,
    /// The field Authorization.
    pub authorization: Option<&'a [u8]>,
    /// The field Origin.
    pub origin: Option<&'a [u8]>,
    /// The field Sec-Fetch-Site.
    pub sec_fetch_site: Option<&'a [u8]>,
    /// The field Content-Type.
    pub content_type: Option<&'a [u8]>,
    /// The field Destination.
    pub destination: Option<&'a [u8]>,
    /// Whether Want-Repr-Digest wants SHA-256.
    pub wants_digest: bool,
    /// The field Last-Event-ID.
    pub last_event_id: Option<&'a [u8]>,
}

/// A method. CONNECT is refused when the head is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Put,
    Delete,
    Mkcol,
    Move,
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
pub fn parse<'a>(input: &'a [u8], limits: &HttpLimits) -> Parsed<'a> {
    let window = &input[..input.len().min(limits.head)];
    let skipped = if window.starts_with(b"\r\n") { 2 } else { 0 };
    let head = &window[skipped..];
    let lines = head_lines::scan(head, limits);
    let mut slots = Vec::with_capacity(lines.count);
    let mut parsed = httparse::Request::new(&mut []);
    let clean = &head[..lines.length];
    if let Err(error) = parsed.parse_with_uninit_headers(clean, slots.spare_capacity_mut()) {
        return Parsed::Refused(explain(error, clean));
    }
    match lines.end {
        End::Fault(refusal) => Parsed::Refused(refusal),
        End::Partial if input.len() >= limits.head => Parsed::Refused(Refusal {
            status: Status::FieldsTooLarge,
            says: "the head of the request is too long",
        }),
        End::Partial => Parsed::Partial,
        End::Complete => match request(&parsed) {
            Ok(request) => Parsed::Request(Box::new(request), skipped + lines.length),
            Err(refusal) => Parsed::Refused(refusal),
        },
    }
}

/// Why httparse refused these lines.
fn explain(error: httparse::Error, lines: &[u8]) -> Refusal {
    match error {
        httparse::Error::HeaderName => Refusal::bad(
            "a line of the head is not NAME: VALUE, or its name is empty, invalid or followed by \
             a blank",
        ),
        httparse::Error::HeaderValue => Refusal::bad("a field has an invalid value"),
        httparse::Error::Version if has_version(lines) => Refusal {
            status: Status::VersionNotSupported,
            says: "the versions of HTTP here are 1.1 and 1.0",
        },
        _ => Refusal::bad("the request line is not METHOD TARGET HTTP/1.1 with single blanks"),
    }
}

/// Whether the first of these lines ends with a version of HTTP.
fn has_version(lines: &[u8]) -> bool {
    let line = lines.split(|&byte| byte == b'\r').next();
    let version = line.and_then(|line| line.split(|&byte| byte == b' ').nth(2));
    let digits = version.and_then(|version| version.strip_prefix(b"HTTP/"));
    matches!(digits, Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Judges a head whose syntax is valid.
fn request<'a>(parsed: &httparse::Request<'_, 'a>) -> Result<Request<'a>, Refusal> {
    let (Some(name), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Refusal::bad("the request line is incomplete"));
    };
    let version = match minor {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    let fields = Fields::new(parsed.headers);
    let method = method(name)?;
    let (authority, path, query) = split_target(target, method)?;
    let host = host(&fields, version)?;
    let connection = |option| {
        fields
            .list(Name::Connection)
            .any(|found| is_same(found, option))
    };
    Ok(Request {
        method,
        path,
        query,
        version,
        host: authority.or(host),
        framing: framing(&fields, version)?,
        keep_alive: match version {
            Version::Http10 => connection("keep-alive") && !connection("close"),
            Version::Http11 => !connection("close"),
        },
        expect: match fields.one(Name::Expect)? {
            Some(what) if !is_same(what, "100-continue") => Expect::Other,
            Some(_) if version == Version::Http11 => Expect::Continue,
            _ => Expect::Nothing,
        },
        range: fields.one(Name::Range)?.map_or(Range::Whole, Range::parse),
        conditions: Conditions::read(&fields)?,
        has_content_range: fields.one(Name::ContentRange)?.is_some(),
        accepts_html: fields.accepts("text/html"),
        reads_links: fields.reads_links(),
        accepts_json: fields.accepts("application/json"),
        authorization: fields.one(Name::Authorization)?,
        origin: fields.one(Name::Origin)?,
        sec_fetch_site: fields.one(Name::SecFetchSite)?,
        content_type: fields.one(Name::ContentType)?,
        destination: fields.one(Name::Destination)?,
        wants_digest: wants_sha256(fields.list(Name::WantReprDigest)),
        last_event_id: fields.one(Name::LastEventId)?,
    })
}

fn method(name: &str) -> Result<Method, Refusal> {
    Ok(match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "MKCOL" => Method::Mkcol,
        "MOVE" => Method::Move,
        "OPTIONS" => Method::Options,
        "POST" => Method::Post,
        "PATCH" => Method::Patch,
        "TRACE" => Method::Trace,
        "CONNECT" => {
            return Err(Refusal {
                status: Status::NotImplemented,
                says: "this server is not a proxy",
            });
        }
        _ => Method::Unknown,
    })
}

/// Splits a target into its authority, which only an absolute one has, its path and its query.
fn split_target(target: &str, method: Method) -> Result<(Option<&str>, &str, &str), Refusal> {
    if target == "*" && method == Method::Options {
        return Ok((None, target, ""));
    }
    // A fragment stays in the client: RFC 9110, section 4.2.5.
    let bad = Refusal::bad("the target of the request is neither /PATH nor http://HOST/PATH");
    if target.contains('#') {
        return Err(bad);
    }
    if !target.is_ascii() {
        return Err(Refusal::bad(
            "the target holds a byte that must be percent-encoded",
        ));
    }
    let (before, query) = target.split_once('?').unwrap_or((target, ""));
    if before.starts_with('/') {
        return Ok((None, before, query));
    }
    let scheme = "http://";
    let (authority, path) = match before.split_at_checked(scheme.len()) {
        Some((found, rest)) if found.eq_ignore_ascii_case(scheme) => {
            rest.split_at(rest.find('/').unwrap_or(rest.len()))
        }
        _ => return Err(bad),
    };
    if !is_host(authority) {
        return Err(Refusal::bad("the host in the target is invalid"));
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok((Some(authority), path, query))
}

/// The field Host.
fn host<'a>(fields: &Fields<'_, 'a>, version: Version) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = fields.one(Name::Host)? else {
        return match version {
            Version::Http10 => Ok(None),
            Version::Http11 => Err(Refusal::bad("the request has no Host field")),
        };
    };
    let host = str::from_utf8(value).ok().filter(|host| is_host(host));
    let bad = Refusal::bad("the Host field is not HOST or HOST:PORT");
    host.ok_or(bad).map(Some)
}

/// Whether the text is a name, an IPv4 address or an IPv6 address in brackets, with or without a
/// port: RFC 3986, section 3.2, without the characters that no name in use has.
fn is_host(text: &str) -> bool {
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let (is_valid, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (!name.is_empty() && name.bytes().all(is_in_name), port)
        }
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok() && !port.starts_with('+');
    is_valid && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// How long the body is: RFC 9112, section 6.3.
fn framing(fields: &Fields<'_, '_>, version: Version) -> Result<Framing, Refusal> {
    let length = fields.one(Name::ContentLength)?;
    match (length, fields.one(Name::TransferEncoding)?) {
        (None, None) => Ok(Framing::None),
        (Some(_), Some(_)) => Err(Refusal::bad(
            "Content-Length and Transfer-Encoding contradict each other",
        )),
        (Some(length), None) => match length {
            // 19 digits always fit 64 bits.
            [_, ..] if length.len() <= 19 && length.iter().all(u8::is_ascii_digit) => {
                let digits = length.iter().map(|digit| u64::from(digit - b'0'));
                Ok(Framing::Length(
                    digits.fold(0, |sum, digit| sum * 10 + digit),
                ))
            }
            _ => Err(Refusal::bad(
                "Content-Length is not one number of at most 19 digits",
            )),
        },
        (None, Some(b"chunked")) if version == Version::Http11 => Ok(Framing::Chunked),
        (None, Some(_)) if version == Version::Http11 => Err(Refusal::bad(
            "the only Transfer-Encoding here is `chunked`, in lower case",
        )),
        (None, Some(_)) => Err(Refusal::bad("HTTP/1.0 has no Transfer-Encoding")),
    }
}
