//! Compares what a service answers with the answers that are expected of it, byte by byte.

use super::requests::{Heard, wrong_byte};
use super::test_data::Pattern;
use crate::wire::text::OneLine;
use std::collections::VecDeque;
use std::rc::Rc;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This line, and LF.
    Line(String),
    /// A line that begins so.
    Beginning(String),
    /// So many bytes of the pattern, from a place on.
    Body {
        /// The place.
        at: u64,
        /// How many.
        length: u64,
    },
    /// `OK` and a length, then so many bytes of sorted lines; this one is among them.
    Listing(String),
    /// The answer is whole.
    End,
}

/// What is expected, in order.
pub struct Script {
    pattern: Rc<Pattern>,
    steps: VecDeque<Step>,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    longest: usize,
    /// Bytes of the body that have come.
    done: u64,
    listing: Option<Listing>,
}

/// A listing on its way.
#[derive(Default)]
struct Listing {
    left: u64,
    last: Vec<u8>,
    found: bool,
}

impl Script {
    /// Nothing is expected; a line has at most so many bytes.
    pub fn new(pattern: Rc<Pattern>, longest: usize) -> Script {
        Script {
            pattern,
            steps: VecDeque::new(),
            line: Vec::new(),
            longest,
            done: 0,
            listing: None,
        }
    }

    /// Where bodies come from.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// One more answer is expected, in these pieces.
    pub fn expect(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.steps.extend(steps);
        self.steps.push_back(Step::End);
    }

    /// Nothing is expected any more.
    pub fn forget(&mut self) {
        self.steps.clear();
        self.line.clear();
        self.done = 0;
        self.listing = None;
    }

    /// Takes a prefix of what has come, no more than one answer.
    pub fn hear(&mut self, input: &[u8]) -> (usize, Heard) {
        let mut taken = 0;
        loop {
            // A body of no bytes is over before one comes.
            if self.is_body_whole() {
                self.steps.pop_front();
            }
            if self.steps.front() == Some(&Step::End) {
                self.steps.pop_front();
                return (taken, Heard::Answer);
            }
            if taken == input.len() {
                return (taken, Heard::Part);
            }
            let (count, heard) = self.advance(&input[taken..]);
            taken += count;
            if heard != Heard::Part {
                return (taken, heard);
            }
        }
    }

    fn is_body_whole(&mut self) -> bool {
        match self.steps.front() {
            Some(Step::Body { length, .. }) if self.done == *length => {
                self.done = 0;
                true
            }
            _ => false,
        }
    }

    /// One piece, or a part of it.
    fn advance(&mut self, input: &[u8]) -> (usize, Heard) {
        if let Some(Step::Body { at, length }) = self.steps.front() {
            let count = (length - self.done).min(input.len() as u64) as usize;
            let found = &input[..count];
            if let Some(place) = self.pattern.difference(at + self.done, found) {
                return (count, wrong_byte(self.done + place as u64, "a file"));
            }
            self.done += count as u64;
            return (count, Heard::Part);
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
        if self.line.len() > self.longest {
            return (count, Heard::Wrong("a line that has no end".to_owned()));
        }
        if end.is_none() && count < left {
            if let Some(listing) = &mut self.listing {
                listing.left = listing.left.saturating_sub(count as u64);
            }
            return (count, Heard::Part);
        }
        let line = std::mem::take(&mut self.line);
        let heard = match &self.listing {
            Some(_) => self.entry(line, count as u64),
            None => self.reply(&line),
        };
        (count, heard)
    }

    fn reply(&mut self, line: &[u8]) -> Heard {
        let text = String::from_utf8_lossy(line).into_owned();
        let fits = match self.steps.front() {
            Some(Step::Line(wanted)) => *wanted == text,
            Some(Step::Beginning(wanted)) => text.starts_with(wanted),
            Some(Step::Listing(_)) => {
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
                    return Heard::Part;
                }
                false
            }
            _ => false,
        };
        if fits {
            self.steps.pop_front();
            Heard::Part
        } else if text.starts_with("ERROR") {
            Heard::Refused(format!("the server answered: {}", OneLine(&text)))
        } else {
            Heard::Wrong(format!(
                "the server answered `{}`, and {:?} was expected",
                OneLine(&text),
                self.steps.front()
            ))
        }
    }

    fn entry(&mut self, entry: Vec<u8>, count: u64) -> Heard {
        let (Some(listing), Some(Step::Listing(wanted))) = (&mut self.listing, self.steps.front())
        else {
            unreachable!("an entry comes in a listing")
        };
        if entry <= listing.last {
            return Heard::Wrong("a listing is not sorted".to_owned());
        }
        listing.found |= entry == wanted.as_bytes();
        listing.left = listing.left.saturating_sub(count);
        listing.last = entry;
        if listing.left > 0 {
            return Heard::Part;
        }
        if !listing.found {
            return Heard::Wrong(format!("{wanted} is missing in a listing"));
        }
        self.listing = None;
        self.steps.pop_front();
        Heard::Part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::outbox::{Front, Outbox};

    fn script() -> Script {
        Script::new(Rc::new(Pattern::new(101).expect("memory")), 100)
    }

    fn bytes(script: &Script, at: u64, length: u64) -> Vec<u8> {
        let mut out = Outbox::default();
        script.pattern.write(at, length, &mut out);
        let Some(Front::Bytes(bytes)) = out.front() else {
            panic!("it has bytes")
        };
        bytes.to_vec()
    }

    /// Everything that is heard when the bytes come in pieces of this length.
    fn hear(script: &mut Script, bytes: &[u8], step: usize) -> Vec<Heard> {
        let mut all = Vec::new();
        for piece in bytes.chunks(step) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (taken, heard) = script.hear(rest);
                rest = &rest[taken..];
                if heard != Heard::Part {
                    all.push(heard);
                }
            }
        }
        all
    }

    #[test]
    fn two_answers_are_told_apart_at_any_cut() {
        for step in 1..40 {
            let mut script = script();
            let (at, length) = (90, 30);
            script.expect([Step::Line("OK 30".to_owned()), Step::Body { at, length }]);
            script.expect([Step::Listing("b".to_owned())]);
            script.expect([Step::Beginning("OK 5".to_owned())]);
            let body = bytes(&script, at, length);
            let all = [b"OK 30\n", &body[..], b"OK 6\na\nb\ncc", b"OK 5 and more\n"].concat();
            assert_eq!(
                hear(&mut script, &all, step),
                vec![Heard::Answer; 3],
                "{step}"
            );
        }
    }

    #[test]
    fn a_no_a_wrong_line_and_a_listing_without_its_file_are_told() {
        let mut refused = script();
        refused.expect([Step::Line("OK".to_owned())]);
        let heard = hear(&mut refused, b"ERROR \x1b[2Jno\n", 99);
        assert_eq!(
            heard,
            [Heard::Refused(
                "the server answered: ERROR \\u{1b}[2Jno".to_owned()
            )]
        );
        for (step, answer) in [
            (Step::Line("OK".to_owned()), "KO\n"),
            (Step::Listing("c".to_owned()), "OK 4\na\nb\n"),
            (Step::Listing("a".to_owned()), "OK 4\nb\na\n"),
        ] {
            let mut wrong = script();
            wrong.expect([step]);
            let heard = hear(&mut wrong, answer.as_bytes(), 99);
            assert!(
                matches!(heard[..], [Heard::Wrong(_)]),
                "{answer:?}: {heard:?}"
            );
        }
    }
}
