//! Limits how many log lines of one kind are written a second, and counts the others.

use super::notice::LogEntry;

/// One second in microseconds.
const SECOND: u64 = 1_000_000;

/// The limit for one kind of line.
#[derive(Debug)]
pub struct LogLimit {
    per_second: u32,
    /// The start of the current second, in microseconds.
    since: Option<u64>,
    written: u32,
    suppressed: u64,
}

impl LogLimit {
    /// At most `per_second` lines in each second. A second begins with its first line.
    pub fn new(per_second: u32) -> LogLimit {
        LogLimit {
            per_second,
            since: None,
            written: 0,
            suppressed: 0,
        }
    }

    /// Whether a line may be written at `now`, in microseconds. `Some` has the number of lines that
    /// were suppressed since the last one.
    pub fn pass(&mut self, now: u64) -> Option<u64> {
        if self.since.is_none_or(|since| since + SECOND <= now) {
            self.since = Some(now);
            self.written = 0;
        }
        if self.written == self.per_second {
            self.suppressed += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }

    /// Logs an entry, unless the limit holds it back.
    pub fn info(&mut self, entry: &LogEntry, now: u64) {
        if let Some(held_back) = self.pass(now) {
            let others = match held_back {
                0 => String::new(),
                count => format!("; {count} others are not logged"),
            };
            let LogEntry {
                service,
                peer,
                reason,
                line,
            } = entry;
            log::info!(service = *service, peer:%, reason = reason.as_str(); "{line}{others}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_above_the_limit_are_counted_for_the_next_second() {
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
