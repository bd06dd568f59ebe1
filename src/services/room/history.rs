//! The last messages, for members that join.

use crate::session::notice::{Datagram, Meaning};
use std::collections::VecDeque;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct HistoryLimits {
    /// Messages; 0 is no history.
    pub lines: usize,
    /// Bytes of all of them.
    pub bytes: usize,
    /// Bytes that a datagram needs beside its content.
    pub overhead: usize,
}

/// The last messages, the oldest first.
pub struct RoomHistory {
    limits: HistoryLimits,
    lines: VecDeque<Line>,
    bytes: usize,
}

struct Line {
    text: Datagram,
    state: LineState,
}

/// Whether the stream has a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineState {
    /// No: the link or the stream was not there.
    Unsent,
    /// It was sent since the link came up: what is read from the stream may lack it.
    Sent,
    /// It was sent before.
    Old,
}

impl RoomHistory {
    /// Without messages.
    pub fn new(limits: HistoryLimits) -> RoomHistory {
        RoomHistory {
            limits,
            lines: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Adds a message of now.
    pub(super) fn push(&mut self, text: Datagram) {
        self.add(text, LineState::Sent);
    }

    fn add(&mut self, text: Datagram, state: LineState) {
        self.bytes += text.bytes.len();
        self.lines.push_back(Line { text, state });
        while self.lines.len() > self.limits.lines || self.bytes > self.limits.bytes {
            let first = self.lines.pop_front().expect("it has lines");
            self.bytes -= first.text.bytes.len();
        }
    }

    /// The stream could not get the last message.
    pub(super) fn keep_unsent(&mut self) {
        if let Some(last) = self.lines.back_mut() {
            last.state = LineState::Unsent;
        }
    }

    /// The link has come up.
    pub(super) fn age(&mut self) {
        let sent = self.lines.iter_mut();
        sent.filter(|line| line.state == LineState::Sent)
            .for_each(|line| line.state = LineState::Old);
    }

    /// The stream is there. Returns the messages that are to be sent to it now.
    pub(super) fn take_unsent(&mut self) -> Vec<Datagram> {
        let unsent = self.lines.iter_mut();
        let unsent = unsent.filter(|line| line.state == LineState::Unsent);
        unsent
            .map(|line| {
                line.state = LineState::Sent;
                line.text.clone()
            })
            .collect()
    }

    /// Adds what was read from the stream, which has the last messages of all servers. Messages
    /// that it lacks go behind if they were sent since the link came up. Older ones stay behind
    /// their predecessors: the link broke before the broker had them.
    pub(super) fn merge(&mut self, stored: Vec<Datagram>) {
        let own = std::mem::take(&mut self.lines);
        self.bytes = 0;
        let state = LineState::Old;
        let stored = stored.into_iter().map(|text| (Line { text, state }, false));
        // With each line, whether the room had it.
        let mut merged: Vec<_> = stored.collect();
        let (mut new, mut at) = (Vec::new(), 0);
        for line in own {
            let is_same =
                |(stored, is_own): &(Line, bool)| !is_own && stored.text.bytes == line.text.bytes;
            match merged.iter().position(is_same) {
                // The own copy of a message has the number under which it was shown.
                Some(place) => {
                    merged[place] = (line, true);
                    at = place + 1;
                }
                None if line.state == LineState::Old => {
                    merged.insert(at, (line, true));
                    at += 1;
                }
                None => new.push(line),
            }
        }
        let merged = merged.into_iter().map(|(line, _)| line);
        for line in merged.chain(new) {
            self.add(line.text, line.state);
        }
    }

    /// The messages before the line with this number.
    pub fn before(&self, number: u64) -> impl DoubleEndedIterator<Item = &Datagram> {
        let texts = self.lines.iter().map(|line| &line.text);
        texts.filter(move |text| number_of(text) < number)
    }

    /// The last of these messages that fit into this number of bytes as datagrams.
    pub(super) fn that_fit(&self, number: u64, mut bytes: usize) -> Vec<Datagram> {
        let fit = |text: &&Datagram| {
            let length = text.bytes.len() + self.limits.overhead;
            let left = bytes.checked_sub(length);
            bytes = left.unwrap_or(0);
            left.is_some()
        };
        let mut texts: Vec<_> = self.before(number).rev().take_while(fit).cloned().collect();
        texts.reverse();
        texts
    }
}

/// A message that was read from the stream has number 0.
fn number_of(text: &Datagram) -> u64 {
    match text.meaning {
        Meaning::About { number, .. } => number,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::LineState::{Old, Sent, Unsent};
    use super::*;
    use crate::services::room::view::about;
    use crate::session::notice::Deed;

    fn line(text: &str, number: u64) -> Datagram {
        about(text, "a", Deed::Said, number)
    }

    fn texts<'a>(lines: impl Iterator<Item = &'a Datagram>) -> String {
        let texts = lines.map(|line| String::from_utf8_lossy(&line.bytes).into_owned());
        texts.collect::<Vec<_>>().join(" ")
    }

    fn history(lines: &[(&str, LineState)]) -> RoomHistory {
        let limits = HistoryLimits {
            lines: 4,
            bytes: 12,
            overhead: 2,
        };
        let mut history = RoomHistory::new(limits);
        for (number, (text, state)) in (1..).zip(lines) {
            history.add(line(text, number), *state);
        }
        history
    }

    #[test]
    fn the_last_messages_are_kept_by_their_number_and_their_bytes() {
        let texts_of = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|text| (*text, Sent)).collect();
            texts(history(&lines).before(u64::MAX))
        };
        assert_eq!(texts_of(&["1", "2", "3", "4", "5"]), "2 3 4 5");
        assert_eq!(texts_of(&["1", "2", "seven b", "six by"]), "six by");
        assert_eq!(texts_of(&["1", "thirteen byte"]), "");
        assert_eq!(texts_of(&["1", "2", "3"]), "1 2 3");
    }

    #[test]
    fn messages_of_the_stream_go_between_older_and_newer_ones_and_none_comes_twice() {
        let stored = |texts: &[&str]| texts.iter().map(|text| line(text, 0)).collect();
        for (own, stream, wanted) in [
            (&[("1", Old), ("2", Old)][..], &["1", "x", "2"][..], "1 x 2"),
            (&[("1", Old), ("2", Old)], &["2", "x"], "1 2 x"),
            (&[("1", Old), ("n", Sent)], &["1", "x", "n"], "1 x n"),
            (&[("1", Old), ("n", Sent)], &["1", "x"], "1 x n"),
            (&[("1", Sent), ("1", Sent)], &["1"], "1 1"),
            (&[("1", Old), ("2", Old)], &["w", "x", "y", "z"], "w x y z"),
            (&[("1", Old), ("2", Unsent)], &[], "1 2"),
            // The link broke before the broker had the second one.
            (&[("1", Old), ("2", Old)], &["1", "x"], "1 2 x"),
        ] {
            let mut history = history(own);
            history.merge(stored(stream));
            assert_eq!(
                texts(history.before(u64::MAX)),
                wanted,
                "{own:?} {stream:?}"
            );
        }
    }

    #[test]
    fn messages_that_were_not_sent_are_sent_once_when_the_link_is_up() {
        let mut history = history(&[("1", Old), ("2", Unsent), ("3", Unsent)]);
        assert_eq!(texts(history.take_unsent().iter()), "2 3");
        assert_eq!(texts(history.take_unsent().iter()), "");
    }

    #[test]
    fn the_last_messages_that_fit_are_those_before_a_number() {
        let history = history(&[("1", Sent), ("22", Sent), ("3", Sent)]);
        for (number, bytes, wanted) in [
            (9, 100, "1 22 3"),
            (9, 10, "1 22 3"),
            (9, 9, "22 3"),
            (9, 6, "3"),
            (9, 2, ""),
            (3, 100, "1 22"),
            (1, 100, ""),
        ] {
            let fit = history.that_fit(number, bytes);
            assert_eq!(texts(fit.iter()), wanted, "{number} {bytes}");
        }
    }
}
