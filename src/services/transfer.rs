//! Speaks the transfer service: SEND and RECEIVE, in both dialects.
//!
//! ```text
//!            SEND                name, header           all bytes
//!   Command ──────▶ Naming ─────────────────▶ Receiving ────────▶ Storing ──▶ Command
//!      │              │ bare: name, digits                        ▲  └─▶ closed  ▲
//!      │              └──────▶ Guessing ───── end of stream ──────┘              │
//!      │ RECEIVE               name, line: header and body                       │
//!      └──────▶ Asking ──────────────────────────────────────────────────────────┘
//!                  └─ bare: header ─▶ Gap ── body ──▶ closed
//!
//!   A line peer's header comes on a line of its own: Naming ──▶ Header ──▶ Receiving.
//!   A name that only the disk knows: Waiting, before the body or the header.
//!   Every refusal, and a bare peer's missing file, is told and then closed.
//! ```

use super::ServiceLimits;
use super::unframed_upload::Guess;
use super::reject::Refusal;
use super::bare_header::TwoNames;
use super::upload_log::UploadReport;
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{BodyEnd, Context, Intake, Protocol, Receive};
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{Content, Reply, Requester, Store, Upload};
use crate::wire::SEPARATOR;
use crate::wire::ambiguous_size::Digits;
use crate::wire::follows::{Follows, Timer};
use crate::wire::framing::{Dialect, Fault, Frame, Framer, LateNewline};
use crate::wire::names::{self, BadName};
use crate::wire::transfer_header::{self, BareHeader, Word};
use crate::wire::unended::Unended;
use std::fmt::Display;
use std::net::SocketAddr;
use std::rc::Rc;

/// The transfer service.
pub struct Transfer {
    framer: Framer,
    limits: Rc<ServiceLimits>,
    store: Rc<dyn Store>,
    report: UploadReport,
    state: State,
}

enum State {
    Command,
    /// SEND was said.
    Naming(TwoNames),
    /// The name has come on a line of its own; the header follows.
    Header,
    /// A body of known size is on its way in.
    Receiving {
        upload: Box<dyn Upload>,
        size: u64,
    },
    /// The store makes an upload visible. A bare peer, whose size was guessed, hears nothing.
    Storing {
        done: Reply<()>,
        size: Option<u64>,
    },
    /// A body whose size runs into its data is on its way in.
    Guessing(Guess),
    /// RECEIVE was said.
    Asking,
    /// The store was asked.
    Waiting(Pending<Answer>),
    /// A bare header has gone out. Its body follows after a gap, so that the peer does not take its
    /// bytes for the header's.
    Gap(Content),
}

/// What the store says, and what it is needed for.
enum Answer {
    /// The file of this name.
    Opened(Result<Content, StoreError>, Box<str>),
    /// An upload of this size.
    Begun(Result<Box<dyn Upload>, StoreError>, u64),
    /// An upload whose size begins with these digits, or is all of them.
    BegunBare(Result<Box<dyn Upload>, StoreError>, Digits),
}

/// How much was taken and what comes next, or why the conversation ends.
type Step = Result<(usize, Intake), Refusal>;

impl Transfer {
    /// A new conversation with this peer, about the files of this store.
    pub fn new(limits: Rc<ServiceLimits>, store: Rc<dyn Store>, peer: SocketAddr) -> Transfer {
        Transfer {
            framer: Framer::new(limits.wire.unit),
            limits,
            store,
            report: UploadReport::new(peer),
            state: State::Command,
        }
    }

    fn is_line(&self) -> bool {
        self.framer.dialect() == Dialect::Line
    }

    fn reply(&self, text: impl Display, cx: &mut Context<'_>) {
        let line_end = self.framer.dialect().line_end();
        cx.out.bytes(format!("{text}{line_end}").as_bytes());
    }

    fn command(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> Step {
        // The two words need no line end and no silence: a textbook client waits for the OK.
        match self
            .framer
            .split(input, follows, transfer_header::unended_word)
        {
            Frame::More => Ok((0, Intake::Bytes)),
            Frame::End => Ok((0, Intake::Close(CloseReason::PeerFinished))),
            Frame::Healed { taken } => {
                cx.out.bytes(b"\n");
                Ok((taken, Intake::Bytes))
            }
            // Somebody pressed Enter; nothing was asked.
            Frame::Unit { text: b"", taken } => Ok((taken, Intake::Bytes)),
            Frame::Unit { text, taken } => Ok((taken, self.begin(text, cx)?)),
            Frame::Broken(fault) => Err(fault.into()),
        }
    }

    fn begin(&mut self, word: &[u8], cx: &mut Context<'_>) -> Result<Intake, Refusal> {
        self.state = match transfer_header::word(word)? {
            Word::Send => {
                self.report.begin(b"");
                State::Naming(TwoNames::default())
            }
            Word::Receive => State::Asking,
        };
        self.reply("OK", cx);
        Ok(Intake::Bytes)
    }

    /// Between SEND and the first byte of the body.
    fn naming(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> Step {
        match self.framer.heal(input, follows) {
            LateNewline::Undecided => return Ok((0, Intake::Bytes)),
            LateNewline::Line { taken } => {
                cx.out.bytes(b"\n");
                return Ok((taken, Intake::Bytes));
            }
            LateNewline::Bare => {}
        }
        let limit = self.limits.wire.unit;
        let separator = transfer_header::separator(input, limit);
        let newline = input.iter().position(|&byte| byte == b'\n');
        if newline.is_some_and(|newline| separator.is_none_or(|separator| newline < separator)) {
            // A line end in front of the separator: textbook clients send none.
            self.framer.take_line();
        }
        if self.is_line() {
            return self.naming_line(input, follows, cx);
        }
        let State::Naming(names) = &mut self.state else {
            unreachable!("no names are expected")
        };
        let header = names.header(input, separator, follows, &mut self.framer, limit)?;
        self.bare_header(header, cx)
    }

    fn naming_line(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> Step {
        match self.framer.split(input, follows, |_| Unended::Part) {
            Frame::More => Ok((0, Intake::Bytes)),
            Frame::Healed { .. } => unreachable!("line peers are healed before"),
            Frame::End => Err(Fault::Cut.into()),
            Frame::Broken(fault) => Err(fault.into()),
            Frame::Unit { taken, .. } if matches!(self.state, State::Naming(_)) => {
                // The name stands in the header again, and that one counts.
                self.state = State::Header;
                Ok((taken, Intake::Bytes))
            }
            Frame::Unit { text, taken } => {
                let (name, size) = transfer_header::parse_line(text)?;
                let begun = self.create(name, Some(size), cx)?;
                let answer = begun.map(move |begun| Answer::Begun(begun, size));
                Ok((taken, self.go_on(answer, cx)?))
            }
        }
    }

    /// The separator has come: the name is known, and the digits behind it as soon as they end.
    fn bare_header(&mut self, header: BareHeader<'_>, cx: &mut Context<'_>) -> Step {
        let BareHeader::Whole {
            name,
            digits,
            behind,
        } = header
        else {
            return Ok((0, Intake::Bytes));
        };
        let largest = self.store.largest();
        let digits = digits
            .at_most(largest)
            .ok_or(StoreError::TooLarge(largest))?;
        let begun = self.create(name, None, cx)?;
        let answer = begun.map(move |begun| Answer::BegunBare(begun, digits));
        Ok((behind + digits.text().len(), self.go_on(answer, cx)?))
    }

    fn create(
        &mut self,
        name: &[u8],
        size: Option<u64>,
        cx: &Context<'_>,
    ) -> Result<Reply<Box<dyn Upload>>, Refusal> {
        self.report.begin(name);
        let name = self.base_name(name)?;
        Ok(self.store.create(name, size, self.client(cx)))
    }

    fn client(&self, cx: &Context<'_>) -> Requester {
        Requester {
            session: cx.me,
            address: self.report.address(),
        }
    }

    /// All that is used of a name that the peer has sent.
    fn base_name<'a>(&self, sent: &'a [u8]) -> Result<&'a str, BadName<'a>> {
        let separators = match self.is_line() {
            true => names::SLASH,
            false => names::ANY_SLASH,
        };
        names::base_name(sent, separators, &self.limits.wire)
    }

    fn asking(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> Step {
        let wire = &self.limits.wire;
        let unended = |name: &[u8]| names::unended(name, names::ANY_SLASH, wire);
        let judge = |name: &[u8]| Unended::judge(name, unended);
        match self.framer.split(input, follows, judge) {
            Frame::More => Ok((0, Intake::Bytes)),
            Frame::End => Err(Fault::Cut.into()),
            Frame::Broken(fault) => Err(fault.into()),
            Frame::Healed { taken } => {
                cx.out.bytes(b"\n");
                Ok((taken, Intake::Bytes))
            }
            Frame::Unit { text, taken } => {
                let name = self.base_name(text)?;
                let opened = self.store.open(name, self.client(cx));
                let name = name.into();
                let answer = opened.map(move |opened| Answer::Opened(opened, name));
                Ok((taken, self.go_on(answer, cx)?))
            }
        }
    }

    /// Goes on as soon as the store answers.
    fn go_on(&mut self, answer: Pending<Answer>, cx: &mut Context<'_>) -> Result<Intake, Refusal> {
        self.state = State::Command;
        Ok(match answer.take() {
            Err(pending) => {
                self.state = State::Waiting(pending);
                Intake::Wait
            }
            Ok(Answer::Opened(opened, name)) => self.answer(&name, opened, cx),
            Ok(Answer::Begun(upload, size)) => {
                let upload = upload?;
                let receive = Receive::new(upload.blob(), size);
                self.state = State::Receiving { upload, size };
                Intake::Body(receive)
            }
            Ok(Answer::BegunBare(upload, digits)) => {
                let (guess, receive) = Guess::new(upload?, digits);
                self.state = State::Guessing(guess);
                Intake::Body(receive)
            }
        })
    }

    fn answer(
        &mut self,
        name: &str,
        opened: Result<Content, StoreError>,
        cx: &mut Context<'_>,
    ) -> Intake {
        match opened {
            Ok((blob, length)) => {
                self.reply(format_args!("{name}{SEPARATOR}{length}"), cx);
                if self.is_line() {
                    cx.out.body(blob, 0..length);
                } else {
                    self.state = State::Gap((blob, length));
                }
                return Intake::Bytes;
            }
            Err(StoreError::NotFound) => self.reply("ERROR: File not found", cx),
            Err(error) => self.reply(format_args!("ERROR: {error}"), cx),
        }
        // A line peer may ask for another; a textbook client reads to the end of the stream.
        if self.is_line() {
            Intake::Bytes
        } else {
            Intake::Close(CloseReason::Goodbye)
        }
    }

    /// Between a bare header and its first data byte.
    fn gap(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> (usize, Intake) {
        let healed = self.framer.heal(input, follows);
        let (taken, intake) = match (healed, follows) {
            (LateNewline::Undecided, _) => return (0, Intake::Bytes),
            (LateNewline::Bare, Follows::Eof) => return (0, Intake::Hold),
            // Nothing that a bare client says now means anything.
            (LateNewline::Bare, Follows::More) => return (input.len(), Intake::Bytes),
            (LateNewline::Bare, Follows::Silence(_)) => {
                (input.len(), Intake::Close(CloseReason::Goodbye))
            }
            (LateNewline::Line { taken }, _) => {
                cx.out.bytes(b"\n");
                (taken, Intake::Bytes)
            }
        };
        let State::Gap((blob, length)) = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("there is no gap")
        };
        cx.out.body(blob, 0..length);
        (taken, intake)
    }

    /// The rest of the stream cannot be told from a body: say why, and close.
    fn or_close(&mut self, intake: Result<Intake, Refusal>, cx: &mut Context<'_>) -> Intake {
        intake.unwrap_or_else(|Refusal(why)| {
            self.state = State::Command;
            self.report.lost(&why, cx);
            self.reply(format_args!("ERROR: {why}"), cx);
            Intake::Close(CloseReason::Refused)
        })
    }
    fn end_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Result<Intake, Refusal> {
        match (std::mem::replace(&mut self.state, State::Command), end) {
            (_, BodyEnd::Abandoned) => Ok(Intake::Close(CloseReason::PeerReset)),
            (_, BodyEnd::BlobFailed(error)) => Err(StoreError::from(error).into()),
            (State::Receiving { upload, size }, BodyEnd::Complete) => {
                self.store(upload.commit(b"", self.client(cx)), Some(size), cx)
            }
            (State::Receiving { size, .. }, BodyEnd::PeerFinished { missing }) => {
                let came = size - missing;
                Err(format!("only {came} of {size} bytes came; nothing is stored").into())
            }
            (State::Guessing(guess), BodyEnd::PeerFinished { missing }) => {
                let solved = guess.solve(missing);
                let (upload, front) =
                    solved.ok_or("the size does not fit what came; nothing is stored")?;
                self.store(upload.commit(&front, self.client(cx)), None, cx)
            }
            (State::Guessing(_), BodyEnd::Complete) => {
                Err("more came than the size says; nothing is stored".into())
            }
            _ => unreachable!("a body ended that was not asked for"),
        }
    }

    /// Answers as soon as the store is done.
    fn store(
        &mut self,
        done: Reply<()>,
        size: Option<u64>,
        cx: &mut Context<'_>,
    ) -> Result<Intake, Refusal> {
        match done.take() {
            Ok(done) => done?,
            Err(done) => {
                self.state = State::Storing { done, size };
                return Ok(Intake::Wait);
            }
        }
        self.report.stored();
        match size {
            Some(size) => {
                self.reply(format_args!("OK {size}"), cx);
                Ok(Intake::Bytes)
            }
            // The textbook client has gone: nobody reads a reply.
            None => Ok(Intake::Close(CloseReason::PeerFinished)),
        }
    }
}

impl Protocol for Transfer {
    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        let step = match self.state {
            State::Command => self.command(input, follows, cx),
            State::Naming(_) => self.naming(input, follows, cx),
            State::Header => self.naming_line(input, follows, cx),
            State::Asking => self.asking(input, follows, cx),
            State::Gap(_) => return self.gap(input, follows, cx),
            _ => unreachable!("body bytes are never shown"),
        };
        match step {
            Ok((taken, intake)) => (taken, intake),
            Err(refusal) => {
                if self.report.is_begun() {
                    self.report.guess(transfer_header::name_on_its_way(input));
                }
                (0, self.or_close(Err(refusal), cx))
            }
        }
    }

    fn on_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Intake {
        let ended = self.end_body(end, cx);
        self.or_close(ended, cx)
    }

    fn on_work(&mut self, cx: &mut Context<'_>) -> Intake {
        let gone_on = match std::mem::replace(&mut self.state, State::Command) {
            State::Storing { done, size } => self.store(done, size, cx),
            State::Waiting(answer) => self.go_on(answer, cx),
            _ => unreachable!("work was done that was not announced"),
        };
        self.or_close(gone_on, cx)
    }

    fn on_close(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        // What the store has begun to make visible it also ends, without a peer.
        if !matches!(self.state, State::Storing { .. }) {
            self.report.lost(reason, cx);
        }
    }

    fn awaited(&self) -> Option<Timer> {
        match self.state {
            State::Command | State::Naming(_) | State::Header | State::Asking => {
                self.framer.awaited()
            }
            State::Gap(_) => Some(Timer::HeaderGap),
            _ => None,
        }
    }
}
