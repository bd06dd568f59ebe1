//! Splits a stream into units and detects the dialect of the peer.
//!
//! A textbook client sends a command with one `send()`. A unit that grows after a pause is being
//! typed, or written in parts: it may be the beginning of another command, so only LF ends it. A
//! command that changes nothing is also ended by a long silence or by end of stream.
//!
//! ```text
//!                  LF                              LF
//!   Undecided ───────────▶ Line ◀──────────────────────────── Bare ◀─┐
//!       │                  (for good)        (late LF: Healed)  ▲    │ settle window
//!       └───────────── settle window or end of stream ──────────┘────┘ or end of stream
//!                      behind a whole command
//! ```

use super::arrival::Arrival;
use super::follows::{Follows, Timer};
use super::line::{FirstLine, first_line};
use super::text;
use super::unended::Unended;
use std::fmt;

/// How the peer marks the end of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// No unit is complete yet.
    Undecided,
    /// Every unit ends in LF.
    Line,
    /// A unit is the data of one `send()`; silence ends it.
    Bare,
}

impl Dialect {
    /// The line end of a reply.
    pub fn line_end(self) -> &'static str {
        match self {
            Dialect::Bare => "",
            Dialect::Undecided | Dialect::Line => "\n",
        }
    }
}

/// What the framer found at the beginning of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// No complete unit yet.
    More,
    /// A complete unit.
    Unit {
        /// The unit without its line end.
        text: &'a [u8],
        /// Its length and that of its line end.
        taken: usize,
    },
    /// The late LF of a unit that was taken as bare and answered without LF.
    Healed {
        /// The length of the line end.
        taken: usize,
    },
    /// The input is not a unit.
    Broken(Fault),
    /// End of stream, with no bytes before it.
    End,
}

/// What the bytes after a bare reply say about the peer.
#[derive(Debug, PartialEq, Eq)]
pub enum LateNewline {
    /// The peer is bare.
    Bare,
    /// A CR has come: the next byte decides.
    Undecided,
    /// The peer sent a line; these bytes are its line end.
    Line {
        /// The length of the line end.
        taken: usize,
    },
}

/// Why the input is not a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No line end within this limit, in bytes.
    TooLong(usize),
    /// Not a whole command, followed by silence.
    Silent,
    /// Not a whole command, followed by end of stream.
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
pub struct Framer {
    dialect: Dialect,
    /// A bare reply was sent: if LF is the next byte, the peer sent a line.
    owes_newline: bool,
    awaited: Option<Timer>,
    arrival: Arrival,
    /// How many bytes of the current unit have arrived.
    came: u32,
    limit: usize,
}

impl Framer {
    /// A framer for a new connection, with at most `limit` bytes per unit.
    pub fn new(limit: usize) -> Framer {
        Framer {
            dialect: Dialect::Undecided,
            owes_newline: false,
            awaited: None,
            arrival: Arrival::Whole,
            came: 0,
            limit,
        }
    }

    /// The dialect, if it is known by now.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The silence that would complete the current unit, or refuse it.
    pub fn awaited(&self) -> Option<Timer> {
        self.awaited
    }

    /// Whether the peer paused in the middle of this unit or an earlier one.
    pub fn is_typed(&self) -> bool {
        self.arrival == Arrival::Typed
    }

    /// The current unit is complete: the peer is bare unless LF comes next.
    fn take_bare(&mut self) {
        self.dialect = Dialect::Bare;
        self.next_unit();
        self.owes_newline = true;
    }

    /// LF came where only a line peer sends it.
    pub fn take_line(&mut self) {
        self.dialect = Dialect::Line;
        self.next_unit();
        self.owes_newline = false;
    }

    /// The next byte begins another unit.
    pub fn next_unit(&mut self) {
        self.arrival = self.arrival.renewed();
        self.came = 0;
        self.awaited = None;
    }

    /// Records the arrival of a unit without LF; `input` is all of it so far.
    pub fn watch(&mut self, input: &[u8], follows: Follows) {
        let came = u32::try_from(input.len()).unwrap_or(u32::MAX);
        if came > self.came {
            if self.came > 0 {
                // Every other wait begins once the bytes of one `send()` would have arrived.
                let paused = self.awaited != Some(Timer::Interbyte);
                self.arrival = self.arrival.grown(paused);
            }
            self.came = came;
            self.awaited = Some(Timer::Interbyte);
        } else if follows == Follows::Silence(Timer::Interbyte) {
            self.awaited = Some(Timer::Settle);
        }
    }

    /// The bare unit gets no reply, so no LF has to follow later.
    pub fn forget_newline(&mut self) {
        self.owes_newline = false;
        self.awaited = None;
    }

    /// Looks for the LF that the last bare reply lacks. It can only be the next byte.
    pub fn heal(&mut self, input: &[u8], follows: Follows) -> LateNewline {
        let taken = match input {
            _ if !self.owes_newline => return LateNewline::Bare,
            [] => return LateNewline::Bare,
            // A typing peer may send the LF as a key of its own.
            [b'\r'] if follows == Follows::More => {
                self.awaited = Some(Timer::PartialCommand);
                return LateNewline::Undecided;
            }
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => {
                self.forget_newline();
                return LateNewline::Bare;
            }
        };
        self.take_line();
        LateNewline::Line { taken }
    }

    /// Looks for one unit. `judge` classifies a unit without LF.
    pub fn split<'a>(
        &mut self,
        input: &'a [u8],
        follows: Follows,
        judge: impl Fn(&[u8]) -> Unended,
    ) -> Frame<'a> {
        match self.heal(input, follows) {
            LateNewline::Undecided => return Frame::More,
            LateNewline::Line { taken } => return Frame::Healed { taken },
            LateNewline::Bare => {}
        }
        match first_line(input, self.limit) {
            FirstLine::Whole { text, taken } => {
                self.take_line();
                Frame::Unit { text, taken }
            }
            FirstLine::TooLong => Frame::Broken(Fault::TooLong(self.limit)),
            FirstLine::Open => self.unended(input, follows, judge),
        }
    }

    fn unended<'a>(
        &mut self,
        input: &'a [u8],
        follows: Follows,
        judge: impl Fn(&[u8]) -> Unended,
    ) -> Frame<'a> {
        if input.is_empty() {
            self.awaited = None;
            return match follows {
                Follows::Eof => Frame::End,
                _ => Frame::More,
            };
        }
        if self.dialect == Dialect::Line {
            // A connection that breaks within `rm notes.bak` must not execute `rm notes`.
            return match follows {
                Follows::Eof => Frame::Broken(Fault::Cut),
                _ => Frame::More,
            };
        }
        self.watch(input, follows);
        let unit = match input.len() <= self.limit {
            true => judge(input),
            false => Unended::Part,
        };
        // The rest of a cut character would have arrived by now: the text is in another encoding.
        let is_late = matches!(
            follows,
            Follows::Eof | Follows::Silence(Timer::PartialCommand)
        );
        let unit = match is_late && text::complete_prefix(input) < input.len() {
            true => Unended::Hopeless,
            false => unit,
        };
        match (follows, unit, self.arrival) {
            (_, Unended::Word, _)
            | (Follows::Eof | Follows::Silence(Timer::PartialCommand), Unended::Question, _)
            | (Follows::Eof, Unended::Change, Arrival::Whole)
            | (
                Follows::Silence(Timer::Settle),
                Unended::Question | Unended::Change,
                Arrival::Whole | Arrival::Pieces,
            ) => {
                self.take_bare();
                Frame::Unit {
                    text: input,
                    taken: input.len(),
                }
            }
            // Not earlier: the rest of a wrong word that is being typed belongs to the refusal.
            (Follows::Eof | Follows::Silence(Timer::PartialCommand), Unended::Hopeless, _) => {
                Frame::Unit {
                    text: input,
                    taken: input.len(),
                }
            }
            (Follows::Eof, ..) => Frame::Broken(Fault::Cut),
            (Follows::Silence(Timer::Settle), ..) => self.wait_for(Some(Timer::PartialCommand)),
            (Follows::Silence(Timer::PartialCommand), Unended::Part, _) => {
                Frame::Broken(Fault::Silent)
            }
            (Follows::Silence(Timer::PartialCommand), ..) => self.wait_for(None),
            _ => Frame::More,
        }
    }

    fn wait_for<'a>(&mut self, delay: Option<Timer>) -> Frame<'a> {
        self.awaited = delay;
        Frame::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSED: Follows = Follows::Silence(Timer::Interbyte);
    const SETTLED: Follows = Follows::Silence(Timer::Settle);
    const SILENT: Follows = Follows::Silence(Timer::PartialCommand);

    fn is_ls(unit: &[u8]) -> Unended {
        match unit {
            b"ls" => Unended::Question,
            _ if b"ls".starts_with(unit) => Unended::Part,
            _ => Unended::Hopeless,
        }
    }

    #[test]
    fn lf_makes_a_line_and_cr_before_it_is_dropped() {
        let mut framer = Framer::new(16);
        let found = framer.split(b"ls\r\nrest", Follows::More, is_ls);
        assert_eq!(
            found,
            Frame::Unit {
                text: b"ls",
                taken: 4
            }
        );
        assert_eq!(framer.dialect(), Dialect::Line);
    }

    #[test]
    fn silence_completes_a_bare_command() {
        let mut framer = Framer::new(16);
        assert_eq!(framer.split(b"ls", Follows::More, is_ls), Frame::More);
        assert_eq!(framer.awaited(), Some(Timer::Interbyte));
        assert_eq!(framer.split(b"ls", PAUSED, is_ls), Frame::More);
        assert_eq!(framer.awaited(), Some(Timer::Settle));
        assert_eq!(
            framer.split(b"ls", SETTLED, is_ls),
            Frame::Unit {
                text: b"ls",
                taken: 2
            }
        );
        assert_eq!(framer.dialect(), Dialect::Bare);
    }

    #[test]
    fn half_a_command_is_refused_after_a_long_silence() {
        let mut framer = Framer::new(16);
        assert_eq!(framer.split(b"l", SETTLED, is_ls), Frame::More);
        assert_eq!(framer.awaited(), Some(Timer::PartialCommand));
        let late = framer.split(b"l", SILENT, is_ls);
        assert_eq!(late, Frame::Broken(Fault::Silent));
    }

    #[test]
    fn bytes_that_cannot_become_a_command_are_refused_after_a_long_silence() {
        let unit = Frame::Unit {
            text: b"LS",
            taken: 2,
        };
        for end in [SILENT, Follows::Eof] {
            let mut framer = Framer::new(16);
            assert_eq!(framer.split(b"LS", Follows::More, is_ls), Frame::More);
            assert_eq!(framer.split(b"LS", SETTLED, is_ls), Frame::More);
            assert_eq!(framer.split(b"LS", end, is_ls), unit);
            assert_eq!(framer.dialect(), Dialect::Undecided);
        }
    }

    #[test]
    fn a_late_newline_heals_a_bare_unit() {
        for (line_end, length) in [(&b"\n"[..], 1), (b"\r\n", 2)] {
            let mut framer = Framer::new(16);
            framer.split(b"ls", SETTLED, is_ls);
            assert_eq!(
                framer.split(line_end, Follows::More, is_ls),
                Frame::Healed { taken: length }
            );
            assert_eq!(framer.dialect(), Dialect::Line);
        }
    }

    #[test]
    fn a_lone_cr_waits_for_its_lf() {
        let mut framer = Framer::new(16);
        framer.split(b"ls", SETTLED, is_ls);
        assert_eq!(framer.split(b"\r", Follows::More, is_ls), Frame::More);
        assert_eq!(
            framer.split(b"\r\n", Follows::More, is_ls),
            Frame::Healed { taken: 2 }
        );
    }

    #[test]
    fn a_unit_longer_than_the_limit_is_a_fault() {
        for unit in ["xxxxx", "xxxxx\n"] {
            let found = Framer::new(4).split(unit.as_bytes(), Follows::More, is_ls);
            assert_eq!(found, Frame::Broken(Fault::TooLong(4)), "{unit:?}");
        }
    }

    #[test]
    fn a_line_peer_stays_line_however_slow() {
        let mut framer = Framer::new(16);
        framer.split(b"ls\n", Follows::More, is_ls);
        assert_eq!(framer.split(b"ls", SETTLED, is_ls), Frame::More);
        assert_eq!(framer.awaited(), None);
        assert_eq!(
            framer.split(b"ls", Follows::Eof, is_ls),
            Frame::Broken(Fault::Cut)
        );
    }
}
