//! Finds the first LF-terminated line of a buffer, within a length limit.
//! What happens to a line without end is the caller's choice.

/// What a buffer begins with, if only LF ends a line.
#[derive(Debug, PartialEq, Eq)]
pub enum FirstLine<'a> {
    /// A complete line.
    Whole {
        /// The line, without CR before its LF.
        text: &'a [u8],
        /// The length of the line and its line end.
        taken: usize,
    },
    /// No line end yet; it may still come within the limit.
    Open,
    /// No line end within the limit.
    TooLong,
}

/// Looks for a line of at most `limit` bytes, not counting its line end.
pub fn first_line(input: &[u8], limit: usize) -> FirstLine<'_> {
    // Two more than the limit: room for CR LF after a line of exactly the limit.
    let window = &input[..input.len().min(limit + 2)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        // With one byte over the limit, that byte can only be the CR of a line of exactly the
        // limit.
        let over = input.get(limit).is_some_and(|&byte| byte != b'\r');
        return match over || input.len() > limit + 1 {
            true => FirstLine::TooLong,
            false => FirstLine::Open,
        };
    };
    let text = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    match text.len() <= limit {
        true => FirstLine::Whole {
            text,
            taken: end + 1,
        },
        false => FirstLine::TooLong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cr_before_lf_is_dropped_and_does_not_count() {
        for (input, taken) in [(&b"abcd\nrest"[..], 5), (b"abcd\r\nrest", 6)] {
            let line = FirstLine::Whole {
                text: b"abcd",
                taken,
            };
            assert_eq!(first_line(input, 4), line);
            assert_eq!(first_line(input, 3), FirstLine::TooLong);
            assert_eq!(first_line(&input[..taken - 1], 4), FirstLine::Open);
        }
        assert_eq!(first_line(b"abcde", 4), FirstLine::TooLong);
        assert_eq!(first_line(b"abcd\rx", 4), FirstLine::TooLong);
        assert_eq!(first_line(b"", 4), FirstLine::Open);
    }
}
