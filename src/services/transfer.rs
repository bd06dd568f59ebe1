//! The transfer service: SEND and RECEIVE, in both dialects, and RESUME and SUM on lines.
//!
//! ```text
//!            SEND                 name, header           all bytes
//!   Command ──────▶ UploadName ─────────────▶ Receiving ────────▶ Committing ──▶ Command
//!      │              │ bare: name, digits                         ▲  └─▶ closed   ▲
//!      │              └──────▶ Unframed ────── end of stream ──────┘               │
//!      │ RECEIVE               name, line: header and body                         │
//!      └──────▶ DownloadName ──────────────────────────────────────────────────────┘
//!                  └─ bare: header ─▶ HeaderGap ── body ──▶ closed
//!
//!   A line peer sends the header on its own line: UploadName ──▶ UploadHeader ──▶ Receiving.
//!   After RESUME and SUM, a line with a name and a number: PartOf ──▶ Command.
//!   A store operation that must wait for the disk: Waiting, before the body or the header.
//!   After a Reject, and after a missing file in the bare dialect: ERROR, then closed.
//! ```

mod state;

use super::ServiceLimits;
use super::bare_header::BareHeaderReader;
use super::reject::{Handled, Reject};
use super::unframed_upload::UnframedUpload;
use super::upload_log::UploadLog;
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{BodyEnd, Context, Intake, Protocol, Receive};
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{OpenFile, Overwrite, Requester, Store, StoreReply, Stored, Upload};
use crate::wire::SEPARATOR;
use crate::wire::follows::{Follows, Timer};
use crate::wire::framing::{Dialect, Fault, Frame, Framer, LateNewline};
use crate::wire::names::{self, BadName};
use crate::wire::text;
use crate::wire::transfer_header::{self, BareHeader, Word};
use crate::wire::unended::Unended;
use state::{Part, TransferAnswer, TransferState};
use std::fmt::Display;
use std::net::SocketAddr;
use std::rc::Rc;

/// The transfer service.
pub struct Transfer {
    framer: Framer,
    limits: Rc<ServiceLimits>,
    store: Rc<dyn Store>,
    upload_log: UploadLog,
    state: TransferState,
}

impl Transfer {
    /// A session of the peer at this address.
    pub fn new(limits: Rc<ServiceLimits>, store: Rc<dyn Store>, peer: SocketAddr) -> Transfer {
        Transfer {
            framer: Framer::new(limits.wire.unit),
            limits,
            store,
            upload_log: UploadLog::new("transfer", peer),
            state: TransferState::Command,
        }
    }

    fn is_line(&self) -> bool {
        self.framer.dialect() == Dialect::Line
    }

    fn reply(&self, text: impl Display, cx: &mut Context<'_>) {
        let line_end = self.framer.dialect().line_end();
        cx.out.bytes(format!("{text}{line_end}").as_bytes());
    }

    fn read_command(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> Handled {
        // The two commands need neither LF nor a silence: a textbook client waits for the OK.
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
            // An empty line.
            Frame::Unit { text: b"", taken } => Ok((taken, Intake::Bytes)),
            Frame::Unit { text, taken } => Ok((taken, self.begin(text, cx)?)),
            Frame::Broken(fault) => Err(fault.into()),
        }
    }

    fn begin(&mut self, word: &[u8], cx: &mut Context<'_>) -> Result<Intake, Reject> {
        self.state = match transfer_header::word(word)? {
            Word::Send => {
                self.upload_log.begin(b"");
                TransferState::UploadName(BareHeaderReader::default())
            }
            Word::Receive => TransferState::DownloadName,
            Word::Resume => TransferState::PartOf(Part::Rest),
            Word::Sum => TransferState::PartOf(Part::FrontSum),
        };
        self.reply("OK", cx);
        Ok(Intake::Bytes)
    }

    /// Between SEND and the first byte of the body.
    fn upload_name(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> Handled {
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
            // LF before the separator: textbook clients send none.
            self.framer.take_line();
        }
        if self.is_line() {
            return self.upload_line(input, follows, cx);
        }
        let TransferState::UploadName(names) = &mut self.state else {
            unreachable!("no names are expected")
        };
        let header = names.read(input, separator, follows, &mut self.framer, limit)?;
        self.bare_header(header, cx)
    }

    fn upload_line(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> Handled {
        match self.framer.split(input, follows, |_| Unended::Part) {
            Frame::More => Ok((0, Intake::Bytes)),
            Frame::Healed { .. } => unreachable!("line peers are healed before"),
            Frame::End => Err(Fault::Cut.into()),
            Frame::Broken(fault) => Err(fault.into()),
            Frame::Unit { taken, .. } if matches!(self.state, TransferState::UploadName(_)) => {
                // The header repeats the name; that one is used.
                self.state = TransferState::UploadHeader;
                Ok((taken, Intake::Bytes))
            }
            Frame::Unit { text, taken } => {
                let (name, size) = transfer_header::parse_line(text)?;
                let begun = self.create(name, Some(size), cx)?;
                let answer = begun.map(move |begun| TransferAnswer::Begun(begun, size));
                Ok((taken, self.resume(answer, cx)?))
            }
        }
    }

    /// The line after RESUME or SUM.
    fn part_line(
        &mut self,
        part: Part,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> Handled {
        match self.framer.split(input, follows, |_| Unended::Part) {
            Frame::More => Ok((0, Intake::Bytes)),
            Frame::Healed { .. } => unreachable!("these words are read on lines only"),
            Frame::End => Err(Fault::Cut.into()),
            Frame::Broken(fault) => Err(fault.into()),
            Frame::Unit { text, taken } => {
                let (name, number) = transfer_header::parse_line(text)?;
                let (name, client) = (self.base_name(name)?, self.requester(cx));
                let answer = match part {
                    Part::Rest => self.open(name, number, client),
                    Part::FrontSum => {
                        let digest = self.store.digest(name, Some(number), client);
                        digest.map(TransferAnswer::Sum)
                    }
                };
                Ok((taken, self.resume(answer, cx)?))
            }
        }
    }

    fn open(&self, name: &str, offset: u64, client: Requester) -> Pending<TransferAnswer> {
        let (opened, name) = (self.store.open(name, client), name.into());
        opened.map(move |opened| TransferAnswer::Opened(opened, name, offset))
    }

    /// Begins an upload once the header is whole.
    fn bare_header(&mut self, header: BareHeader<'_>, cx: &mut Context<'_>) -> Handled {
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
        let answer = begun.map(move |begun| TransferAnswer::BegunBare(begun, digits));
        Ok((behind + digits.text().len(), self.resume(answer, cx)?))
    }

    fn create(
        &mut self,
        name: &[u8],
        size: Option<u64>,
        cx: &Context<'_>,
    ) -> Result<StoreReply<Box<dyn Upload>>, Reject> {
        self.upload_log.begin(name);
        let name = self.base_name(name)?;
        Ok(self.store.create(name, size, self.requester(cx)))
    }

    fn requester(&self, cx: &Context<'_>) -> Requester {
        Requester {
            session: cx.me,
            address: self.upload_log.address(),
            reads: cx.reads,
        }
    }

    /// The last component of a name from the peer.
    fn base_name<'a>(&self, sent: &'a [u8]) -> Result<&'a str, BadName<'a>> {
        let separators = match self.is_line() {
            true => names::SLASH,
            false => names::ANY_SLASH,
        };
        names::base_name(sent, separators, &self.limits.wire)
    }

    fn download_name(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> Handled {
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
                let answer = self.open(self.base_name(text)?, 0, self.requester(cx));
                Ok((taken, self.resume(answer, cx)?))
            }
        }
    }

    /// Begins the body or the reply, or waits until the store operation is done.
    fn resume(
        &mut self,
        answer: Pending<TransferAnswer>,
        cx: &mut Context<'_>,
    ) -> Result<Intake, Reject> {
        self.state = TransferState::Command;
        Ok(match answer.take() {
            Err(pending) => {
                self.state = TransferState::Waiting(pending);
                Intake::Wait
            }
            Ok(TransferAnswer::Opened(Ok(file), name, offset)) => {
                self.send_file(&name, file, offset, cx)
            }
            Ok(TransferAnswer::Sum(Ok(digest))) => {
                self.reply(format_args!("OK {}", text::hex(&digest.sha256)), cx);
                Intake::Bytes
            }
            Ok(TransferAnswer::Opened(Err(error), ..) | TransferAnswer::Sum(Err(error))) => {
                self.reply_error(&error, cx)
            }
            Ok(TransferAnswer::Begun(upload, size)) => {
                let upload = upload?;
                let receive = Receive::new(upload.blob(), size);
                self.state = TransferState::Receiving { upload, size };
                Intake::Body(receive)
            }
            Ok(TransferAnswer::BegunBare(upload, digits)) => {
                let (unframed, receive) = UnframedUpload::new(upload?, digits);
                self.state = TransferState::Unframed(unframed);
                Intake::Body(receive)
            }
        })
    }

    fn send_file(
        &mut self,
        name: &str,
        file: OpenFile,
        offset: u64,
        cx: &mut Context<'_>,
    ) -> Intake {
        let (blob, length) = file.content();
        let Some(left) = length.checked_sub(offset) else {
            return self.reply_error(&StoreError::TooShort(length), cx);
        };
        self.reply(format_args!("{name}{SEPARATOR}{left}"), cx);
        if self.is_line() {
            cx.out.body(blob, offset..length);
        } else {
            self.state = TransferState::HeaderGap((blob, length));
        }
        Intake::Bytes
    }

    /// Sends a negative answer. A line peer may send another command; a textbook client reads to
    /// the end of the stream.
    fn reply_error(&self, error: &StoreError, cx: &mut Context<'_>) -> Intake {
        match error {
            StoreError::NotFound => self.reply("ERROR: File not found", cx),
            error => self.reply(format_args!("ERROR: {error}"), cx),
        }
        match self.is_line() {
            true => Intake::Bytes,
            false => Intake::Close(CloseReason::Goodbye),
        }
    }

    /// Between a bare header and its first data byte.
    fn header_gap(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        let healed = self.framer.heal(input, follows);
        let (taken, intake) = match (healed, follows) {
            (LateNewline::Undecided, _) => return (0, Intake::Bytes),
            (LateNewline::Bare, Follows::Eof) => return (0, Intake::Hold),
            // Input from a bare peer is ignored here.
            (LateNewline::Bare, Follows::More) => return (input.len(), Intake::Bytes),
            (LateNewline::Bare, Follows::Silence(_)) => {
                (input.len(), Intake::Close(CloseReason::Goodbye))
            }
            (LateNewline::Line { taken }, _) => {
                cx.out.bytes(b"\n");
                (taken, Intake::Bytes)
            }
        };
        let TransferState::HeaderGap((blob, length)) =
            std::mem::replace(&mut self.state, TransferState::Command)
        else {
            unreachable!("there is no gap")
        };
        cx.out.body(blob, 0..length);
        (taken, intake)
    }

    /// Sends the reason and closes: what follows may be a body, which looks like commands.
    fn close_on_reject(&mut self, intake: Result<Intake, Reject>, cx: &mut Context<'_>) -> Intake {
        intake.unwrap_or_else(|Reject(why)| {
            self.state = TransferState::Command;
            self.upload_log.failed(&why, cx);
            self.reply(format_args!("ERROR: {why}"), cx);
            Intake::Close(CloseReason::Refused)
        })
    }

    fn end_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Result<Intake, Reject> {
        match (
            std::mem::replace(&mut self.state, TransferState::Command),
            end,
        ) {
            (_, BodyEnd::Abandoned) => Ok(Intake::Close(CloseReason::PeerReset)),
            (_, BodyEnd::BlobFailed(error)) => Err(StoreError::from(error).into()),
            (TransferState::Receiving { upload, size }, BodyEnd::Complete) => self.commit(
                upload.commit(b"", Overwrite::Allowed, self.requester(cx)),
                Some(size),
                cx,
            ),
            (TransferState::Receiving { size, .. }, BodyEnd::PeerFinished { missing }) => {
                let received = size - missing;
                Err(format!("only {received} of {size} bytes came; nothing is stored").into())
            }
            (TransferState::Unframed(unframed), BodyEnd::PeerFinished { missing }) => {
                let solved = unframed.solve(missing);
                let (upload, front) =
                    solved.ok_or("the size does not fit what came; nothing is stored")?;
                self.commit(
                    upload.commit(&front, Overwrite::Allowed, self.requester(cx)),
                    None,
                    cx,
                )
            }
            (TransferState::Unframed(_), BodyEnd::Complete) => {
                Err("more came than the size says; nothing is stored".into())
            }
            _ => unreachable!("a body ended that was not asked for"),
        }
    }

    /// Answers the peer, or waits until the commit is done.
    fn commit(
        &mut self,
        done: StoreReply<Stored>,
        size: Option<u64>,
        cx: &mut Context<'_>,
    ) -> Result<Intake, Reject> {
        match done.take() {
            Ok(done) => _ = done?,
            Err(done) => {
                self.state = TransferState::Committing { done, size };
                return Ok(Intake::Wait);
            }
        }
        self.upload_log.stored();
        match size {
            Some(size) => {
                self.reply(format_args!("OK {size}"), cx);
                Ok(Intake::Bytes)
            }
            // A textbook client has closed: it reads no reply.
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
            TransferState::Command => self.read_command(input, follows, cx),
            TransferState::UploadName(_) => self.upload_name(input, follows, cx),
            TransferState::UploadHeader => self.upload_line(input, follows, cx),
            TransferState::DownloadName => self.download_name(input, follows, cx),
            TransferState::PartOf(part) => self.part_line(part, input, follows, cx),
            TransferState::HeaderGap(_) => return self.header_gap(input, follows, cx),
            _ => unreachable!("body bytes are never shown"),
        };
        match step {
            Ok((taken, intake)) => (taken, intake),
            Err(reject) => {
                if self.upload_log.is_open() {
                    self.upload_log
                        .note_name(transfer_header::name_on_its_way(input));
                }
                (0, self.close_on_reject(Err(reject), cx))
            }
        }
    }

    fn on_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Intake {
        let ended = self.end_body(end, cx);
        self.close_on_reject(ended, cx)
    }

    fn on_work(&mut self, cx: &mut Context<'_>) -> Intake {
        let resumed = match std::mem::replace(&mut self.state, TransferState::Command) {
            TransferState::Committing { done, size } => self.commit(done, size, cx),
            TransferState::Waiting(answer) => self.resume(answer, cx),
            _ => unreachable!("work was done that was not announced"),
        };
        self.close_on_reject(resumed, cx)
    }

    fn on_close(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        // The store finishes a commit that it has begun, also without the peer.
        if !matches!(self.state, TransferState::Committing { .. }) {
            self.upload_log.failed(reason, cx);
        }
    }

    fn awaited(&self) -> Option<Timer> {
        match self.state {
            TransferState::Command
            | TransferState::UploadName(_)
            | TransferState::UploadHeader
            | TransferState::DownloadName
            | TransferState::PartOf(_) => self.framer.awaited(),
            TransferState::HeaderGap(_) => Some(Timer::HeaderGap),
            _ => None,
        }
    }
}
