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
    pub fn parse(_value: &[u8]) -> Range {
        Range::Whole
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
