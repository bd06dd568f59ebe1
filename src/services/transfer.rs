//! Speaks the transfer service: SEND and RECEIVE, in both dialects.
//! Touches no file itself: the store does, through its trait.
//!
//! ```text
//!            SEND                name, header              all bytes
//!   Command ──────▶ Naming ─────────────────▶ Receiving ───────────▶ Command
//!      │              │ bare: name, digits                            ▲
//!      │              └──────▶ Guessing ──end of stream──▶ closed     │
//!      │                            └─▶ Aligning ────────▶ closed     │
//!      │ RECEIVE               name, line: header and body            │
//!      └──────▶ Asking ───────────────────────────────────────────────┘
//!                  └─ bare: header ─▶ Gap ── body ──▶ closed
//! ```

use super::alignment::Alignment;
use super::limits::ServiceLimits;
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{BodyEnd, Cx, Intake, Protocol, Receive};
use crate::session::world::{Blob, StoreError, Upload};
use crate::wire::SEPARATOR;
use crate::wire::header::{self, BareHeader};
use crate::wire::names;
use crate::wire::pause::{Delay, Pause};
use crate::wire::puzzle::Digits;
use crate::wire::unit::{Dialect, Fault, Heal, Split, Splitter};
use std::fmt::Display;
use std::rc::Rc;

const SEND: &[u8] = b"SEND";
const RECEIVE: &[u8] = b"RECEIVE";

/// The transfer service.
pub struct Transfer {
    splitter: Splitter,
    limits: Rc<ServiceLimits>,
    state: State,
}

enum State {
    Command,
    /// SEND was said. `boundary` is where the peer paused, or where its first line ended.
    Naming {
        boundary: Option<usize>,
    },
    /// The name has come on a line of its own; the header follows.
    Header,
    /// A body of known size is on its way in.
    Receiving {
        upload: Box<dyn Upload>,
        size: u64,
    },
    /// A body whose size runs into its data: taken as if all digits were the size.
    Guessing {
        upload: Box<dyn Upload>,
        digits: Digits,
        most: u64,
    },
    /// Some of the digits were data: the stored bytes move up to make room for them.
    Aligning(Alignment),
    /// RECEIVE was said.
    Asking,
    /// A bare header has gone out; its body follows after the gap.
    Gap {
        blob: Rc<dyn Blob>,
        length: u64,
    },
}

impl Transfer {
    /// A new conversation.
    pub fn new(limits: Rc<ServiceLimits>) -> Transfer {
        Transfer {
            splitter: Splitter::new(limits.wire.unit),
            limits,
            state: State::Command,
        }
    }

    fn is_line(&self) -> bool {
        self.splitter.dialect() == Dialect::Line
    }

    fn reply(&self, text: impl Display, cx: &mut Cx<'_>) {
        let line_end = if self.splitter.dialect() == Dialect::Bare {
            ""
        } else {
            "\n"
        };
        cx.out.bytes(format!("{text}{line_end}").as_bytes());
    }

    /// The rest of the stream cannot be told from a body: say why, and close.
    fn refuse(&mut self, why: impl Display, cx: &mut Cx<'_>) -> Intake {
        self.state = State::Command;
        self.reply(format_args!("ERROR: {why}"), cx);
        Intake::Close(CloseReason::Refused)
    }

    fn command(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        // The two words need no line end and no silence: a textbook client waits for the OK.
        if !self.is_line() && (input == SEND || input == RECEIVE) {
            self.splitter.take_bare();
            return (input.len(), self.begin(input, cx));
        }
        match self.splitter.split(input, pause, |_| false) {
            Split::More => (0, Intake::Bytes),
            Split::End => (0, Intake::Close(CloseReason::PeerFinished)),
            Split::Healed { taken } => {
                cx.out.bytes(b"\n");
                (taken, Intake::Bytes)
            }
            // Somebody pressed Enter; nothing was asked.
            Split::Unit { text: b"", taken } => (taken, Intake::Bytes),
            Split::Unit { text, taken } => (taken, self.begin(text, cx)),
            Split::Broken(fault) => (0, self.refuse(fault, cx)),
        }
    }

    fn begin(&mut self, word: &[u8], cx: &mut Cx<'_>) -> Intake {
        self.state = match word {
            SEND => State::Naming { boundary: None },
            RECEIVE => State::Asking,
            _ => return self.refuse("unknown command; use SEND or RECEIVE", cx),
        };
        self.reply("OK", cx);
        Intake::Bytes
    }

    /// Between SEND and the first byte of the body.
    fn naming(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        match self.splitter.heal(input, pause) {
            Heal::Undecided => return (0, Intake::Bytes),
            Heal::Line { taken } => {
                cx.out.bytes(b"\n");
                return (taken, Intake::Bytes);
            }
            Heal::Bare => {}
        }
        let separator = header::separator(input);
        let newline = input.iter().position(|&byte| byte == b'\n');
        if newline.is_some_and(|newline| separator.is_none_or(|separator| newline < separator)) {
            // A line end in front of the separator: textbook clients send none.
            self.splitter.take_line();
        }
        if self.is_line() {
            return self.naming_line(input, pause, cx);
        }
        match separator {
            Some(separator) => self.bare_header(input, separator, pause, cx),
            None if input.len() > self.limits.wire.unit => {
                (0, self.refuse(Fault::TooLong(self.limits.wire.unit), cx))
            }
            None if pause == Pause::Finished => (0, self.refuse(Fault::Cut, cx)),
            None => {
                if let State::Naming {
                    boundary: boundary @ None,
                } = &mut self.state
                    && pause == Pause::Quiet(Delay::Settle)
                {
                    *boundary = Some(input.len());
                }
                (0, Intake::Bytes)
            }
        }
    }

    fn naming_line(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        match self.splitter.split(input, pause, |_| false) {
            Split::More => (0, Intake::Bytes),
            Split::Healed { .. } => unreachable!("line peers are healed before"),
            Split::End => (0, self.refuse(Fault::Cut, cx)),
            Split::Broken(fault) => (0, self.refuse(fault, cx)),
            Split::Unit { taken, .. } if matches!(self.state, State::Naming { .. }) => {
                // The name stands in the header again, and that one counts.
                self.state = State::Header;
                (taken, Intake::Bytes)
            }
            Split::Unit { text, taken } => (taken, self.line_header(text, cx)),
        }
    }

    fn line_header(&mut self, header: &[u8], cx: &mut Cx<'_>) -> Intake {
        let (name, size) = match header::parse_line(header) {
            Ok(parts) => parts,
            Err(fault) => return self.refuse(fault, cx),
        };
        match self.create(name, Some(size), cx) {
            Ok(upload) => {
                let receive = Receive {
                    left: size,
                    at: 0,
                    into: upload.blob(),
                };
                self.state = State::Receiving { upload, size };
                Intake::Body(receive)
            }
            Err(intake) => intake,
        }
    }

    fn create(
        &mut self,
        name: &[u8],
        size: Option<u64>,
        cx: &mut Cx<'_>,
    ) -> Result<Box<dyn Upload>, Intake> {
        let limits = self.limits.clone();
        let name = names::check(name, &limits.wire).map_err(|fault| self.refuse(fault, cx))?;
        let name = names::last_component(name);
        cx.store
            .create(name, size)
            .map_err(|error| self.refuse(error, cx))
    }

    /// The separator has come: the name is known, and the digits behind it as soon as they end.
    fn bare_header(
        &mut self,
        input: &[u8],
        separator: usize,
        pause: Pause,
        cx: &mut Cx<'_>,
    ) -> (usize, Intake) {
        let State::Naming { boundary } = self.state else {
            unreachable!("no SEND was said")
        };
        let (longest, finished) = (self.limits.wire.unit, pause == Pause::Finished);
        let (name, digits, behind) =
            match header::parse_bare(input, separator, boundary, longest, finished) {
                Ok(BareHeader::Open) => return (0, Intake::Bytes),
                Ok(BareHeader::Whole {
                    name,
                    digits,
                    behind,
                }) => (name, digits, behind),
                Err(fault) => return (0, self.refuse(fault, cx)),
            };
        let Some(digits) = digits.at_most(cx.store.largest()) else {
            return (0, self.refuse(StoreError::TooLarge(cx.store.largest()), cx));
        };
        match self.create(name, None, cx) {
            Ok(upload) => {
                // One more than the largest size: the byte too many shows that no size fits.
                let most = digits.largest() + 1;
                let receive = Receive {
                    left: most,
                    at: 0,
                    into: upload.blob(),
                };
                self.state = State::Guessing {
                    upload,
                    digits,
                    most,
                };
                (behind + digits.text().len(), Intake::Body(receive))
            }
            Err(intake) => (0, intake),
        }
    }

    /// The stream has ended, so the puzzle can be solved.
    fn solve(
        &mut self,
        upload: Box<dyn Upload>,
        digits: Digits,
        came: u64,
        cx: &mut Cx<'_>,
    ) -> Intake {
        let text = digits.text();
        match digits.solve(text.len() as u64 + came) {
            None => self.refuse("the size does not fit what came; nothing is stored", cx),
            Some(length) if length == text.len() => self.store_bare(upload, cx),
            Some(length) => {
                self.state = State::Aligning(Alignment::new(upload, &text[length..], came));
                Intake::Work
            }
        }
    }

    fn store_bare(&mut self, upload: Box<dyn Upload>, cx: &mut Cx<'_>) -> Intake {
        match upload.commit() {
            // The textbook client has gone: nobody reads a reply.
            Ok(()) => Intake::Close(CloseReason::PeerFinished),
            Err(error) => self.refuse(error, cx),
        }
    }

    fn asking(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        let wire = &self.limits.wire;
        let whole = |name: &[u8]| names::check(name, wire).is_ok_and(|name| !name.ends_with('/'));
        match self.splitter.split(input, pause, whole) {
            Split::More => (0, Intake::Bytes),
            Split::End => (0, self.refuse(Fault::Cut, cx)),
            Split::Broken(fault) => (0, self.refuse(fault, cx)),
            Split::Healed { taken } => {
                cx.out.bytes(b"\n");
                (taken, Intake::Bytes)
            }
            Split::Unit { text, taken } => (taken, self.answer(text, cx)),
        }
    }

    fn answer(&mut self, name: &[u8], cx: &mut Cx<'_>) -> Intake {
        let limits = self.limits.clone();
        let name = match names::check(name, &limits.wire) {
            Ok(name) => names::last_component(name),
            Err(fault) => return self.refuse(fault, cx),
        };
        match cx.store.open(name) {
            Ok((blob, length)) => {
                self.reply(format_args!("{name}{SEPARATOR}{length}"), cx);
                if !self.is_line() {
                    self.state = State::Gap { blob, length };
                    return Intake::Bytes;
                }
                self.state = State::Command;
                cx.out.body(blob, 0..length);
                Intake::Bytes
            }
            Err(error) => {
                self.state = State::Command;
                match error {
                    StoreError::NotFound => self.reply("ERROR: File not found", cx),
                    other => self.reply(format_args!("ERROR: {other}"), cx),
                }
                if self.is_line() {
                    Intake::Bytes
                } else {
                    Intake::Close(CloseReason::Goodbye)
                }
            }
        }
    }

    /// Between a bare header and its first data byte.
    fn gap(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        let healed = self.splitter.heal(input, pause);
        let State::Gap { blob, length } = &self.state else {
            unreachable!("there is no gap")
        };
        match (healed, pause) {
            (Heal::Undecided, _) => (0, Intake::Bytes),
            (Heal::Line { taken }, _) => {
                cx.out.bytes(b"\n");
                cx.out.body(blob.clone(), 0..*length);
                self.state = State::Command;
                (taken, Intake::Bytes)
            }
            (Heal::Bare, Pause::Quiet(_)) => {
                cx.out.body(blob.clone(), 0..*length);
                self.state = State::Command;
                (input.len(), Intake::Close(CloseReason::Goodbye))
            }
            (Heal::Bare, Pause::Finished) => (0, Intake::Hold),
            // Nothing that a bare client says now means anything.
            (Heal::Bare, Pause::None) => (input.len(), Intake::Bytes),
        }
    }
}

impl Protocol for Transfer {
    fn on_bytes(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        match self.state {
            State::Command => self.command(input, pause, cx),
            State::Naming { .. } => self.naming(input, pause, cx),
            State::Header => self.naming_line(input, pause, cx),
            State::Asking => self.asking(input, pause, cx),
            State::Gap { .. } => self.gap(input, pause, cx),
            State::Receiving { .. } | State::Guessing { .. } | State::Aligning(_) => {
                unreachable!("body bytes are never shown")
            }
        }
    }

    fn on_body(&mut self, end: BodyEnd, cx: &mut Cx<'_>) -> Intake {
        let state = std::mem::replace(&mut self.state, State::Command);
        match (state, end) {
            (_, BodyEnd::Abandoned) => Intake::Close(CloseReason::PeerReset),
            (_, BodyEnd::StoreFailed(error)) => self.refuse(error, cx),
            (State::Receiving { upload, size }, BodyEnd::Complete) => match upload.commit() {
                Ok(()) => {
                    self.reply(format_args!("OK {size}"), cx);
                    Intake::Bytes
                }
                Err(error) => self.refuse(error, cx),
            },
            (State::Receiving { size, .. }, BodyEnd::PeerFinished { missing }) => {
                let came = size - missing;
                self.refuse(
                    format_args!("only {came} of {size} bytes came; nothing is stored"),
                    cx,
                )
            }
            (
                State::Guessing {
                    upload,
                    digits,
                    most,
                },
                BodyEnd::PeerFinished { missing },
            ) => self.solve(upload, digits, most - missing, cx),
            (State::Guessing { .. }, BodyEnd::Complete) => {
                self.refuse("more came than the size says; nothing is stored", cx)
            }
            _ => unreachable!("a body ended that was not asked for"),
        }
    }

    fn on_work(&mut self, cx: &mut Cx<'_>) -> Intake {
        let State::Aligning(aligning) = &mut self.state else {
            unreachable!("work was done that was not announced")
        };
        match aligning.step(self.limits.copy_step) {
            Ok(false) => Intake::Work,
            Ok(true) => match std::mem::replace(&mut self.state, State::Command) {
                State::Aligning(aligning) => self.store_bare(aligning.into_upload(), cx),
                _ => unreachable!("checked above"),
            },
            Err(error) => self.refuse(StoreError::from(error), cx),
        }
    }

    fn awaited(&self) -> Option<Delay> {
        match self.state {
            State::Command | State::Asking | State::Header => self.splitter.awaited(),
            State::Naming { boundary: None } if !self.is_line() => Some(Delay::Settle),
            State::Gap { .. } => Some(Delay::Gap),
            _ => None,
        }
    }
}
