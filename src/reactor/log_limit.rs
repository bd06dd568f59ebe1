//! Limits the lines of one kind that a second may add to the log, and counts what it holds back.
//! Writes nothing: the caller does, and tells with the next line how many are missing.

use super::clock::{Moment, SECOND};

/// The limit of one kind of line.
#[derive(Debug)]
pub struct LogLimit {
    per_second: u32,
    /// When the second began that is being counted.
    since: Option<Moment>,
    written: u32,
    held_back: u64,
}

impl LogLimit {
    /// At most `per_second` lines within a second of the first of them.
    pub fn new(per_second: u32) -> LogLimit {
        LogLimit {
            per_second,
            since: None,
            written: 0,
            held_back: 0,
        }
    }

    /// Whether a line may be written now; if so, how many were held back since the last one.
    pub fn pass(&mut self, now: Moment) -> Option<u64> {
        if self.since.is_none_or(|since| since.after(SECOND) <= now) {
            self.since = Some(now);
            self.written = 0;
        }
        if self.written == self.per_second {
            self.held_back += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_lines_and_the_next_one_tells_what_is_missing() {
        let mut limit = LogLimit::new(2);
        assert_eq!(limit.pass(Moment(5)), Some(0));
        assert_eq!(limit.pass(Moment(6)), Some(0));
        for moment in 7..10 {
            assert_eq!(limit.pass(Moment(moment)), None);
        }
        assert_eq!(limit.pass(Moment(SECOND + 4)), None);
        assert_eq!(limit.pass(Moment(SECOND + 5)), Some(4));
        assert_eq!(limit.pass(Moment(SECOND + 6)), Some(0));
        assert_eq!(limit.pass(Moment(SECOND + 7)), None);
        assert_eq!(limit.pass(Moment(9 * SECOND)), Some(1));
    }
}
