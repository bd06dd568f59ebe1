//! Compares the answers of a service with the expected answers, byte by byte.

use super::requests::{Checked, wrong_byte};
use super::test_data::TestData;
use crate::wire::text::OneLine;
use std::collections::VecDeque;
use std::rc::Rc;

/// A part of an expected answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// This line and LF.
    Line(String),
    /// A line that begins with this text.
    Beginning(String),
    /// Bytes of the test data.
    Body {
        /// The offset in the test data.
        at: u64,
        /// The number of bytes.
        length: u64,
    },
    /// `OK` and a length, then that many bytes of sorted lines which include this one.
    Listing(String),
    /// The end of the answer.
    End,
}

/// The expected answers, in order.
pub struct ExpectedReplies {
    data: Rc<TestData>,
    parts: VecDeque<Expected>,
    /// The received part of a line.
    line: Vec<u8>,
    max_line: usize,
    /// Received bytes of the body.
    done: u64,
    listing: Option<Listing>,
}

/// A listing that is being received.
#[derive(Default)]
struct Listing {
    left: u64,
    last: Vec<u8>,
    found: bool,
}

impl ExpectedReplies {
    /// Expects nothing yet; a line has at most `max_line` bytes.
    pub fn new(data: Rc<TestData>, max_line: usize) -> ExpectedReplies {
        ExpectedReplies {
            data,
            parts: VecDeque::new(),
            line: Vec::new(),
            max_line,
            done: 0,
            listing: None,
        }
    }

    /// The source of bodies.
    pub fn data(&self) -> &TestData {
        &self.data
    }

    /// Expects one more answer with these parts.
    pub fn expect(&mut self, parts: impl IntoIterator<Item = Expected>) {
        self.parts.extend(parts);
        self.parts.push_back(Expected::End);
    }

    /// Expects nothing any more.
    pub fn reset(&mut self) {
        self.parts.clear();
        self.line.clear();
        self.done = 0;
        self.listing = None;
    }

    /// Checks a prefix of the input, at most one answer; returns the number of consumed bytes.
    pub fn check(&mut self, input: &[u8]) -> (usize, Checked) {
        let mut taken = 0;
        loop {
            // An empty body is complete before any input.
            if self.is_body_whole() {
                self.parts.pop_front();
            }
            if self.parts.front() == Some(&Expected::End) {
                self.parts.pop_front();
                return (taken, Checked::Answer);
            }
            if taken == input.len() {
                return (taken, Checked::Part);
            }
            let (count, checked) = self.advance(&input[taken..]);
            taken += count;
            if checked != Checked::Part {
                return (taken, checked);
            }
        }
    }

    fn is_body_whole(&mut self) -> bool {
        match self.parts.front() {
            Some(Expected::Body { length, .. }) if self.done == *length => {
                self.done = 0;
                true
            }
            _ => false,
        }
    }

    /// Checks one part, or a piece of it.
    fn advance(&mut self, input: &[u8]) -> (usize, Checked) {
        if let Some(Expected::Body { at, length }) = self.parts.front() {
            let count = (length - self.done).min(input.len() as u64) as usize;
            let found = &input[..count];
            if let Some(offset) = self.data.difference(at + self.done, found) {
                return (count, wrong_byte(self.done + offset as u64, "a file"));
            }
            self.done += count as u64;
            return (count, Checked::Part);
        }
        // The last entry of a listing has no LF, and an answer may follow at once.
        let left = self
            .listing
            .as_ref()
            .map_or(usize::MAX, |listing| listing.left as usize);
        let input = &input[..input.len().min(left)];
        let end = input.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(input.len(), |end| end + 1);
        self.line.extend_from_slice(&input[..end.unwrap_or(count)]);
        if self.line.len() > self.max_line {
            return (
                count,
                Checked::Wrong("a line of the answer is too long".to_owned()),
            );
        }
        if end.is_none() && count < left {
            if let Some(listing) = &mut self.listing {
                listing.left = listing.left.saturating_sub(count as u64);
            }
            return (count, Checked::Part);
        }
        let line = std::mem::take(&mut self.line);
        let checked = match &self.listing {
            Some(_) => self.entry(line, count as u64),
            None => self.reply(&line),
        };
        (count, checked)
    }

    fn reply(&mut self, line: &[u8]) -> Checked {
        let text = String::from_utf8_lossy(line).into_owned();
        let fits = match self.parts.front() {
            Some(Expected::Line(wanted)) => *wanted == text,
            Some(Expected::Beginning(wanted)) => text.starts_with(wanted),
            Some(Expected::Listing(_)) => {
                let left = text.strip_prefix("OK ").and_then(|text| text.parse().ok());
                self.listing = left.map(|left| Listing {
                    left,
                    ..Listing::default()
                });
                if self
                    .listing
                    .as_ref()
                    .is_some_and(|listing| listing.left > 0)
                {
                    return Checked::Part;
                }
                false
            }
            _ => false,
        };
        if fits {
            self.parts.pop_front();
            Checked::Part
        } else if text.starts_with("ERROR") {
            Checked::Refused(format!("the server answered: {}", OneLine(&text)))
        } else {
            Checked::Wrong(format!(
                "the server answered `{}`, and {:?} was expected",
                OneLine(&text),
                self.parts.front()
            ))
        }
    }

    fn entry(&mut self, entry: Vec<u8>, count: u64) -> Checked {
        let (Some(listing), Some(Expected::Listing(wanted))) =
            (&mut self.listing, self.parts.front())
        else {
            unreachable!("called only within a listing")
        };
        if entry <= listing.last {
            return Checked::Wrong("a listing is not sorted".to_owned());
        }
        listing.found |= entry == wanted.as_bytes();
        listing.left = listing.left.saturating_sub(count);
        listing.last = entry;
        if listing.left > 0 {
            return Checked::Part;
        }
        if !listing.found {
            return Checked::Wrong(format!("a listing lacks {wanted}"));
        }
        self.listing = None;
        self.parts.pop_front();
        Checked::Part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::outbox::{Front, Outbox};

    fn replies() -> ExpectedReplies {
        ExpectedReplies::new(Rc::new(TestData::new(101).expect("memory")), 100)
    }

    fn bytes(replies: &ExpectedReplies, at: u64, length: u64) -> Vec<u8> {
        let mut out = Outbox::default();
        replies.data.write(at, length, &mut out);
        let Some(Front::Bytes(bytes)) = out.front() else {
            panic!("it has bytes")
        };
        bytes.to_vec()
    }

    /// All results for bytes that arrive in pieces of this length.
    fn check(replies: &mut ExpectedReplies, bytes: &[u8], step: usize) -> Vec<Checked> {
        let mut all = Vec::new();
        for piece in bytes.chunks(step) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (taken, checked) = replies.check(rest);
                rest = &rest[taken..];
                if checked != Checked::Part {
                    all.push(checked);
                }
            }
        }
        all
    }

    #[test]
    fn answers_are_separated_for_any_split_of_the_input() {
        for step in 1..40 {
            let mut replies = replies();
            let (at, length) = (90, 30);
            replies.expect([
                Expected::Line("OK 30".to_owned()),
                Expected::Body { at, length },
            ]);
            replies.expect([Expected::Listing("b".to_owned())]);
            replies.expect([Expected::Beginning("OK 5".to_owned())]);
            let body = bytes(&replies, at, length);
            let all = [b"OK 30\n", &body[..], b"OK 6\na\nb\ncc", b"OK 5 and more\n"].concat();
            assert_eq!(
                check(&mut replies, &all, step),
                vec![Checked::Answer; 3],
                "{step}"
            );
        }
    }

    #[test]
    fn a_refusal_a_wrong_line_and_an_incomplete_listing_are_reported() {
        let mut refused = replies();
        refused.expect([Expected::Line("OK".to_owned())]);
        let checked = check(&mut refused, b"ERROR \x1b[2Jno\n", 99);
        assert_eq!(
            checked,
            [Checked::Refused(
                "the server answered: ERROR \\u{1b}[2Jno".to_owned()
            )]
        );
        for (step, answer) in [
            (Expected::Line("OK".to_owned()), "KO\n"),
            (Expected::Listing("c".to_owned()), "OK 4\na\nb\n"),
            (Expected::Listing("a".to_owned()), "OK 4\nb\na\n"),
        ] {
            let mut wrong = replies();
            wrong.expect([step]);
            let checked = check(&mut wrong, answer.as_bytes(), 99);
            assert!(
                matches!(checked[..], [Checked::Wrong(_)]),
                "{answer:?}: {checked:?}"
            );
        }
    }
}
