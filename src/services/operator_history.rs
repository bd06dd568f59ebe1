//! The last lines to the operator, and the tabs that show them.
//!
//! A tab is not sent the lines but woken: it reads what is new from here, as fast as its peer
//! reads. So a tab that is behind costs no memory; it may miss lines, and knows how many.

use crate::session::notice::{Notice, Post};
use crate::session::watchers::Watchers;
use std::collections::VecDeque;
use std::rc::Rc;

/// How much of the past is kept.
#[derive(Debug, Clone, Copy)]
pub struct HistoryLimits {
    /// Lines.
    pub lines: usize,
    /// Bytes of all lines.
    pub bytes: usize,
}

/// The last lines to the operator.
pub struct OperatorHistory {
    limits: HistoryLimits,
    /// Tells this history from that of an earlier server.
    epoch: u64,
    lines: VecDeque<PastLine>,
    bytes: usize,
    /// The number of the line that comes next. The first one has number 0.
    next: u64,
    /// The tabs that are woken by each line.
    pub tabs: Watchers,
}

/// A line that was shown.
#[derive(Debug, Clone)]
pub struct PastLine {
    /// The text, without control characters.
    pub text: Rc<str>,
    /// When it was shown, in seconds since 1970.
    pub at: u64,
}

/// Where a tab goes on.
#[derive(Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The number of the line that it gets next.
    pub next: u64,
    /// Whether lines of an earlier server may be missing.
    pub is_other_server: bool,
}

impl OperatorHistory {
    /// Without lines. No other server has the same `epoch`.
    pub fn new(limits: HistoryLimits, epoch: u64) -> OperatorHistory {
        OperatorHistory {
            limits,
            epoch,
            lines: VecDeque::new(),
            bytes: 0,
            next: 0,
            tabs: Watchers::default(),
        }
    }

    /// Adds a line, and wakes the tabs.
    pub fn add(&mut self, text: Rc<str>, at: u64, posts: &mut Vec<Post>) {
        self.bytes += text.len();
        self.lines.push_back(PastLine { text, at });
        self.next += 1;
        while self.lines.len() > self.limits.lines || self.bytes > self.limits.bytes {
            let oldest = self.lines.pop_front();
            self.bytes -= oldest.map_or(0, |line| line.text.len());
        }
        self.tabs.post(&Notice::Wake, posts);
    }

    /// A number that no other server has.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number of the line that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of the oldest line that is kept.
    pub fn oldest(&self) -> u64 {
        self.next - self.lines.len() as u64
    }

    /// The line with this number, if it is kept.
    pub fn line(&self, number: u64) -> Option<&PastLine> {
        let place = number.checked_sub(self.oldest())?;
        self.lines.get(usize::try_from(place).ok()?)
    }

    /// The id of an event with the line of this number.
    pub fn event_id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.epoch)
    }

    /// Where a tab goes on whose last event had this id. A new tab gets everything that is kept.
    pub fn resume(&self, last_event: Option<&str>) -> Resumed {
        let whole = |is_other_server| Resumed {
            next: self.oldest(),
            is_other_server,
        };
        let Some(last) = last_event.filter(|id| !id.is_empty()) else {
            return whole(false);
        };
        let parsed = last.split_once('-').and_then(|(epoch, number)| {
            let epoch = u64::from_str_radix(epoch, 16).ok()?;
            Some((epoch, number.parse::<u64>().ok()?))
        });
        match parsed {
            Some((epoch, number)) if epoch == self.epoch && number < self.next => Resumed {
                next: number + 1,
                is_other_server: false,
            },
            _ => whole(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::notice::Audience;
    use crate::session::session_id::SessionId;

    fn with_lines(count: u64) -> OperatorHistory {
        let limits = HistoryLimits {
            lines: 3,
            bytes: 20,
        };
        let mut history = OperatorHistory::new(limits, 0xabc);
        for number in 0..count {
            history.add(format!("line {number}").into(), number, &mut Vec::new());
        }
        history
    }

    #[test]
    fn a_tab_goes_on_behind_its_last_event_or_is_told_of_a_gap() {
        let history = with_lines(5);
        let next = |last| {
            let resumed = history.resume(last);
            (resumed.next, resumed.is_other_server)
        };
        assert_eq!(history.oldest(), 2);
        assert_eq!(history.line(2).map(|line| &*line.text), Some("line 2"));
        assert_eq!(next(None), (2, false));
        assert_eq!(next(Some("abc-3")), (4, false));
        assert_eq!(next(Some("abc-0")), (1, false), "line 1 is missing");
        for strange in [
            "abd-3",
            "abc-5",
            "abc-",
            "-3",
            "3",
            "abc-99999999999999999999",
        ] {
            assert_eq!(next(Some(strange)), (2, true), "{strange}");
        }
    }

    #[test]
    fn lines_are_bounded_in_number_and_in_bytes() {
        let mut history = with_lines(3);
        history.add("0123456789".into(), 9, &mut Vec::new());
        assert_eq!((history.oldest(), history.next()), (2, 4), "6 + 10 bytes");
        history.add("x".repeat(21).into(), 9, &mut Vec::new());
        assert_eq!((history.oldest(), history.next()), (5, 5));
    }

    #[test]
    fn a_line_wakes_the_tabs_that_watch() {
        let mut history = with_lines(0);
        history.tabs.add(SessionId(7));
        history.tabs.add(SessionId(8));
        history.tabs.remove(SessionId(7));
        let mut posts = Vec::new();
        history.add("hi".into(), 1, &mut posts);
        let wake = Post {
            to: Audience::One(SessionId(8)),
            notice: Notice::Wake,
        };
        assert_eq!(posts, [wake]);
    }
}
