//! Conditional requests: RFC 9110, section 13.

use super::date;
use super::fields::{Fields, Name};
use super::status::Refusal;

/// The conditions of a request. Dates are seconds since 1970; an invalid date is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    /// If-Match: a list of entity tags, or `*`.
    pub if_match: Option<Vec<u8>>,
    /// If-None-Match: a list of entity tags, or `*`.
    pub if_none_match: Option<Vec<u8>>,
    /// If-Modified-Since.
    pub if_modified_since: Option<u64>,
    /// If-Unmodified-Since.
    pub if_unmodified_since: Option<u64>,
    /// If-Range: one entity tag or a date.
    pub if_range: Option<Vec<u8>>,
}

/// What identifies the present content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validators<'a> {
    /// The strong entity tag, with its quotes.
    pub etag: &'a str,
    /// The time of the last change, in seconds since 1970.
    pub modified: u64,
}

/// What the conditions say about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Do what the method says.
    Proceed,
    /// Status 304.
    NotModified,
    /// Status 412.
    Failed,
}

impl Conditions {
    /// Reads the conditions in the fields of a head.
    ///
    /// # Errors
    ///
    /// Status 400 if a field that is no list came twice.
    pub fn read(fields: &Fields<'_, '_>) -> Result<Conditions, Refusal> {
        let date = |name| Ok(fields.one(name)?.and_then(date::parse));
        Ok(Conditions {
            if_match: fields.joined(Name::IfMatch),
            if_none_match: fields.joined(Name::IfNoneMatch),
            if_modified_since: date(Name::IfModifiedSince)?,
            if_unmodified_since: date(Name::IfUnmodifiedSince)?,
            if_range: fields.one(Name::IfRange)?.map(<[u8]>::to_vec),
        })
    }

    /// Evaluates all conditions except If-Range, in the order of section 13.2.2. `is_read` is true
    /// for GET and HEAD; `current` is `None` if the file does not exist.
    pub fn check(&self, is_read: bool, current: Option<Validators<'_>>) -> Verdict {
        let since = |limit: u64| current.is_some_and(|current| current.modified > limit);
        let failed = match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) => !matches_strongly(tags, current),
            (None, Some(limit)) => since(limit),
            (None, None) => false,
        };
        if failed {
            return Verdict::Failed;
        }
        let is_unchanged = match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => matches_weakly(tags, current),
            (None, Some(limit)) => is_read && current.is_some() && !since(limit),
            (None, None) => false,
        };
        match (is_unchanged, is_read) {
            (false, _) => Verdict::Proceed,
            (true, true) => Verdict::NotModified,
            (true, false) => Verdict::Failed,
        }
    }

    /// Whether the field Range counts: there is no If-Range, or it names the present content.
    pub fn allow_range(&self, current: Validators<'_>) -> bool {
        match self.if_range.as_deref() {
            None => true,
            Some(tag) if tag.starts_with(b"\"") => tag == current.etag.as_bytes(),
            Some(text) => date::parse(text) == Some(current.modified),
        }
    }
}

/// Whether a list of entity tags or `*` names the present content. Weak tags never match: section
/// 8.8.3.2.
fn matches_strongly(tags: &[u8], current: Option<Validators<'_>>) -> bool {
    is_listed(tags, current, |tag, etag| tag == etag)
}

/// The same; a tag matches with and without the mark of weak tags.
fn matches_weakly(tags: &[u8], current: Option<Validators<'_>>) -> bool {
    is_listed(tags, current, |tag, etag| {
        tag.strip_prefix(b"W/").unwrap_or(tag) == etag
    })
}

fn is_listed(
    tags: &[u8],
    current: Option<Validators<'_>>,
    is_match: impl Fn(&[u8], &[u8]) -> bool,
) -> bool {
    let Some(current) = current else {
        return false;
    };
    tags.trim_ascii() == b"*"
        || entity_tags(tags).is_some_and(|tags| {
            let etag = current.etag.as_bytes();
            tags.into_iter().any(|tag| is_match(tag, etag))
        })
}

/// The tags of a list, with `W/` and quotes. `None` if the list is invalid.
fn entity_tags(list: &[u8]) -> Option<Vec<&[u8]>> {
    let mut tags = Vec::new();
    let mut rest = list.trim_ascii();
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(b",") {
            rest = behind.trim_ascii_start();
            continue;
        }
        // A tag may hold commas, but no quote.
        let opening = if rest.starts_with(b"W/") { 2 } else { 0 };
        let text = rest[opening..].strip_prefix(b"\"")?;
        let end = opening + text.iter().position(|&byte| byte == b'"')? + 2;
        let (tag, behind) = rest.split_at(end);
        tags.push(tag);
        rest = behind.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
    Some(tags)
}
