//! Splits a stream into units and finds out which dialect the peer speaks.
//! Does not know what a unit means: whether a bare one is a whole command is the caller's word.
//!
//! A textbook client sends a command with one `send()`. A unit that grows after a pause is being
//! typed, or written in parts: what has come by then may be the beginning of another command, so
//! only LF ends it. If it changes nothing, a long silence or the end of the stream may, too.
//!
//! ```text
//!                  LF                              LF
//!   Undecided ───────────▶ Line ◀──────────────────────────── Bare ◀─┐
//!       │                  (for good)        (late LF: Healed)  ▲    │ settle window
//!       └───────────── settle window or end of stream ──────────┘────┘ or end of stream
//!                      behind a whole command
//! ```

use super::arrival::Arrival;
use super::line::{FirstLine, first_line};
use super::pause::{Delay, Pause};
use super::text;
use super::unended::Unended;
use std::fmt;

/// How the peer marks the end of what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// No unit is complete yet.
    Undecided,
    /// Every unit ends in LF.
    Line,
    /// A unit is what one `send()` brought; silence ends it.
    Bare,
}

impl Dialect {
    /// What ends a reply.
    pub fn line_end(self) -> &'static str {
        match self {
            Dialect::Bare => "",
            Dialect::Undecided | Dialect::Line => "\n",
        }
    }
}

/// What the splitter found at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Split<'a> {
    /// Nothing complete: come back with more.
    More,
    /// A unit without its line end, and how many bytes it took with it.
    Unit {
        /// The unit.
        text: &'a [u8],
        /// Its length and that of its line end.
        taken: usize,
    },
    /// The LF of a unit that was taken for bare and answered without LF.
    Healed {
        /// The length of the line end.
        taken: usize,
    },
    /// The peer broke the rules.
    Broken(Fault),
    /// The end of the stream, with nothing before it.
    End,
}

/// What the bytes behind a bare reply say about it.
#[derive(Debug, PartialEq, Eq)]
pub enum Heal {
    /// It was right to answer without LF.
    Bare,
    /// A CR has come: the next byte decides.
    Undecided,
    /// The peer meant a line, of which these bytes are the end.
    Line {
        /// The length of the line end.
        taken: usize,
    },
}

/// How a stream can fail to be units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Longer than the limit carried here, without its end.
    TooLong(usize),
    /// No whole command, and silence behind it.
    Silent,
    /// No whole command, and the end of the stream behind it.
    Cut,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TooLong(limit) => write!(out, "more than {limit} bytes without a line end"),
            Fault::Silent => write!(out, "the command is not finished; end it with a line feed"),
            Fault::Cut => write!(out, "the connection ended in the middle; nothing was done"),
        }
    }
}

/// The dialect of one connection and what it waits for.
#[derive(Debug)]
pub struct Splitter {
    dialect: Dialect,
    /// A bare reply has gone out: if LF is the very next byte, the peer meant a line.
    owes_newline: bool,
    awaited: Option<Delay>,
    arrival: Arrival,
    /// How much of the unit in hand has come.
    came: u32,
    limit: usize,
}

impl Splitter {
    /// A connection of which nothing is known, with at most `limit` bytes a unit.
    pub fn new(limit: usize) -> Splitter {
        Splitter {
            dialect: Dialect::Undecided,
            owes_newline: false,
            awaited: None,
            arrival: Arrival::Whole,
            came: 0,
            limit,
        }
    }

    /// The dialect as far as it is known.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The silence that would complete or condemn what has come so far.
    pub fn awaited(&self) -> Option<Delay> {
        self.awaited
    }

    /// Whether the peer has paused in the middle of a unit, this one or one before.
    pub fn is_typed(&self) -> bool {
        self.arrival == Arrival::Typed
    }

    /// The unit in hand is complete: the peer is bare unless LF comes next.
    fn take_bare(&mut self) {
        self.dialect = Dialect::Bare;
        self.next_unit();
        self.owes_newline = true;
    }

    /// LF stood where only a line peer has one.
    pub fn take_line(&mut self) {
        self.dialect = Dialect::Line;
        self.next_unit();
        self.owes_newline = false;
    }

    /// What comes from here on is another unit.
    pub fn next_unit(&mut self) {
        self.arrival = self.arrival.renewed();
        self.came = 0;
        self.awaited = None;
    }

    /// Notes how a unit without line end comes: `input` is all of it so far.
    pub fn watch(&mut self, input: &[u8], pause: Pause) {
        let came = u32::try_from(input.len()).unwrap_or(u32::MAX);
        if came > self.came {
            if self.came > 0 {
                // Whatever else is awaited is awaited once one `send()` would have arrived.
                let paused = self.awaited != Some(Delay::Interbyte);
                self.arrival = self.arrival.grown(paused);
            }
            self.came = came;
            self.awaited = Some(Delay::Interbyte);
        } else if pause == Pause::Quiet(Delay::Interbyte) {
            self.awaited = Some(Delay::Settle);
        }
    }

    /// The bare unit has no reply, so there is no LF to send after it.
    pub fn forget_newline(&mut self) {
        self.owes_newline = false;
        self.awaited = None;
    }

    /// Looks for the LF that the last bare reply lacks. It can only be the very next byte.
    pub fn heal(&mut self, input: &[u8], pause: Pause) -> Heal {
        let taken = match input {
            _ if !self.owes_newline => return Heal::Bare,
            [] => return Heal::Bare,
            // Its LF may be a key of its own.
            [b'\r'] if pause == Pause::None => {
                self.awaited = Some(Delay::Word);
                return Heal::Undecided;
            }
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => {
                self.forget_newline();
                return Heal::Bare;
            }
        };
        self.take_line();
        Heal::Line { taken }
    }

    /// Looks for one unit. `judge` says what one without LF is.
    pub fn split<'a>(
        &mut self,
        input: &'a [u8],
        pause: Pause,
        judge: impl Fn(&[u8]) -> Unended,
    ) -> Split<'a> {
        match self.heal(input, pause) {
            Heal::Undecided => return Split::More,
            Heal::Line { taken } => return Split::Healed { taken },
            Heal::Bare => {}
        }
        match first_line(input, self.limit) {
            FirstLine::Whole { text, taken } => {
                self.take_line();
                Split::Unit { text, taken }
            }
            FirstLine::TooLong => Split::Broken(Fault::TooLong(self.limit)),
            FirstLine::Open => self.unended(input, pause, judge),
        }
    }

    fn unended<'a>(
        &mut self,
        input: &'a [u8],
        pause: Pause,
        judge: impl Fn(&[u8]) -> Unended,
    ) -> Split<'a> {
        if input.is_empty() {
            self.awaited = None;
            return match pause {
                Pause::Finished => Split::End,
                _ => Split::More,
            };
        }
        if self.dialect == Dialect::Line {
            // A line peer that dies in the middle of `rm notes.bak` must not have `rm notes` done.
            return match pause {
                Pause::Finished => Split::Broken(Fault::Cut),
                _ => Split::More,
            };
        }
        self.watch(input, pause);
        let unit = match input.len() <= self.limit {
            true => judge(input),
            false => Unended::Part,
        };
        // The rest of a character that is cut is late by now: this is another encoding.
        let is_late = matches!(pause, Pause::Finished | Pause::Quiet(Delay::Word));
        let unit = match is_late && text::complete_prefix(input) < input.len() {
            true => Unended::Hopeless,
            false => unit,
        };
        match (pause, unit, self.arrival) {
            (_, Unended::Word, _)
            | (Pause::Finished | Pause::Quiet(Delay::Word), Unended::Question, _)
            | (Pause::Finished, Unended::Change, Arrival::Whole)
            | (
                Pause::Quiet(Delay::Settle),
                Unended::Question | Unended::Change,
                Arrival::Whole | Arrival::Pieces,
            ) => {
                self.take_bare();
                Split::Unit {
                    text: input,
                    taken: input.len(),
                }
            }
            // No sooner: the rest of a wrong word that is typed belongs to what is refused.
            (Pause::Finished | Pause::Quiet(Delay::Word), Unended::Hopeless, _) => Split::Unit {
                text: input,
                taken: input.len(),
            },
            (Pause::Finished, ..) => Split::Broken(Fault::Cut),
            (Pause::Quiet(Delay::Settle), ..) => self.wait_for(Some(Delay::Word)),
            (Pause::Quiet(Delay::Word), Unended::Part, _) => Split::Broken(Fault::Silent),
            (Pause::Quiet(Delay::Word), ..) => self.wait_for(None),
            _ => Split::More,
        }
    }

    fn wait_for<'a>(&mut self, delay: Option<Delay>) -> Split<'a> {
        self.awaited = delay;
        Split::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSED: Pause = Pause::Quiet(Delay::Interbyte);
    const SETTLED: Pause = Pause::Quiet(Delay::Settle);
    const SILENT: Pause = Pause::Quiet(Delay::Word);

    fn is_ls(unit: &[u8]) -> Unended {
        match unit {
            b"ls" => Unended::Question,
            _ if b"ls".starts_with(unit) => Unended::Part,
            _ => Unended::Hopeless,
        }
    }

    #[test]
    fn lf_makes_a_line_and_cr_before_it_is_dropped() {
        let mut splitter = Splitter::new(16);
        let found = splitter.split(b"ls\r\nrest", Pause::None, is_ls);
        assert_eq!(
            found,
            Split::Unit {
                text: b"ls",
                taken: 4
            }
        );
        assert_eq!(splitter.dialect(), Dialect::Line);
    }

    #[test]
    fn silence_makes_a_bare_unit_of_a_whole_command() {
        let mut splitter = Splitter::new(16);
        assert_eq!(splitter.split(b"ls", Pause::None, is_ls), Split::More);
        assert_eq!(splitter.awaited(), Some(Delay::Interbyte));
        assert_eq!(splitter.split(b"ls", PAUSED, is_ls), Split::More);
        assert_eq!(splitter.awaited(), Some(Delay::Settle));
        assert_eq!(
            splitter.split(b"ls", SETTLED, is_ls),
            Split::Unit {
                text: b"ls",
                taken: 2
            }
        );
        assert_eq!(splitter.dialect(), Dialect::Bare);
    }

    #[test]
    fn silence_behind_half_a_command_waits_and_is_then_refused() {
        let mut splitter = Splitter::new(16);
        assert_eq!(splitter.split(b"l", SETTLED, is_ls), Split::More);
        assert_eq!(splitter.awaited(), Some(Delay::Word));
        let late = splitter.split(b"l", SILENT, is_ls);
        assert_eq!(late, Split::Broken(Fault::Silent));
    }

    #[test]
    fn what_no_byte_can_make_a_command_is_shown_after_a_long_silence() {
        let unit = Split::Unit {
            text: b"LS",
            taken: 2,
        };
        for end in [SILENT, Pause::Finished] {
            let mut splitter = Splitter::new(16);
            assert_eq!(splitter.split(b"LS", Pause::None, is_ls), Split::More);
            assert_eq!(splitter.split(b"LS", SETTLED, is_ls), Split::More);
            assert_eq!(splitter.split(b"LS", end, is_ls), unit);
            assert_eq!(splitter.dialect(), Dialect::Undecided);
        }
    }

    #[test]
    fn a_late_newline_heals_a_bare_unit() {
        for (line_end, length) in [(&b"\n"[..], 1), (b"\r\n", 2)] {
            let mut splitter = Splitter::new(16);
            splitter.split(b"ls", SETTLED, is_ls);
            assert_eq!(
                splitter.split(line_end, Pause::None, is_ls),
                Split::Healed { taken: length }
            );
            assert_eq!(splitter.dialect(), Dialect::Line);
        }
    }

    #[test]
    fn a_lone_cr_waits_for_its_lf() {
        let mut splitter = Splitter::new(16);
        splitter.split(b"ls", SETTLED, is_ls);
        assert_eq!(splitter.split(b"\r", Pause::None, is_ls), Split::More);
        assert_eq!(
            splitter.split(b"\r\n", Pause::None, is_ls),
            Split::Healed { taken: 2 }
        );
    }

    #[test]
    fn a_unit_longer_than_the_limit_is_none() {
        for unit in ["xxxxx", "xxxxx\n"] {
            let found = Splitter::new(4).split(unit.as_bytes(), Pause::None, is_ls);
            assert_eq!(found, Split::Broken(Fault::TooLong(4)), "{unit:?}");
        }
    }

    #[test]
    fn a_line_peer_stays_one_however_slow() {
        let mut splitter = Splitter::new(16);
        splitter.split(b"ls\n", Pause::None, is_ls);
        assert_eq!(splitter.split(b"ls", SETTLED, is_ls), Split::More);
        assert_eq!(splitter.awaited(), None);
        assert_eq!(
            splitter.split(b"ls", Pause::Finished, is_ls),
            Split::Broken(Fault::Cut)
        );
    }
}
