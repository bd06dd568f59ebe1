//! Parses the field Range: RFC 9110, section 14.

/// The bytes that a GET asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Range {
    /// All: there is no such field, its unit is unknown, or it lists several ranges.
    #[default]
    Whole,
    /// `FIRST-` or `FIRST-LAST`; both positions are included.
    From {
        /// The first position.
        first: u64,
        /// The last position.
        last: u64,
    },
    /// `-N`: the last N bytes.
    Suffix(u64),
    /// The field is not a valid list of byte ranges.
    Invalid,
}

/// The part of a file that answers a [`Range`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole file: status 200.
    Whole,
    /// These bytes: status 206.
    Bytes {
        /// The first position.
        first: u64,
        /// The last position, included.
        last: u64,
    },
    /// No byte: status 416.
    Unsatisfiable,
}

impl Range {
    /// Parses the value of the field. A number that does not fit 64 bits means the largest one.
    pub fn parse(value: &[u8]) -> Range {
        let unit = value.iter().position(|&byte| byte == b'=');
        let (unit, list) = value.split_at(unit.unwrap_or(value.len()));
        if !unit.eq_ignore_ascii_case(b"bytes") {
            return Range::Whole;
        }
        let members = list
            .get(1..)
            .unwrap_or_default()
            .split(|&byte| byte == b',');
        let members = members
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty());
        let ranges: Option<Vec<Range>> = members.map(Range::parse_one).collect();
        match ranges.as_deref() {
            Some([range]) => *range,
            Some([_, ..]) => Range::Whole,
            Some([]) | None => Range::Invalid,
        }
    }

    fn parse_one(text: &[u8]) -> Option<Range> {
        let dash = text.iter().position(|&byte| byte == b'-')?;
        let (first, last) = (&text[..dash], &text[dash + 1..]);
        match (first, last) {
            (b"", last) => Some(Range::Suffix(number(last)?)),
            (first, b"") => Some(Range::From {
                first: number(first)?,
                last: u64::MAX,
            }),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Range::From { first, last })
            }
        }
    }

    /// Applies the range to a file of `size` bytes.
    pub fn part_of(self, size: u64) -> Part {
        match self {
            Range::Whole => Part::Whole,
            Range::From { first, last } if first < size => {
                let last = last.min(size - 1);
                Part::Bytes { first, last }
            }
            // An empty file has no byte that Content-Range could name.
            Range::Suffix(1..) if size == 0 => Part::Whole,
            Range::Suffix(length @ 1..) => Part::Bytes {
                first: size.saturating_sub(length),
                last: size - 1,
            },
            Range::From { .. } | Range::Suffix(0) | Range::Invalid => Part::Unsatisfiable,
        }
    }
}

/// A number of decimal digits. One that does not fit is the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}
