//! What sessions may look at: the names of the members, and the last lines.

use crate::session::notice::{Datagram, Meaning};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

/// The names of the members, and the last lines. The room changes it, and sessions read it.
pub struct RoomView {
    /// All names, as they are shown.
    pub names: BTreeSet<Rc<str>>,
    lines: VecDeque<Datagram>,
    capacity: usize,
    /// The number of the last line. The first one has number 1.
    last: u64,
}

impl RoomView {
    /// Of an empty room.
    pub fn new(capacity: usize) -> RoomView {
        RoomView {
            names: BTreeSet::new(),
            lines: VecDeque::new(),
            capacity,
            last: 0,
        }
    }

    /// Adds a line that begins with the name of a member.
    pub(super) fn add(&mut self, line: &str, name: &str) -> Datagram {
        self.last += 1;
        let text = about(line, name, self.last);
        self.lines.push_back(text.clone());
        if self.lines.len() > self.capacity {
            self.lines.pop_front();
        }
        text
    }

    /// The number of the last line.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The lines that follow the one with this number, and how many more are not kept.
    pub fn after(&self, number: u64) -> (u64, impl Iterator<Item = &Datagram>) {
        let oldest = self.last + 1 - self.lines.len() as u64;
        let missed = oldest.saturating_sub(number + 1);
        let known = (number + 1).saturating_sub(oldest) as usize;
        (missed, self.lines.iter().skip(known))
    }
}

/// What a member has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About<'a> {
    /// The member of this name has joined.
    Entered(&'a str),
    /// It has left.
    Left(&'a str),
    /// It has said something.
    Line(&'a str),
}

/// What follows the name of a member that has joined.
pub(super) const ENTERED: &str = " bergabung ke chatroom.";

/// What follows the name of a member that has left.
pub(super) const LEFT: &str = " telah keluar dari chatroom.";

/// Reads what the room has written about a member.
pub fn name_and_kind(text: &Datagram) -> About<'_> {
    let Meaning::About { name, .. } = text.meaning else {
        return About::Line("");
    };
    let (name, rest) = text.bytes.split_at(name);
    let name = str::from_utf8(name).unwrap_or_default();
    match rest {
        rest if rest == ENTERED.as_bytes() => About::Entered(name),
        rest if rest == LEFT.as_bytes() => About::Left(name),
        _ => About::Line(name),
    }
}

/// A line that begins with the name of a member.
pub(super) fn about(line: &str, name: &str, number: u64) -> Datagram {
    let name = name.len();
    Datagram {
        bytes: line.as_bytes().into(),
        meaning: Meaning::About { name, number },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_ends_in_a_colon_makes_no_notice_of_a_message() {
        let read = |name: &str, rest: &str| {
            let text = about(&format!("{name}{rest}"), name, 1);
            match name_and_kind(&text) {
                About::Entered(name) => format!("{name} entered"),
                About::Left(name) => format!("{name} left"),
                About::Line(name) => format!("{name} said something"),
            }
        };
        assert_eq!(read("x", ENTERED), "x entered");
        assert_eq!(read("x:", ENTERED), "x: entered");
        assert_eq!(read("x:", LEFT), "x: left");
        assert_eq!(read("x", &format!(":{LEFT}")), "x said something");
    }

    #[test]
    fn the_lines_after_a_number_are_found_and_the_missing_ones_counted() {
        let mut view = RoomView::new(3);
        let after = |view: &RoomView, number| {
            let (missed, lines) = view.after(number);
            let texts = lines.map(|line| String::from_utf8_lossy(&line.bytes).into_owned());
            (missed, texts.collect::<Vec<_>>().join(" "))
        };
        assert_eq!(after(&view, 0), (0, String::new()));
        for number in 1..=5 {
            view.add(&number.to_string(), "");
        }
        assert_eq!(view.last(), 5);
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
