//! Decodes the path of a request target: RFC 9110, section 4.2, and RFC 3986, section 3.3.

use super::status::{Refusal, Status};
use crate::wire::names::{self, NameFault, WireLimits};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Display;

/// What a path names. Names are decoded, without a slash at the beginning or the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A file below the root.
    File(String),
    /// A folder below the root, because the path ends with a slash; empty for the root itself.
    Folder(String),
    /// A resource of the server itself: the part after `/-/`.
    Reserved(String),
    /// The server as a whole: `*`, which only OPTIONS may name.
    Server,
}

/// Decodes and validates the path of a target. It is decoded once.
///
/// # Errors
///
/// Status 400 for a wrong percent-encoding, an encoded slash, a control character, text that is
/// not UTF-8, an empty component, `.` and `..`; 414 for a name that is too long.
pub fn resource(path: &str, limits: &WireLimits) -> Result<Resource, Refusal> {
    if path == "*" {
        return Ok(Resource::Server);
    }
    let Some(path) = path.strip_prefix('/') else {
        return Err(Refusal::bad("the path does not begin with a slash"));
    };
    if path.is_empty() {
        return Ok(Resource::Folder(String::new()));
    }
    let (path, is_folder) = match path.strip_suffix('/') {
        Some(path) => (path, true),
        None => (path, false),
    };
    let name = decode(path)?;
    if name
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err(Refusal::bad(
            "a component of the path is empty, `.` or `..`",
        ));
    }
    match name.strip_prefix('-') {
        Some("") => return Ok(Resource::Reserved(String::new())),
        Some(rest) if rest.starts_with('/') => {
            let slash = if is_folder { "/" } else { "" };
            return Ok(Resource::Reserved(rest[1..].to_owned() + slash));
        }
        _ => {}
    }
    names::check(name.as_bytes(), limits).map_err(|bad| name_refusal(bad.fault))?;
    Ok(match is_folder {
        true => Resource::Folder(name),
        false => Resource::File(name),
    })
}

/// What the field Destination names on this host: RFC 4918, section 10.3.
///
/// # Errors
///
/// Status 400 if it is another host, or no path that [`resource`] takes.
pub fn destination(
    value: &[u8],
    host: Option<&str>,
    limits: &WireLimits,
) -> Result<Resource, Refusal> {
    let bad = Refusal::bad("the Destination is neither /PATH nor http://HOST/PATH of this server");
    let text = str::from_utf8(value).ok().filter(|text| text.is_ascii());
    let path = text.and_then(|text| {
        if text.starts_with('/') {
            return Some(text);
        }
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find('/')?);
        let is_web = ["http", "https"].contains(&&*scheme.to_ascii_lowercase());
        let is_own = host.is_some_and(|host| host.eq_ignore_ascii_case(authority));
        (is_web && is_own).then_some(path)
    });
    match path {
        Some(path) if !path.contains(['?', '#']) => resource(path, limits),
        _ => Err(bad),
    }
}

/// Decodes a path once.
fn decode(path: &str) -> Result<String, Refusal> {
    for (at, _) in path.match_indices('%') {
        match path.as_bytes()[at + 1..] {
            [b'2', b'f' | b'F', ..] => {
                return Err(Refusal::bad("the path holds an encoded slash"));
            }
            [first, second, ..] if first.is_ascii_hexdigit() && second.is_ascii_hexdigit() => {}
            _ => {
                return Err(Refusal::bad(
                    "a % in the path is not followed by two hex digits",
                ));
            }
        }
    }
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
    let decoded = decoded.map_err(|_| Refusal::bad("the path is not UTF-8 text"))?;
    if decoded.contains(char::is_control) {
        return Err(Refusal::bad("the path holds a control character"));
    }
    Ok(decoded.into_owned())
}

fn name_refusal(fault: NameFault) -> Refusal {
    match fault {
        NameFault::TooLong(_) | NameFault::ComponentTooLong(_) => Refusal {
            status: Status::UriTooLong,
            says: "the path, or a component of it, is longer than a file name may be",
        },
        NameFault::Empty | NameFault::NotText | NameFault::Control => {
            Refusal::bad("the path is not a file name")
        }
    }
}

/// Encodes a name for a path: everything except unreserved characters and slashes.
pub fn encode(name: &str) -> impl Display {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'/');
    utf8_percent_encode(name, KEPT)
}

/// The flags in the query of a target. Others are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query {
    /// `list`: a listing as a page without scripts.
    pub list: bool,
    /// `json`: a listing as JSON.
    pub json: bool,
    /// `download`: save the file instead of showing it.
    pub download: bool,
}

impl Query {
    /// Whether a folder is to be listed also where its `index.html` would answer.
    pub fn wants_list(self) -> bool {
        self.list || self.json
    }

    /// Parses the text after the question mark.
    pub fn parse(text: &str) -> Query {
        let has = |flag| {
            text.split('&')
                .any(|part| part.split('=').next() == Some(flag))
        };
        Query {
            list: has("list"),
            json: has("json"),
            download: has("download"),
        }
    }
}
