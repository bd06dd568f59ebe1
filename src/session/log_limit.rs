//! Limits the lines of one kind that a second may add to the log, and counts what it holds back.

/// In microseconds.
const SECOND: u64 = 1_000_000;

/// The limit of one kind of line.
#[derive(Debug)]
pub struct LogLimit {
    per_second: u32,
    /// When the second began that is being counted.
    since: Option<u64>,
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

    /// Whether a line may be written now, in microseconds; if so, how many were held back since the
    /// last one.
    pub fn pass(&mut self, now: u64) -> Option<u64> {
        if self.since.is_none_or(|since| since + SECOND <= now) {
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
        assert_eq!(limit.pass(5), Some(0));
        assert_eq!(limit.pass(6), Some(0));
        for moment in 7..10 {
            assert_eq!(limit.pass(moment), None);
        }
        assert_eq!(limit.pass(SECOND + 4), None);
        assert_eq!(limit.pass(SECOND + 5), Some(4));
        assert_eq!(limit.pass(SECOND + 6), Some(0));
        assert_eq!(limit.pass(SECOND + 7), None);
        assert_eq!(limit.pass(9 * SECOND), Some(1));
    }
}
