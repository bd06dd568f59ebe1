//! What sessions may look at: the names of the members, and the last lines.

use super::history::{HistoryLimits, RoomHistory};
use crate::session::notice::{Datagram, Deed, Meaning};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

/// The names of the members, and the last lines. The room changes it, and sessions read it.
pub struct RoomView {
    /// All names, as they are shown.
    pub names: BTreeSet<Rc<str>>,
    /// The last messages, for those that join.
    pub history: RoomHistory,
    lines: VecDeque<Datagram>,
    capacity: usize,
    /// The number of the last line. The first one has number 1.
    last: u64,
}

impl RoomView {
    /// Of an empty room.
    pub fn new(capacity: usize, history: HistoryLimits) -> RoomView {
        RoomView {
            names: BTreeSet::new(),
            history: RoomHistory::new(history),
            lines: VecDeque::new(),
            capacity,
            last: 0,
        }
    }

    /// Adds a line that begins with the name of a member.
    pub(super) fn add(&mut self, line: &str, name: &str, deed: Deed) -> Datagram {
        self.last += 1;
        let text = about(line, name, deed, self.last);
        self.lines.push_back(text.clone());
        if self.lines.len() > self.capacity {
            self.lines.pop_front();
        }
        if deed == Deed::Said {
            self.history.push(text.clone());
        }
        text
    }

    /// The number of the next line.
    pub(super) fn next(&self) -> u64 {
        self.last + 1
    }

    /// The lines that follow the one with this number, and how many more are not kept.
    pub fn after(&self, number: u64) -> (u64, impl Iterator<Item = &Datagram>) {
        let oldest = self.last + 1 - self.lines.len() as u64;
        let missed = oldest.saturating_sub(number + 1);
        let known = (number + 1).saturating_sub(oldest) as usize;
        (missed, self.lines.iter().skip(known))
    }
}

/// The member that a line is about, and what it has done; `None` if it is about none.
pub fn subject(text: &Datagram) -> Option<(&str, Deed)> {
    let Meaning::About { name, deed, .. } = text.meaning else {
        return None;
    };
    let name = str::from_utf8(&text.bytes[..name]).ok()?;
    Some((name, deed))
}

/// A line that begins with the name of a member.
pub(super) fn about(line: &str, name: &str, deed: Deed, number: u64) -> Datagram {
    let name = name.len();
    Datagram {
        bytes: line.as_bytes().into(),
        meaning: Meaning::About { name, deed, number },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_ends_in_a_colon_is_found_whole() {
        let text = about("x:: hello", "x:", Deed::Said, 1);
        assert_eq!(subject(&text), Some(("x:", Deed::Said)));
    }

    #[test]
    fn the_lines_after_a_number_are_found_and_the_missing_ones_counted() {
        let none = HistoryLimits {
            lines: 0,
            bytes: 0,
            overhead: 0,
        };
        let mut view = RoomView::new(3, none);
        let after = |view: &RoomView, number| {
            let (missed, lines) = view.after(number);
            let texts = lines.map(|line| String::from_utf8_lossy(&line.bytes).into_owned());
            (missed, texts.collect::<Vec<_>>().join(" "))
        };
        assert_eq!(after(&view, 0), (0, String::new()));
        for number in 1..=5 {
            view.add(&number.to_string(), "", Deed::Said);
        }
        for (number, missed, texts) in [
            (0, 2, "3 4 5"),
            (1, 1, "3 4 5"),
            (2, 0, "3 4 5"),
            (4, 0, "5"),
            (5, 0, ""),
            (9, 0, ""),
        ] {
            assert_eq!(after(&view, number), (missed, texts.to_owned()), "{number}");
        }
    }
}
