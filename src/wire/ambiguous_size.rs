//! Finds the end of a size whose digits run straight into data that may begin with digits.
//!
//! A textbook client sends `11` and then `12345 hello`; TCP delivers `1112345 hello`. Let T be the
//! number of bytes after the separator at end of stream. The size is the digit prefix of length k
//! with value(prefix) + k = T. The left side grows with k, so at most one k fits.

/// The digits of the largest size: `u64::MAX` is 18,446,744,073,709,551,615.
pub const MOST_DIGITS: usize = 20;

/// The digits after the separator: a size, and possibly the first digits of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits {
    text: [u8; MOST_DIGITS],
    count: u8,
}

/// What the bytes after the separator begin with.
#[derive(Debug, PartialEq, Eq)]
pub enum Start {
    /// Only digits so far: the next bytes may belong to the size.
    Open,
    /// The longest run of digits that can be a size.
    Closed(Digits),
    /// No digit.
    NotASize,
}

impl Digits {
    /// Reads the longest run of digits that can be a size. `last` says that the stream ends here.
    pub fn read(input: &[u8], last: bool) -> Start {
        let window = &input[..input.len().min(MOST_DIGITS)];
        let count = window
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let open = count == input.len() && count < MOST_DIGITS && !last;
        if open {
            return Start::Open;
        }
        let mut count = count;
        // Twenty digits may overflow a u64; nineteen never do.
        while count > 0 && parse(&window[..count]).is_none() {
            count -= 1;
        }
        if count == 0 {
            return Start::NotASize;
        }
        let mut text = [0; MOST_DIGITS];
        text[..count].copy_from_slice(&window[..count]);
        Start::Closed(Digits {
            text,
            count: count as u8,
        })
    }

    /// The digits.
    pub fn text(&self) -> &[u8] {
        &self.text[..usize::from(self.count)]
    }

    /// The size if all digits belong to it, as when the data does not begin with a digit.
    pub fn largest(&self) -> u64 {
        parse(self.text()).expect("Digits::read keeps only runs that fit a u64")
    }

    /// Drops digits until the size is at most `most` bytes, if any digit remains.
    pub fn at_most(mut self, most: u64) -> Option<Digits> {
        while self.count > 0 && self.largest() > most {
            self.count -= 1;
        }
        (self.count > 0).then_some(self)
    }

    /// The number of digits that form the size, if `total` bytes followed the separator.
    pub fn solve(&self, total: u64) -> Option<usize> {
        (1..=self.text().len()).find(|&length| {
            parse(&self.text()[..length]).and_then(|size| size.checked_add(length as u64))
                == Some(total)
        })
    }
}

fn parse(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn closed(input: &[u8]) -> Digits {
        match Digits::read(input, true) {
            Start::Closed(digits) => digits,
            other => panic!("{other:?} of {input:?}"),
        }
    }

    #[test]
    fn the_textbook_example_is_solved() {
        let wire = b"1112345 hello";
        assert_eq!(closed(wire).solve(wire.len() as u64), Some(2));
    }

    #[test]
    fn leading_zeros_are_solved() {
        assert_eq!(closed(b"40000").solve(5), Some(1));
        assert_eq!(closed(b"0").solve(1), Some(1));
    }

    #[test]
    fn a_short_upload_has_no_solution() {
        assert_eq!(closed(b"11hello").solve(7), None);
    }

    #[test]
    fn digits_stay_open_until_another_byte_comes() {
        assert_eq!(Digits::read(b"", false), Start::Open);
        assert_eq!(Digits::read(b"123", false), Start::Open);
        assert!(matches!(Digits::read(b"123x", false), Start::Closed(_)));
        assert!(matches!(Digits::read(&[b'9'; 25], false), Start::Closed(_)));
        assert_eq!(Digits::read(b"x", false), Start::NotASize);
        assert_eq!(Digits::read(b"", true), Start::NotASize);
    }

    #[test]
    fn a_run_beyond_u64_keeps_what_fits() {
        assert_eq!(closed(&[b'9'; 30]).text().len(), 19);
    }

    #[test]
    fn sizes_over_the_limit_are_left_out() {
        let digits = closed(b"1234567x");
        assert_eq!(
            digits.at_most(5000).map(|digits| digits.largest()),
            Some(1234)
        );
        assert_eq!(closed(b"9x").at_most(5), None);
        assert_eq!(closed(b"9x").at_most(9), Some(closed(b"9x")));
    }

    proptest! {
        #[test]
        fn every_body_of_digits_and_letters_is_found(body in "[0-9a]{0,300}") {
            let wire = format!("{}{body}", body.len());
            let length = closed(wire.as_bytes()).solve(wire.len() as u64);
            prop_assert_eq!(length, Some(body.len().to_string().len()));
        }
    }
}
