//! Validates names of files, takes their last component, and splits a name that was sent twice.
//! That a name stays inside the root is ensured by the kernel, not by a check of the string.

use super::text;
use super::unended::Unended;
use std::fmt;

/// How long the pieces of a conversation may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireLimits {
    /// One line or bare unit, without its line end.
    pub unit: usize,
    /// One name, all its components and the slashes between them.
    pub name: usize,
    /// One component of a name, as `NAME_MAX` of `limits.h` has it.
    pub component: usize,
}

/// Why a name is refused before it is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameFault {
    /// It is empty.
    Empty,
    /// It is not valid UTF-8.
    NotText,
    /// It contains NUL or another control character.
    Control,
    /// It is longer than this limit, in bytes.
    TooLong(usize),
    /// One component is longer than this limit, in bytes.
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

/// What separates the components of a name.
pub const SLASH: &[char] = &['/'];

/// The separators of a name that may be a Windows path.
pub const ANY_SLASH: &[char] = &['/', '\\'];

/// A refused name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadName<'a> {
    /// The reason.
    pub fault: NameFault,
    /// The name as the peer sent it.
    pub raw: &'a [u8],
}

impl fmt::Display for BadName<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            NameFault::Empty => self.fault.fmt(out),
            fault => write!(out, "{fault}: {}", text::excerpt(self.raw)),
        }
    }
}

/// Validates a name as the peer sent it.
pub fn check<'a>(raw: &'a [u8], limits: &WireLimits) -> Result<&'a str, BadName<'a>> {
    judge(raw, SLASH, limits).map_err(|fault| BadName { fault, raw })
}

/// Validates a name as the peer sent it, and returns its last component.
pub fn base_name<'a>(
    raw: &'a [u8],
    separators: &[char],
    limits: &WireLimits,
) -> Result<&'a str, BadName<'a>> {
    match judge(raw, separators, limits) {
        Ok(name) => Ok(name.rsplit(separators).next().unwrap_or(name)),
        Err(fault) => Err(BadName { fault, raw }),
    }
}

/// Classifies a name whose end has not arrived.
pub fn unended(raw: &[u8], separators: &[char], limits: &WireLimits) -> Unended {
    match judge(raw, separators, limits) {
        // `photos/` is probably the beginning of a longer name.
        Ok(name) if name.ends_with(separators) => Unended::Part,
        Ok(_) => Unended::Question,
        Err(NameFault::Empty) => Unended::Part,
        Err(NameFault::NotText) => {
            // Only a character at the end can be incomplete.
            match judge(&raw[..text::complete_prefix(raw)], separators, limits) {
                Ok(_) | Err(NameFault::Empty) => Unended::Part,
                Err(_) => Unended::Hopeless,
            }
        }
        Err(_) => Unended::Hopeless,
    }
}

fn judge<'a>(
    raw: &'a [u8],
    separators: &[char],
    limits: &WireLimits,
) -> Result<&'a str, NameFault> {
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
        .split(separators)
        .any(|component| component.len() > limits.component)
    {
        return Err(NameFault::ComponentTooLong(limits.component));
    }
    Ok(name)
}

/// The part after the last slash.
pub fn last_component(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The name, if `text` is one name twice with nothing between. The first may be a path to it.
pub fn undouble(text: &[u8]) -> Option<&[u8]> {
    let base = text.rsplit(|byte| b"/\\".contains(byte)).next();
    halve(text).or_else(|| halve(base?))
}

fn halve(text: &[u8]) -> Option<&[u8]> {
    let (first, second) = text.split_at(text.len() / 2);
    (!first.is_empty() && first == second).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::WIRE;

    #[test]
    fn names_that_are_not_text_are_refused() {
        assert_eq!(judge(b"", SLASH, &WIRE), Err(NameFault::Empty));
        assert_eq!(judge(b"a\0b", SLASH, &WIRE), Err(NameFault::Control));
        assert_eq!(judge(b"a\x1b[2Jb", SLASH, &WIRE), Err(NameFault::Control));
        assert_eq!(
            judge("a\u{85}b".as_bytes(), SLASH, &WIRE),
            Err(NameFault::Control)
        );
        assert_eq!(judge(b"\xff\xfe", SLASH, &WIRE), Err(NameFault::NotText));
    }

    #[test]
    fn a_refusal_shows_the_name() {
        for (raw, words) in [
            (
                &b"caf\xe9.txt"[..],
                "the name is not UTF-8 text: caf\u{fffd}.txt",
            ),
            (b"a\x1b[2Jb\n", "the name holds a control character: a[2Jb"),
            (b"", "the name is empty"),
        ] {
            let refused = check(raw, &WIRE).expect_err("a bad name");
            assert_eq!(refused.to_string(), words);
        }
    }

    #[test]
    fn a_name_with_a_cut_character_can_grow_and_an_invalid_one_cannot() {
        for (raw, found) in [
            (&b"caf\xc3"[..], Unended::Part),
            (b"caf\xc3\xa9", Unended::Question),
            (b"caf\xe9.txt", Unended::Hopeless),
            (b"\xff", Unended::Hopeless),
            (b"photos/", Unended::Part),
            (b"", Unended::Part),
            (b"a\0", Unended::Hopeless),
            (b"\0\xc3", Unended::Hopeless),
        ] {
            assert_eq!(unended(raw, SLASH, &WIRE), found, "{raw:?}");
        }
    }

    #[test]
    fn length_limits_hold_to_the_byte() {
        assert!(check(&[b'a'; 255], &WIRE).is_ok());
        assert_eq!(
            judge(&[b'a'; 256], SLASH, &WIRE),
            Err(NameFault::ComponentTooLong(255))
        );
        let long = [&b"a/"[..]; 512].concat();
        assert!(check(&long, &WIRE).is_ok());
        let longer = [&long[..], b"a"].concat();
        assert_eq!(judge(&longer, SLASH, &WIRE), Err(NameFault::TooLong(1024)));
    }

    #[test]
    fn a_name_sent_twice_is_split_and_another_is_not() {
        assert_eq!(undouble(b"a.bina.bin"), Some(&b"a.bin"[..]));
        assert_eq!(undouble(b"aaaa"), Some(&b"aa"[..]));
        assert_eq!(undouble(b"d/ad/a"), Some(&b"d/a"[..]));
        assert_eq!(undouble(b"d/a.bina.bin"), Some(&b"a.bin"[..]));
        assert_eq!(undouble(b"C:\\d\\a.bina.bin"), Some(&b"a.bin"[..]));
        assert_eq!(undouble(b"d/a.binb.bin"), None);
        assert_eq!(undouble(b"d/"), None);
        assert_eq!(undouble(b"a.binb.bin"), None);
        assert_eq!(undouble(b"odd"), None);
        assert_eq!(undouble(b""), None);
    }

    #[test]
    fn only_the_last_component_counts() {
        for (path, slash, any_slash) in [
            ("../../etc/passwd", "passwd", "passwd"),
            ("plain", "plain", "plain"),
            ("folder/", "", ""),
            ("C:\\a\\b.txt", "C:\\a\\b.txt", "b.txt"),
        ] {
            let base = |separators| base_name(path.as_bytes(), separators, &WIRE);
            assert_eq!(base(SLASH), Ok(slash));
            assert_eq!(base(ANY_SLASH), Ok(any_slash));
        }
    }

    #[test]
    fn each_component_of_a_windows_path_is_measured() {
        let path = format!("C:\\{}\\b.txt", "d".repeat(254));
        let base = |separators| base_name(path.as_bytes(), separators, &WIRE);
        assert_eq!(base(ANY_SLASH), Ok("b.txt"));
        let bad = base(SLASH).expect_err("one long component");
        assert_eq!(bad.fault, NameFault::ComponentTooLong(255));
    }
}
