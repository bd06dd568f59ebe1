//! Speaks the files service: ls, size, rm, download, upload and byebye, in both dialects.
//!
//! ```text
//!                       line upload
//!   Command ──▶ Waiting ───────────────────────▶ Receiving ──▶ Waiting ──▶ Command
//!      ▲         │   │  bare upload  first byte      ▲    └──────┴──▶ closed
//!      └─────────┘   └────▶ Expecting ───────────────┘
//!                              └─ late LF ──▶ Command;  silence ──▶ closed
//! ```

use super::ServiceLimits;
use super::reject::Refusal;
use super::upload_log::UploadReport;
use crate::session::blob::Blob;
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{BodyEnd, Context, Intake, Protocol, Receive};
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{Content, Requester, Store, Upload};
use crate::wire::files_command::{self, Command};
use crate::wire::follows::{Follows, Timer};
use crate::wire::framing::{Dialect, Frame, Framer, LateNewline};
use crate::wire::text;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;

const NOT_FOUND: &str = "File Tidak Ditemukan";
const REMOVED: &str = "File Berhasil Dihapus";
const CREATED: &str = "File Berhasil Dibuat";
const NO_DATA: &str = "no data came, nothing is stored; send the file's bytes a moment after the \
                       command, and then shut down your sending side (SHUT_WR)";

/// The files service.
pub struct Files {
    framer: Framer,
    limits: Rc<ServiceLimits>,
    store: Rc<dyn Store>,
    report: UploadReport,
    state: State,
}

enum State {
    Command,
    /// The store was asked.
    Waiting(Pending<Answer>),
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
}

/// What the store says, and what it is needed for.
enum Answer {
    /// A download that begins at this offset.
    Opened(Result<Content, StoreError>, u64),
    Size(Result<u64, StoreError>),
    /// A list, and what looks like an option in the place of the folder.
    List(Result<Content, StoreError>, Option<Box<str>>),
    Removed(Result<(), StoreError>),
    /// An upload of this size. The last part is the command as it came.
    Begun(Result<Box<dyn Upload>, StoreError>, Option<u64>, Box<[u8]>),
    /// An upload; `last` if the peer has said all that it had to say.
    Stored {
        done: Result<(), StoreError>,
        last: bool,
    },
}

/// How much was taken and what comes next, or why the conversation ends.
type Step = Result<(usize, Intake), Refusal>;

impl Files {
    /// A new conversation with this peer, about the files of this store.
    pub fn new(limits: Rc<ServiceLimits>, store: Rc<dyn Store>, peer: SocketAddr) -> Files {
        Files {
            framer: Framer::new(limits.wire.unit),
            limits,
            store,
            report: UploadReport::new(peer),
            state: State::Command,
        }
    }

    fn is_bare(&self) -> bool {
        self.framer.dialect() == Dialect::Bare
    }

    fn line_end(&self) -> &'static str {
        self.framer.dialect().line_end()
    }

    /// A good answer: `OK` and what follows it, or in the bare dialect the plain text alone.
    fn agree(&self, line: &str, bare: &str, cx: &mut Context<'_>) -> Intake {
        let reply = if self.is_bare() { bare } else { line };
        cx.out.bytes(reply.as_bytes());
        cx.out.bytes(self.line_end().as_bytes());
        Intake::Bytes
    }

    /// A plain no to a question: the conversation goes on.
    fn decline(&self, error: &StoreError, cx: &mut Context<'_>) -> Intake {
        match error {
            StoreError::NotFound if self.is_bare() => cx.out.bytes(NOT_FOUND.as_bytes()),
            StoreError::NotFound => cx.out.bytes(format!("ERROR {NOT_FOUND}\n").as_bytes()),
            other => self.say_error(other, cx),
        }
        Intake::Bytes
    }

    /// The rest of the stream cannot be told from a body: say why, and close.
    fn or_close(&mut self, intake: Result<Intake, Refusal>, cx: &mut Context<'_>) -> Intake {
        intake.unwrap_or_else(|Refusal(why)| {
            self.state = State::Command;
            self.report.lost(&why, cx);
            self.say_error(why, cx);
            Intake::Close(CloseReason::Refused)
        })
    }

    fn say_error(&self, why: impl Display, cx: &mut Context<'_>) {
        cx.out
            .bytes(format!("ERROR {why}{}", self.line_end()).as_bytes());
    }

    fn command(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> Step {
        let wire = &self.limits.wire;
        let split = self.framer.split(input, follows, |unit| {
            files_command::unended(unit, follows, wire)
        });
        match split {
            Frame::More => Ok((0, Intake::Bytes)),
            Frame::End => Ok((0, Intake::Close(CloseReason::PeerFinished))),
            Frame::Healed { taken } => {
                cx.out.bytes(b"\n");
                Ok((taken, Intake::Bytes))
            }
            // Somebody pressed Enter; nothing was asked.
            Frame::Unit { text: b"", taken } => Ok((taken, Intake::Bytes)),
            Frame::Unit { text, taken } => Ok((taken, self.run(text, follows, cx)?)),
            Frame::Broken(fault) => Err(fault.into()),
        }
    }

    fn run(
        &mut self,
        unit: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> Result<Intake, Refusal> {
        let wire = &self.limits.wire;
        let command = match self.framer.dialect() {
            Dialect::Bare => files_command::parse_bare(unit, wire)?,
            Dialect::Line | Dialect::Undecided => files_command::parse_line(unit, wire)?,
        };
        // What looks like the end of the name may be data that was sent too soon.
        if follows == Follows::Eof && matches!(command, Command::Upload(_, None)) {
            return Err(NO_DATA.into());
        }
        self.execute(command, unit, cx)
    }

    fn client(&self, cx: &Context<'_>) -> Requester {
        Requester {
            session: cx.me,
            address: self.report.address(),
        }
    }

    fn execute(
        &mut self,
        command: Command<'_>,
        unit: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Intake, Refusal> {
        let (store, client) = (&self.store, self.client(cx));
        let answer = match command {
            Command::List(folder) => {
                // Other programs of this name take options.
                let option = folder
                    .filter(|folder| folder.starts_with('-'))
                    .map(Box::from);
                let list = store.list(folder, client);
                list.map(|list| Answer::List(list, option))
            }
            Command::Size(name) => store.size(name, client).map(Answer::Size),
            Command::Remove(name) => store.remove(name, client).map(Answer::Removed),
            Command::Download(name, offset) => {
                let opened = store.open(name, client);
                opened.map(move |opened| Answer::Opened(opened, offset))
            }
            Command::Upload(name, size) => {
                self.report.begin(name.as_bytes());
                let (begun, unit) = (store.create(name, size, client), unit.into());
                begun.map(move |begun| Answer::Begun(begun, size, unit))
            }
            Command::Goodbye => {
                self.agree("OK", "", cx);
                return Ok(Intake::Close(CloseReason::Goodbye));
            }
        };
        self.go_on(answer, cx)
    }

    /// Answers as soon as the store does.
    fn go_on(&mut self, answer: Pending<Answer>, cx: &mut Context<'_>) -> Result<Intake, Refusal> {
        let answer = match answer.take() {
            Ok(answer) => answer,
            Err(pending) => {
                self.state = State::Waiting(pending);
                return Ok(Intake::Wait);
            }
        };
        Ok(match answer {
            Answer::Opened(Ok((blob, length)), offset) => self.download(blob, offset..length, cx),
            Answer::Size(Ok(bytes)) => {
                // Of 1,048,576 bytes, as the textbook shell counts them.
                let plain = format!("{:.2} MB", bytes as f64 / f64::from(1 << 20));
                self.agree(&format!("OK {bytes} {plain}"), &plain, cx)
            }
            Answer::List(Ok(list), _) => self.list(list, cx),
            Answer::List(Err(error), Some(option)) => {
                let option = text::excerpt(option.as_bytes());
                self.say_error(
                    format_args!(
                        "{error}: {option}; ls takes the name of a folder, and no options"
                    ),
                    cx,
                );
                Intake::Bytes
            }
            Answer::Removed(Ok(())) => self.agree(&format!("OK {REMOVED}"), REMOVED, cx),
            Answer::Opened(Err(error), _)
            | Answer::Size(Err(error))
            | Answer::List(Err(error), None)
            | Answer::Removed(Err(error)) => self.decline(&error, cx),
            Answer::Begun(upload, None, unit) => {
                let upload = upload?;
                self.state = State::Expecting { upload, unit };
                Intake::Bytes
            }
            Answer::Begun(upload, Some(size), _) => {
                let upload = upload?;
                cx.out.bytes(b"OK\n");
                self.receive(upload, Some(size), size)
            }
            Answer::Stored { done, last } => {
                done?;
                self.report.stored();
                match (self.agree(&format!("OK {CREATED}"), CREATED, cx), last) {
                    (_, true) => Intake::Close(CloseReason::PeerFinished),
                    (intake, false) => intake,
                }
            }
        })
    }

    fn download(&self, blob: Rc<dyn Blob>, range: Range<u64>, cx: &mut Context<'_>) -> Intake {
        let (offset, length) = (range.start, range.end);
        if offset > length {
            self.say_error(format_args!("the file has only {length} bytes"), cx);
            return Intake::Bytes;
        }
        if !self.is_bare() {
            cx.out.bytes(format!("OK {}\n", length - offset).as_bytes());
        }
        cx.out.body(blob, range);
        Intake::Bytes
    }

    /// A bare peer gets no header, and line ends only between the names.
    fn list(&self, (list, length): Content, cx: &mut Context<'_>) -> Intake {
        if !self.is_bare() {
            cx.out.bytes(format!("OK {length}\n").as_bytes());
            cx.out.body(list, 0..length);
        } else if length == 0 {
            // An empty reply would leave a textbook client in its recv() for ever.
            cx.out.bytes(b"\n");
        } else {
            cx.out.body(list, 0..length - 1);
        }
        Intake::Bytes
    }

    fn receive(&mut self, upload: Box<dyn Upload>, size: Option<u64>, most: u64) -> Intake {
        let receive = Receive::new(upload.blob(), most);
        self.state = State::Receiving { upload, size, most };
        Intake::Body(receive)
    }

    /// Waits for the first byte of a bare upload.
    fn expect(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> Step {
        let State::Expecting { unit, .. } = &self.state else {
            unreachable!("not expecting")
        };
        // `upload a.txt 5` without LF looks bare. If the LF comes after all, a line was meant.
        let limits = self.limits.clone();
        if let Ok(Command::Upload(_, Some(_))) = files_command::parse_line(unit, &limits.wire) {
            match self.framer.heal(input, follows) {
                LateNewline::Undecided => return Ok((0, Intake::Bytes)),
                LateNewline::Line { taken } => {
                    let unit = unit.clone();
                    self.state = State::Command;
                    let command = files_command::parse_line(&unit, &limits.wire)?;
                    return Ok((taken, self.execute(command, &unit, cx)?));
                }
                LateNewline::Bare => {}
            }
        }
        match follows {
            Follows::More if input.is_empty() => return Ok((0, Intake::Bytes)),
            Follows::Silence(_) if input.is_empty() => return Err(NO_DATA.into()),
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

    fn end_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Result<Intake, Refusal> {
        let state = std::mem::replace(&mut self.state, State::Command);
        let State::Receiving { upload, size, most } = state else {
            unreachable!("a body ended that was not asked for")
        };
        let last = match (end, size) {
            (BodyEnd::Complete, Some(_)) => false,
            (BodyEnd::PeerFinished { .. }, None) => true,
            (BodyEnd::Complete, None) => return Err(StoreError::TooLarge(most - 1).into()),
            (BodyEnd::PeerFinished { missing }, Some(size)) => {
                let came = size - missing;
                return Err(format!("only {came} of {size} bytes came; nothing is stored").into());
            }
            (BodyEnd::BlobFailed(error), _) => return Err(StoreError::from(error).into()),
            (BodyEnd::Abandoned, _) => return Ok(Intake::Close(CloseReason::PeerReset)),
        };
        let stored = upload.commit(b"", self.client(cx));
        self.go_on(stored.map(move |done| Answer::Stored { done, last }), cx)
    }
}

impl Protocol for Files {
    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        let step = match self.state {
            State::Expecting { .. } => self.expect(input, follows, cx),
            _ => self.command(input, follows, cx),
        };
        match step {
            Ok((taken, intake)) => (taken, intake),
            Err(refusal) => {
                if let (State::Command, Some(name)) = (&self.state, files_command::upload(input)) {
                    self.report.guess(name);
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
        let State::Waiting(answer) = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("work was done that was not announced")
        };
        let gone_on = self.go_on(answer, cx);
        self.or_close(gone_on, cx)
    }

    fn on_close(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        // What the store has begun to make visible it also ends, without a peer.
        if !matches!(self.state, State::Waiting(_)) {
            self.report.lost(reason, cx);
        }
    }

    fn awaited(&self) -> Option<Timer> {
        match self.state {
            State::Command => self.framer.awaited(),
            State::Expecting { .. } => Some(Timer::FirstByte),
            State::Waiting(_) | State::Receiving { .. } => None,
        }
    }
}
