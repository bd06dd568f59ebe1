//! Conditional requests: RFC 9110, section 13.

use super::date;

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

fn matches_strongly(_tags: &[u8], _current: Option<Validators<'_>>) -> bool {
    false
}

fn matches_weakly(_tags: &[u8], _current: Option<Validators<'_>>) -> bool {
    false
}
