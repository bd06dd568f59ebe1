//! Finds the fields of a head by name: RFC 9110, section 5. Names are in any case.

use super::status::Refusal;

/// A field that the service uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Name {
    Accept,
    Authorization,
    Connection,
    ContentLength,
    ContentRange,
    ContentType,
    Destination,
    Expect,
    Host,
    IfMatch,
    IfModifiedSince,
    IfNoneMatch,
    IfRange,
    IfUnmodifiedSince,
    LastEventId,
    Origin,
    Range,
    SecFetchSite,
    TransferEncoding,
    UserAgent,
    WantReprDigest,
}

/// The names, in the order of [`Name`].
const NAMES: [&str; 21] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-range",
    "content-type",
    "destination",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-event-id",
    "origin",
    "range",
    "sec-fetch-site",
    "transfer-encoding",
    "user-agent",
    "want-repr-digest",
];

/// The fields of a head.
pub struct Fields<'f, 'a> {
    /// All fields, in the order in which they were sent.
    all: &'f [httparse::Header<'a>],
    /// The first value of each name.
    first: [Option<&'a [u8]>; NAMES.len()],
    /// Whether the name came again.
    is_repeated: [bool; NAMES.len()],
}

impl<'f, 'a> Fields<'f, 'a> {
    /// Finds the fields that the service uses.
    pub fn new(all: &'f [httparse::Header<'a>]) -> Fields<'f, 'a> {
        let mut first = [None; NAMES.len()];
        let mut is_repeated = [false; NAMES.len()];
        for field in all {
            let is_own = |name: &&str| name.eq_ignore_ascii_case(field.name);
            if let Some(at) = NAMES.iter().position(is_own) {
                is_repeated[at] = first[at].is_some();
                first[at].get_or_insert(field.value);
            }
        }
        Fields {
            all,
            first,
            is_repeated,
        }
    }

    /// The value of a field that may come once.
    ///
    /// # Errors
    ///
    /// Status 400 if it came twice: another program could use the other one.
    pub fn one(&self, name: Name) -> Result<Option<&'a [u8]>, Refusal> {
        if !self.is_repeated[name as usize] {
            return Ok(self.first[name as usize]);
        }
        Err(Refusal::bad(match name {
            Name::Host => "the field Host came twice",
            Name::ContentLength => "the field Content-Length came twice",
            Name::TransferEncoding => "the field Transfer-Encoding came twice",
            Name::Range => "the field Range came twice; one field may list several ranges",
            _ => "a field about conditions, rights or the body came twice",
        }))
    }

    /// The values of all fields of that name.
    fn values(&self, name: Name) -> impl Iterator<Item = &'a [u8]> {
        let all = self.first[name as usize].map_or(&[][..], |_| self.all);
        let is_own = move |field: &&httparse::Header<'_>| {
            field.name.eq_ignore_ascii_case(NAMES[name as usize])
        };
        all.iter().filter(is_own).map(|field| field.value)
    }

    /// The members of a list, which may be spread over several fields.
    pub fn list(&self, name: Name) -> impl Iterator<Item = &'a [u8]> {
        let members = self
            .values(name)
            .flat_map(|value| value.split(|&byte| byte == b','));
        members
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    /// The values of all fields of that name as one list.
    pub fn joined(&self, name: Name) -> Option<Vec<u8>> {
        let values: Vec<&[u8]> = self.values(name).collect();
        (!values.is_empty()).then(|| values.join(&b','))
    }

    /// Whether the client is a program that finds files by the links of a page.
    pub fn reads_links(&self) -> bool {
        let agent = self.first[Name::UserAgent as usize].unwrap_or_default();
        LINK_READERS.iter().any(|name| agent.starts_with(name))
    }

    /// Whether the field Accept lists this media type, with whatever parameters.
    pub fn accepts(&self, media_type: &str) -> bool {
        self.list(Name::Accept).any(|member| {
            let end = member.iter().position(|&byte| byte == b';');
            let found = &member[..end.unwrap_or(member.len())];
            is_same(found.trim_ascii_end(), media_type)
        })
    }
}

/// Programs that walk a tree by the links of its pages and do not ask for pages in Accept.
const LINK_READERS: [&[u8]; 2] = [b"Wget/", b"rclone/"];

/// Whether a value is this word, in any case.
pub fn is_same(value: &[u8], word: &str) -> bool {
    value.eq_ignore_ascii_case(word.as_bytes())
}
