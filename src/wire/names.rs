//! Judges names: which may be used, which part of them counts, and how a doubled one comes apart.
//! Opens nothing: that a name stays inside the root is the kernel's business, not a string's.

use super::limits::WireLimits;
use std::fmt;

/// Why a name is refused before anything is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameFault {
    /// Nothing is left of it.
    Empty,
    /// It is not UTF-8.
    NotText,
    /// It holds NUL or another control character.
    Control,
    /// All of it is longer than the limit carried here.
    TooLong(usize),
    /// One component is longer than the limit carried here.
    ComponentTooLong(usize),
}

impl fmt::Display for NameFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameFault::Empty => write!(out, "the name is empty"),
            NameFault::NotText => write!(out, "the name is not UTF-8 text"),
            NameFault::Control => write!(out, "the name holds a control character"),
            NameFault::TooLong(limit) => write!(out, "the name is longer than {limit} bytes"),
            NameFault::ComponentTooLong(limit) => {
                write!(out, "a part of the name is longer than {limit} bytes")
            }
        }
    }
}

/// Takes a name as the peer sent it, or says what is wrong with it.
pub fn check<'a>(raw: &'a [u8], limits: &WireLimits) -> Result<&'a str, NameFault> {
    let name = std::str::from_utf8(raw).map_err(|_| NameFault::NotText)?;
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    if name.chars().any(char::is_control) {
        return Err(NameFault::Control);
    }
    if name.len() > limits.name {
        return Err(NameFault::TooLong(limits.name));
    }
    if name
        .split('/')
        .any(|component| component.len() > limits.component)
    {
        return Err(NameFault::ComponentTooLong(limits.component));
    }
    Ok(name)
}

/// What stands behind the last slash: all that the transfer service uses of a name.
pub fn last_component(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The name, if `text` is a name twice with nothing between.
pub fn undouble(text: &[u8]) -> Option<&[u8]> {
    let (first, second) = text.split_at(text.len() / 2);
    (!first.is_empty() && first == second).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WireLimits = WireLimits {
        unit: 4096,
        name: 1024,
        component: 255,
    };

    #[test]
    fn names_that_are_no_text_are_refused() {
        assert_eq!(check(b"", &LIMITS), Err(NameFault::Empty));
        assert_eq!(check(b"a\0b", &LIMITS), Err(NameFault::Control));
        assert_eq!(check(b"a\x1b[2Jb", &LIMITS), Err(NameFault::Control));
        assert_eq!(
            check("a\u{85}b".as_bytes(), &LIMITS),
            Err(NameFault::Control)
        );
        assert_eq!(check(b"\xff\xfe", &LIMITS), Err(NameFault::NotText));
    }

    #[test]
    fn length_limits_hold_to_the_byte() {
        assert!(check(&[b'a'; 255], &LIMITS).is_ok());
        assert_eq!(
            check(&[b'a'; 256], &LIMITS),
            Err(NameFault::ComponentTooLong(255))
        );
        let long = [&b"a/"[..]; 512].concat();
        assert!(check(&long, &LIMITS).is_ok());
        let longer = [&long[..], b"a"].concat();
        assert_eq!(check(&longer, &LIMITS), Err(NameFault::TooLong(1024)));
    }

    #[test]
    fn a_doubled_name_comes_apart_and_another_does_not() {
        assert_eq!(undouble(b"a.bina.bin"), Some(&b"a.bin"[..]));
        assert_eq!(undouble(b"aaaa"), Some(&b"aa"[..]));
        assert_eq!(undouble(b"a.binb.bin"), None);
        assert_eq!(undouble(b"odd"), None);
        assert_eq!(undouble(b""), None);
    }

    #[test]
    fn only_the_last_component_counts() {
        assert_eq!(last_component("../../etc/passwd"), "passwd");
        assert_eq!(last_component("plain"), "plain");
        assert_eq!(last_component("folder/"), "");
    }
}
