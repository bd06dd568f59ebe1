//! Splits a stream into units and finds out which dialect the peer speaks.
//! Does not know what a unit means: whether a bare one is a whole command is the caller's word.
//!
//! ```text
//!                  LF                              LF
//!   Undecided ───────────▶ Line ◀──────────────────────────── Bare ◀─┐
//!       │                  (for good)        (late LF: Healed)  ▲    │ settle window
//!       └───────────── settle window or end of stream ──────────┘────┘ or end of stream
//!                      behind a whole command
//! ```

use super::pause::{Delay, Pause};
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
    limit: usize,
}

impl Splitter {
    /// A connection of which nothing is known, with at most `limit` bytes a unit.
    pub fn new(limit: usize) -> Splitter {
        Splitter {
            dialect: Dialect::Undecided,
            owes_newline: false,
            awaited: None,
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

    /// The whole unit was understood before its end: the peer is bare unless LF comes next.
    pub fn take_bare(&mut self) {
        self.dialect = Dialect::Bare;
        self.owes_newline = true;
        self.awaited = None;
    }

    /// LF stood where only a line peer has one.
    pub fn take_line(&mut self) {
        self.dialect = Dialect::Line;
        self.forget_newline();
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
            [b'\r'] if pause == Pause::None => {
                self.awaited = Some(Delay::Settle);
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

    /// Looks for one unit. `judge` says whether a unit without LF is a valid command.
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
        // Two more than the limit: room for CR LF behind a unit of exactly the limit.
        let window = &input[..input.len().min(self.limit + 2)];
        match window.iter().position(|&byte| byte == b'\n') {
            Some(end) => self.line(&input[..end]),
            // One byte over the limit can only be the CR of a line of exactly the limit.
            None if input.get(self.limit).is_some_and(|&byte| byte != b'\r')
                || input.len() > self.limit + 1 =>
            {
                Split::Broken(Fault::TooLong(self.limit))
            }
            None => self.unended(input, pause, judge),
        }
    }

    fn line<'a>(&mut self, raw: &'a [u8]) -> Split<'a> {
        let text = raw.strip_suffix(b"\r").unwrap_or(raw);
        if text.len() > self.limit {
            return Split::Broken(Fault::TooLong(self.limit));
        }
        self.take_line();
        Split::Unit {
            text,
            taken: raw.len() + 1,
        }
    }

    fn unended<'a>(
        &mut self,
        input: &'a [u8],
        pause: Pause,
        judge: impl Fn(&[u8]) -> Unended,
    ) -> Split<'a> {
        // A line peer that dies in the middle of `rm notes.bak` must not have `rm notes` done.
        let found = if self.dialect == Dialect::Line || input.len() > self.limit {
            Unended::Part
        } else {
            judge(input)
        };
        match pause {
            _ if input.is_empty() => {
                self.awaited = None;
                if pause == Pause::Finished {
                    Split::End
                } else {
                    Split::More
                }
            }
            Pause::Finished | Pause::Quiet(Delay::Settle) if found != Unended::Part => {
                if found == Unended::Whole {
                    self.take_bare();
                }
                Split::Unit {
                    text: input,
                    taken: input.len(),
                }
            }
            Pause::Finished => Split::Broken(Fault::Cut),
            _ if self.dialect == Dialect::Line => Split::More,
            Pause::Quiet(Delay::Settle) => self.wait_for(Delay::Word),
            Pause::Quiet(Delay::Word) => Split::Broken(Fault::Silent),
            Pause::None | Pause::Quiet(_) => self.wait_for(Delay::Settle),
        }
    }

    fn wait_for<'a>(&mut self, delay: Delay) -> Split<'a> {
        self.awaited = Some(delay);
        Split::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLED: Pause = Pause::Quiet(Delay::Settle);

    fn is_ls(unit: &[u8]) -> Unended {
        match unit {
            b"ls" => Unended::Whole,
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
        let late = splitter.split(b"l", Pause::Quiet(Delay::Word), is_ls);
        assert_eq!(late, Split::Broken(Fault::Silent));
    }

    #[test]
    fn what_no_byte_can_make_a_command_is_shown_after_the_settle_window() {
        let unit = Split::Unit {
            text: b"LS",
            taken: 2,
        };
        for end in [SETTLED, Pause::Finished] {
            let mut splitter = Splitter::new(16);
            assert_eq!(splitter.split(b"LS", Pause::None, is_ls), Split::More);
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
    fn a_unit_of_the_limit_passes_and_one_byte_more_does_not() {
        for line_end in ["\n", "\r\n"] {
            let mut splitter = Splitter::new(16);
            let fits = format!("{}{line_end}", "x".repeat(16));
            assert!(matches!(
                splitter.split(fits.as_bytes(), Pause::None, is_ls),
                Split::Unit { .. }
            ));
            let over = format!("{}{line_end}", "x".repeat(17));
            let found = splitter.split(over.as_bytes(), Pause::None, is_ls);
            assert_eq!(found, Split::Broken(Fault::TooLong(16)));
        }
        let over = [b'x'; 17];
        let found = Splitter::new(16).split(&over, Pause::None, is_ls);
        assert_eq!(found, Split::Broken(Fault::TooLong(16)));
        let with_cr = [&[b'x'; 16][..], b"\r"].concat();
        let found = Splitter::new(16).split(&with_cr, Pause::None, is_ls);
        assert_eq!(found, Split::More);
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
