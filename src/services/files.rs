//! Speaks the files service: ls, size, rm, download, upload and byebye, in both dialects.
//! Touches no file itself: the store does, through its trait.
//!
//! ```text
//!            ls                         line upload
//!   Listing ◀──── Command ─────────────────────────────▶ Receiving ──▶ Waiting ──▶ Command
//!      └────────▶    │  bare upload        first byte        ▲    └─────┴──▶ closed
//!                    └────────────▶ Expecting ───────────────┘
//!                                     └─ late LF ──▶ Command;  silence ──▶ closed
//!
//!   A name that only the disk knows: Command ──▶ LookingUp ──▶ as if the command came now.
//! ```

use super::ServiceLimits;
use super::list_reply::{self, ListReply};
use super::refusal::Refusal;
use super::upload_report::UploadReport;
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{BodyEnd, Cx, Intake, Protocol, Receive};
use crate::store::error::StoreError;
use crate::store::{Errand, Purpose, Store, Upload};
use crate::wire::command::{self, Command};
use crate::wire::pause::{Delay, Pause};
use crate::wire::unit::{Dialect, Heal, Split, Splitter};
use std::fmt::Display;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

const NOT_FOUND: &str = "File Tidak Ditemukan";
const REMOVED: &str = "File Berhasil Dihapus";
const CREATED: &str = "File Berhasil Dibuat";
const NO_DATA: &str = "no data came, nothing is stored; send the file's bytes a moment after the \
                       command, and then shut down your sending side (SHUT_WR)";

/// The files service.
pub struct Files {
    splitter: Splitter,
    limits: Rc<ServiceLimits>,
    store: Rc<dyn Store>,
    report: UploadReport,
    state: State,
}

enum State {
    Command,
    /// The disk is asked for the name in this command before it is carried out.
    LookingUp(Box<[u8]>, Box<dyn Errand>),
    /// The list of a folder is being made.
    Listing(ListReply),
    /// A bare upload of which no byte has come. `unit` is the command as it came.
    Expecting {
        upload: Box<dyn Upload>,
        unit: Box<[u8]>,
    },
    /// A body is on its way in; `size` is known in the line dialect only.
    Receiving {
        upload: Box<dyn Upload>,
        size: Option<u64>,
        most: u64,
    },
    /// The store makes an upload visible, or takes a file away.
    Waiting {
        errand: Box<dyn Errand>,
        then: Then,
    },
}

/// What an errand was for.
#[derive(Clone, Copy)]
enum Then {
    Removed,
    Created,
    /// And the peer has said all that it had to say.
    CreatedLast,
}

/// How much was taken and what comes next, or why the conversation ends.
type Step = Result<(usize, Intake), Refusal>;

impl Files {
    /// A new conversation with this peer, about the files of this store.
    pub fn new(limits: Rc<ServiceLimits>, store: Rc<dyn Store>, peer: SocketAddr) -> Files {
        Files {
            splitter: Splitter::new(limits.wire.unit),
            limits,
            store,
            report: UploadReport::new(peer),
            state: State::Command,
        }
    }

    fn is_bare(&self) -> bool {
        self.splitter.dialect() == Dialect::Bare
    }

    fn line_end(&self) -> &'static str {
        self.splitter.dialect().line_end()
    }

    /// A good answer: `OK` and what follows it, or in the bare dialect the plain text alone.
    fn agree(&self, line: &str, bare: &str, cx: &mut Cx<'_>) -> Intake {
        let reply = if self.is_bare() { bare } else { line };
        cx.out.bytes(reply.as_bytes());
        cx.out.bytes(self.line_end().as_bytes());
        Intake::Bytes
    }

    /// A plain no to a question: the conversation goes on.
    fn decline(&self, error: &StoreError, cx: &mut Cx<'_>) -> Intake {
        match error {
            StoreError::NotFound if self.is_bare() => cx.out.bytes(NOT_FOUND.as_bytes()),
            StoreError::NotFound => cx.out.bytes(format!("ERROR {NOT_FOUND}\n").as_bytes()),
            other => self.say_error(other, cx),
        }
        Intake::Bytes
    }

    /// The rest of the stream cannot be told from a body: say why, and close.
    fn or_close(&mut self, intake: Result<Intake, Refusal>, cx: &mut Cx<'_>) -> Intake {
        intake.unwrap_or_else(|Refusal(why)| {
            self.state = State::Command;
            self.report.lost(&why, cx);
            self.say_error(why, cx);
            Intake::Close(CloseReason::Refused)
        })
    }

    fn say_error(&self, why: impl Display, cx: &mut Cx<'_>) {
        cx.out
            .bytes(format!("ERROR {why}{}", self.line_end()).as_bytes());
    }

    fn command(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> Step {
        let wire = &self.limits.wire;
        let split = self
            .splitter
            .split(input, pause, |unit| command::unended(unit, pause, wire));
        match split {
            Split::More => Ok((0, Intake::Bytes)),
            Split::End => Ok((0, Intake::Close(CloseReason::PeerFinished))),
            Split::Healed { taken } => {
                cx.out.bytes(b"\n");
                Ok((taken, Intake::Bytes))
            }
            // Somebody pressed Enter; nothing was asked.
            Split::Unit { text: b"", taken } => Ok((taken, Intake::Bytes)),
            Split::Unit { text, taken } => Ok((taken, self.run(text, pause, cx)?)),
            Split::Broken(fault) => Err(fault.into()),
        }
    }

    fn run(&mut self, unit: &[u8], pause: Pause, cx: &mut Cx<'_>) -> Result<Intake, Refusal> {
        let command = self.parse(unit)?;
        // What looks like the end of the name may be data that was sent too soon.
        if pause == Pause::Finished && matches!(command, Command::Upload(_, None)) {
            return Err(NO_DATA.into());
        }
        let errand = match &command {
            Command::Download(name, _) => self.store.look_up(name, Purpose::Open, cx.me),
            Command::Upload(name, _) => self.store.look_up(name, Purpose::Put, cx.me),
            Command::List(Some(name)) | Command::Size(name) | Command::Remove(name) => {
                self.store.look_up(name, Purpose::Look, cx.me)
            }
            Command::List(None) | Command::Goodbye => None,
        };
        match errand {
            None => self.execute(command, unit, cx),
            Some(errand) => self.looked_up(unit, errand, cx),
        }
    }

    fn parse<'a>(&self, unit: &'a [u8]) -> Result<Command<'a>, Refusal> {
        Ok(match self.splitter.dialect() {
            Dialect::Bare => command::parse_bare(unit, &self.limits.wire)?,
            Dialect::Line | Dialect::Undecided => command::parse_line(unit, &self.limits.wire)?,
        })
    }

    /// Carries the command out as soon as the disk has been asked for its name.
    fn looked_up(
        &mut self,
        unit: &[u8],
        mut errand: Box<dyn Errand>,
        cx: &mut Cx<'_>,
    ) -> Result<Intake, Refusal> {
        if errand.poll().is_pending() {
            self.state = State::LookingUp(unit.into(), errand);
            return Ok(Intake::Wait);
        }
        self.execute(self.parse(unit)?, unit, cx)
    }

    fn execute(
        &mut self,
        command: Command<'_>,
        unit: &[u8],
        cx: &mut Cx<'_>,
    ) -> Result<Intake, Refusal> {
        Ok(match command {
            Command::List(folder) => self.list(folder, cx),
            Command::Size(name) => match self.store.size(name) {
                Ok(bytes) => {
                    // Of 1,048,576 bytes, as the textbook shell counts them.
                    let plain = format!("{:.2} MB", bytes as f64 / f64::from(1 << 20));
                    self.agree(&format!("OK {bytes} {plain}"), &plain, cx)
                }
                Err(error) => self.decline(&error, cx),
            },
            Command::Remove(name) => {
                self.store.serve(self.report.address());
                match self.store.remove(name, cx.me) {
                    Ok(errand) => self.go_on(errand, Then::Removed, cx)?,
                    Err(error) => self.decline(&error, cx),
                }
            }
            Command::Download(name, offset) => self.download(name, offset, cx),
            Command::Upload(name, size) => self.upload(name, size, unit, cx)?,
            Command::Goodbye => {
                self.agree("OK", "", cx);
                Intake::Close(CloseReason::Goodbye)
            }
        })
    }

    fn download(&mut self, name: &str, offset: u64, cx: &mut Cx<'_>) -> Intake {
        match self.store.open(name) {
            Ok((_, length)) if offset > length => {
                self.say_error(format_args!("the file has only {length} bytes"), cx);
                Intake::Bytes
            }
            Ok((blob, length)) => {
                if !self.is_bare() {
                    cx.out.bytes(format!("OK {}\n", length - offset).as_bytes());
                }
                cx.out.body(blob, offset..length);
                Intake::Bytes
            }
            Err(error) => self.decline(&error, cx),
        }
    }

    fn upload(
        &mut self,
        name: &str,
        size: Option<u64>,
        unit: &[u8],
        cx: &mut Cx<'_>,
    ) -> Result<Intake, Refusal> {
        self.report.begin(name.as_bytes());
        self.store.serve(self.report.address());
        let upload = self.store.create(name, size)?;
        let Some(size) = size else {
            let unit = unit.into();
            self.state = State::Expecting { upload, unit };
            return Ok(Intake::Bytes);
        };
        cx.out.bytes(b"OK\n");
        Ok(self.receive(upload, Some(size), size))
    }

    fn receive(&mut self, upload: Box<dyn Upload>, size: Option<u64>, most: u64) -> Intake {
        let receive = Receive::new(upload.blob(), most);
        self.state = State::Receiving { upload, size, most };
        Intake::Body(receive)
    }

    /// Waits for the first byte of a bare upload.
    fn expect(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> Step {
        let State::Expecting { unit, .. } = &self.state else {
            unreachable!("not expecting")
        };
        // `upload a.txt 5` without LF looks bare. If the LF comes after all, a line was meant.
        let limits = self.limits.clone();
        if let Ok(Command::Upload(_, Some(_))) = command::parse_line(unit, &limits.wire) {
            match self.splitter.heal(input, pause) {
                Heal::Undecided => return Ok((0, Intake::Bytes)),
                Heal::Line { taken } => {
                    let unit = unit.clone();
                    self.state = State::Command;
                    let command = command::parse_line(&unit, &limits.wire)?;
                    return Ok((taken, self.execute(command, &unit, cx)?));
                }
                Heal::Bare => {}
            }
        }
        match pause {
            Pause::None if input.is_empty() => return Ok((0, Intake::Bytes)),
            Pause::Quiet(_) if input.is_empty() => return Err(NO_DATA.into()),
            _ => {}
        }
        match std::mem::replace(&mut self.state, State::Command) {
            // One more than is allowed: the byte too many is how a file too large shows itself.
            State::Expecting { upload, .. } => {
                let most = self.store.largest().saturating_add(1);
                Ok((0, self.receive(upload, None, most)))
            }
            _ => unreachable!("matched above"),
        }
    }

    fn list(&mut self, folder: Option<&str>, cx: &mut Cx<'_>) -> Intake {
        match self.store.list(folder, cx.me) {
            Ok(listing) => self.list_on(ListReply::new(listing, self.is_bare()), cx),
            Err(error) => {
                self.say_error(list_reply::refusal(&error, folder), cx);
                Intake::Bytes
            }
        }
    }

    fn list_on(&mut self, mut reply: ListReply, cx: &mut Cx<'_>) -> Intake {
        match reply.poll(cx.out) {
            Poll::Ready(Ok(())) => Intake::Bytes,
            Poll::Ready(Err(error)) => self.decline(&error, cx),
            Poll::Pending => {
                self.state = State::Listing(reply);
                Intake::Wait
            }
        }
    }
    fn end_body(&mut self, end: BodyEnd, cx: &mut Cx<'_>) -> Result<Intake, Refusal> {
        let state = std::mem::replace(&mut self.state, State::Command);
        let State::Receiving { upload, size, most } = state else {
            unreachable!("a body ended that was not asked for")
        };
        let then = match (end, size) {
            (BodyEnd::Complete, Some(_)) => Then::Created,
            (BodyEnd::PeerFinished { .. }, None) => Then::CreatedLast,
            (BodyEnd::Complete, None) => return Err(StoreError::TooLarge(most - 1).into()),
            (BodyEnd::PeerFinished { missing }, Some(size)) => {
                let came = size - missing;
                return Err(format!("only {came} of {size} bytes came; nothing is stored").into());
            }
            (BodyEnd::BlobFailed(error), _) => return Err(StoreError::from(error).into()),
            (BodyEnd::Abandoned, _) => return Ok(Intake::Close(CloseReason::PeerReset)),
        };
        self.go_on(upload.commit(cx.me), then, cx)
    }

    /// Answers as soon as the store is done.
    fn go_on(
        &mut self,
        mut errand: Box<dyn Errand>,
        then: Then,
        cx: &mut Cx<'_>,
    ) -> Result<Intake, Refusal> {
        let Poll::Ready(done) = errand.poll() else {
            self.state = State::Waiting { errand, then };
            return Ok(Intake::Wait);
        };
        if done.is_ok() {
            self.report.stored();
        }
        match (done, then) {
            (Ok(()), Then::Removed) => Ok(self.agree(&format!("OK {REMOVED}"), REMOVED, cx)),
            (Err(error), Then::Removed) => Ok(self.decline(&error, cx)),
            (Ok(()), Then::Created) => Ok(self.agree(&format!("OK {CREATED}"), CREATED, cx)),
            (Ok(()), Then::CreatedLast) => {
                self.agree(&format!("OK {CREATED}"), CREATED, cx);
                Ok(Intake::Close(CloseReason::PeerFinished))
            }
            (Err(error), Then::Created | Then::CreatedLast) => Err(error.into()),
        }
    }
}

impl Protocol for Files {
    fn on_bytes(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        let step = match self.state {
            State::Expecting { .. } => self.expect(input, pause, cx),
            _ => self.command(input, pause, cx),
        };
        match step {
            Ok((taken, intake)) => (taken, intake),
            Err(refusal) => {
                if let (State::Command, Some(name)) = (&self.state, command::upload(input)) {
                    self.report.guess(name);
                }
                (0, self.or_close(Err(refusal), cx))
            }
        }
    }

    fn on_body(&mut self, end: BodyEnd, cx: &mut Cx<'_>) -> Intake {
        let ended = self.end_body(end, cx);
        self.or_close(ended, cx)
    }

    fn on_work(&mut self, cx: &mut Cx<'_>) -> Intake {
        match std::mem::replace(&mut self.state, State::Command) {
            State::Waiting { errand, then } => {
                let gone_on = self.go_on(errand, then, cx);
                self.or_close(gone_on, cx)
            }
            State::Listing(reply) => self.list_on(reply, cx),
            State::LookingUp(unit, errand) => {
                let run = self.looked_up(&unit, errand, cx);
                self.or_close(run, cx)
            }
            _ => unreachable!("work was done that was not announced"),
        }
    }

    fn on_close(&mut self, reason: CloseReason, cx: &mut Cx<'_>) {
        // What the store has begun to make visible it also ends, without a peer.
        if !matches!(self.state, State::Waiting { .. }) {
            self.report.lost(reason, cx);
        }
    }

    fn awaited(&self) -> Option<Delay> {
        match self.state {
            State::Command => self.splitter.awaited(),
            State::Expecting { .. } => Some(Delay::FirstByte),
            State::LookingUp(..)
            | State::Listing(_)
            | State::Receiving { .. }
            | State::Waiting { .. } => None,
        }
    }
}
