//! The files service: `ls`, `size`, `sum`, `rm`, `mv`, `mkdir`, `download`, `upload` and `byebye`,
//! in both dialects.
//!
//! ```text
//!                       line upload
//!   Command ──▶ Waiting ───────────────────────▶ Receiving ──▶ Waiting ──▶ Command
//!      ▲         │   │  bare upload  first byte      ▲    └──────┴──▶ closed
//!      └─────────┘   └────▶ FirstByte ───────────────┘
//!                              └─ late LF ──▶ Command;  silence ──▶ closed
//! ```

use super::ServiceLimits;
use super::reject::{Handled, Reject};
use super::upload_log::UploadLog;
use crate::session::blob::Blob;
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{BodyEnd, Context, Intake, Protocol, Receive};
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{
    Content, FileDigest, ListStyle, OpenFile, Overwrite, Requester, Store, StoreReply, Stored,
    Upload,
};
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
const RENAMED: &str = "the name is changed";
const FOLDER_MADE: &str = "the folder is made";
const NO_DATA: &str = "no data came, nothing is stored; send the file's bytes a moment after the \
                       command, and then shut down your sending side (SHUT_WR)";

/// The files service.
pub struct Files {
    framer: Framer,
    limits: Rc<ServiceLimits>,
    store: Rc<dyn Store>,
    upload_log: UploadLog,
    state: FilesState,
}

enum FilesState {
    Command,
    /// A store operation is pending.
    Waiting(Pending<FilesAnswer>),
    /// A bare upload before its first byte. `unit` is the text of the command.
    FirstByte {
        upload: Box<dyn Upload>,
        unit: Box<[u8]>,
    },
    /// A body of at most `most` bytes arrives. `size` is known in the line dialect only.
    Receiving {
        upload: Box<dyn Upload>,
        size: Option<u64>,
        most: u64,
    },
}

/// The result of a store operation, and the command that it belongs to.
enum FilesAnswer {
    /// A download from this offset on.
    Opened(Result<OpenFile, StoreError>, u64),
    Size(Result<u64, StoreError>),
    /// A listing, and the folder's name if it looks like an option.
    List(Result<Content, StoreError>, Option<Box<str>>),
    Sum(Result<FileDigest, StoreError>),
    /// A change of a name, and the words for it.
    Changed(Result<(), StoreError>, &'static str),
    /// An upload of this size, and the text of the command.
    Begun(Result<Box<dyn Upload>, StoreError>, Option<u64>, Box<[u8]>),
    /// A committed upload; `last` if the peer's stream has ended.
    Stored {
        done: Result<Stored, StoreError>,
        last: bool,
    },
}

impl Files {
    /// A session of the peer at this address.
    pub fn new(limits: Rc<ServiceLimits>, store: Rc<dyn Store>, peer: SocketAddr) -> Files {
        Files {
            framer: Framer::new(limits.wire.unit),
            limits,
            store,
            upload_log: UploadLog::new("files", peer),
            state: FilesState::Command,
        }
    }

    fn is_bare(&self) -> bool {
        self.framer.dialect() == Dialect::Bare
    }

    fn line_end(&self) -> &'static str {
        self.framer.dialect().line_end()
    }

    /// Sends a positive answer: `line` begins with `OK`; the bare dialect has `bare` instead.
    fn reply_ok(&self, line: &str, bare: &str, cx: &mut Context<'_>) -> Intake {
        let reply = if self.is_bare() { bare } else { line };
        cx.out.bytes(reply.as_bytes());
        cx.out.bytes(self.line_end().as_bytes());
        Intake::Bytes
    }

    /// Sends a negative answer. The connection stays open.
    fn reply_error(&self, error: &StoreError, cx: &mut Context<'_>) -> Intake {
        match error {
            StoreError::NotFound if self.is_bare() => cx.out.bytes(NOT_FOUND.as_bytes()),
            StoreError::NotFound => cx.out.bytes(format!("ERROR {NOT_FOUND}\n").as_bytes()),
            other => self.write_error(other, cx),
        }
        Intake::Bytes
    }

    /// Sends the reason and closes: what follows may be a body, which looks like commands.
    fn close_on_reject(&mut self, intake: Result<Intake, Reject>, cx: &mut Context<'_>) -> Intake {
        intake.unwrap_or_else(|Reject(why)| {
            self.state = FilesState::Command;
            self.upload_log.failed(&why, cx);
            self.write_error(why, cx);
            Intake::Close(CloseReason::Refused)
        })
    }

    fn write_error(&self, why: impl Display, cx: &mut Context<'_>) {
        cx.out
            .bytes(format!("ERROR {why}{}", self.line_end()).as_bytes());
    }

    fn read_command(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>) -> Handled {
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
            // An empty line.
            Frame::Unit { text: b"", taken } => Ok((taken, Intake::Bytes)),
            Frame::Unit { text, taken } => Ok((taken, self.handle_unit(text, follows, cx)?)),
            Frame::Broken(fault) => Err(fault.into()),
        }
    }

    fn handle_unit(
        &mut self,
        unit: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> Result<Intake, Reject> {
        let wire = &self.limits.wire;
        let command = match self.framer.dialect() {
            Dialect::Bare => files_command::parse_bare(unit, wire)?,
            Dialect::Line | Dialect::Undecided => files_command::parse_line(unit, wire)?,
        };
        // The end of the name may be data that was sent too early.
        if follows == Follows::Eof && matches!(command, Command::Upload(_, None)) {
            return Err(NO_DATA.into());
        }
        self.execute(command, unit, cx)
    }

    fn requester(&self, cx: &Context<'_>) -> Requester {
        Requester {
            session: cx.me,
            address: self.upload_log.address(),
            reads: cx.reads,
        }
    }

    fn execute(
        &mut self,
        command: Command<'_>,
        unit: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Intake, Reject> {
        let (store, client) = (&self.store, self.requester(cx));
        let answer = match command {
            Command::List(folder) => {
                // ls(1) takes options, so that users try them.
                let option = folder
                    .filter(|folder| folder.starts_with('-'))
                    .map(Box::from);
                let list = store.list(folder, ListStyle::Names, client);
                list.map(|list| FilesAnswer::List(list, option))
            }
            Command::Size(name) => store.size(name, client).map(FilesAnswer::Size),
            Command::Sum(name, length) => store.digest(name, length, client).map(FilesAnswer::Sum),
            Command::Remove(name) => changed(store.remove(name, client), REMOVED),
            Command::Rename(old, new) => changed(store.rename(old, new, client), RENAMED),
            Command::MakeFolder(name) => changed(store.make_folder(name, client), FOLDER_MADE),
            Command::Download(name, offset) => {
                let opened = store.open(name, client);
                opened.map(move |opened| FilesAnswer::Opened(opened, offset))
            }
            Command::Upload(name, size) => {
                self.upload_log.begin(name.as_bytes());
                let (begun, unit) = (store.create(name, size, client), unit.into());
                begun.map(move |begun| FilesAnswer::Begun(begun, size, unit))
            }
            Command::Goodbye => {
                self.reply_ok("OK", "", cx);
                return Ok(Intake::Close(CloseReason::Goodbye));
            }
        };
        self.resume(answer, cx)
    }

    /// Answers the peer, or waits until the store operation is done.
    fn resume(
        &mut self,
        answer: Pending<FilesAnswer>,
        cx: &mut Context<'_>,
    ) -> Result<Intake, Reject> {
        let answer = match answer.take() {
            Ok(answer) => answer,
            Err(pending) => {
                self.state = FilesState::Waiting(pending);
                return Ok(Intake::Wait);
            }
        };
        Ok(match answer {
            FilesAnswer::Opened(Ok(file), offset) => {
                let (blob, length) = file.content();
                self.download(blob, offset..length, cx)
            }
            FilesAnswer::Size(Ok(bytes)) => {
                // A MB has 1,048,576 bytes, as in the textbook shell.
                let plain = format!("{:.2} MB", bytes as f64 / f64::from(1 << 20));
                self.reply_ok(&format!("OK {bytes} {plain}"), &plain, cx)
            }
            FilesAnswer::List(Ok(list), _) => self.list(list, cx),
            FilesAnswer::List(Err(error), Some(option)) => {
                let option = text::excerpt(option.as_bytes());
                self.write_error(
                    format_args!(
                        "{error}: {option}; ls takes the name of a folder, and no options"
                    ),
                    cx,
                );
                Intake::Bytes
            }
            FilesAnswer::Sum(Ok(digest)) => {
                let hex = text::hex(&digest.sha256);
                self.reply_ok(&format!("OK {hex}"), &hex, cx)
            }
            FilesAnswer::Changed(Ok(()), words) => self.reply_ok(&format!("OK {words}"), words, cx),
            FilesAnswer::Opened(Err(error), _)
            | FilesAnswer::Size(Err(error))
            | FilesAnswer::List(Err(error), None)
            | FilesAnswer::Sum(Err(error))
            | FilesAnswer::Changed(Err(error), _) => self.reply_error(&error, cx),
            FilesAnswer::Begun(upload, None, unit) => {
                let upload = upload?;
                self.state = FilesState::FirstByte { upload, unit };
                Intake::Bytes
            }
            FilesAnswer::Begun(upload, Some(size), _) => {
                let upload = upload?;
                cx.out.bytes(b"OK\n");
                self.begin_body(upload, Some(size), size)
            }
            FilesAnswer::Stored { done, last } => {
                done?;
                self.upload_log.stored();
                match (self.reply_ok(&format!("OK {CREATED}"), CREATED, cx), last) {
                    (_, true) => Intake::Close(CloseReason::PeerFinished),
                    (intake, false) => intake,
                }
            }
        })
    }

    fn download(&self, blob: Rc<dyn Blob>, range: Range<u64>, cx: &mut Context<'_>) -> Intake {
        let (offset, length) = (range.start, range.end);
        if offset > length {
            self.write_error(format_args!("the file has only {length} bytes"), cx);
            return Intake::Bytes;
        }
        if !self.is_bare() {
            cx.out.bytes(format!("OK {}\n", length - offset).as_bytes());
        }
        cx.out.body(blob, range);
        Intake::Bytes
    }

    /// Sends a listing. A bare peer gets no header, and LF only between the names.
    fn list(&self, (list, length): Content, cx: &mut Context<'_>) -> Intake {
        if !self.is_bare() {
            cx.out.bytes(format!("OK {length}\n").as_bytes());
            cx.out.body(list, 0..length);
        } else if length == 0 {
            // A textbook client would wait in recv() for ever if the reply were empty.
            cx.out.bytes(b"\n");
        } else {
            cx.out.body(list, 0..length - 1);
        }
        Intake::Bytes
    }

    fn begin_body(&mut self, upload: Box<dyn Upload>, size: Option<u64>, most: u64) -> Intake {
        let receive = Receive::new(upload.blob(), most);
        self.state = FilesState::Receiving { upload, size, most };
        Intake::Body(receive)
    }

    /// Waits for the first byte of a bare upload.
    fn await_first_byte(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> Handled {
        let FilesState::FirstByte { unit, .. } = &self.state else {
            unreachable!("not expecting")
        };
        // `upload a.txt 5` without LF looks bare. If LF follows late, it was a line.
        let limits = self.limits.clone();
        if let Ok(Command::Upload(_, Some(_))) = files_command::parse_line(unit, &limits.wire) {
            match self.framer.heal(input, follows) {
                LateNewline::Undecided => return Ok((0, Intake::Bytes)),
                LateNewline::Line { taken } => {
                    let unit = unit.clone();
                    self.state = FilesState::Command;
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
        match std::mem::replace(&mut self.state, FilesState::Command) {
            // One byte more than allowed, so that a file that is too large is detected.
            FilesState::FirstByte { upload, .. } => {
                let most = self.store.largest().saturating_add(1);
                Ok((0, self.begin_body(upload, None, most)))
            }
            _ => unreachable!("matched above"),
        }
    }

    fn end_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Result<Intake, Reject> {
        let state = std::mem::replace(&mut self.state, FilesState::Command);
        let FilesState::Receiving { upload, size, most } = state else {
            unreachable!("a body ended that was not asked for")
        };
        let last = match (end, size) {
            (BodyEnd::Complete, Some(_)) => false,
            (BodyEnd::PeerFinished { .. }, None) => true,
            (BodyEnd::Complete, None) => return Err(StoreError::TooLarge(most - 1).into()),
            (BodyEnd::PeerFinished { missing }, Some(size)) => {
                let received = size - missing;
                return Err(
                    format!("only {received} of {size} bytes came; nothing is stored").into(),
                );
            }
            (BodyEnd::BlobFailed(error), _) => return Err(StoreError::from(error).into()),
            (BodyEnd::Abandoned, _) => return Ok(Intake::Close(CloseReason::PeerReset)),
        };
        let stored = upload.commit(b"", Overwrite::Allowed, self.requester(cx));
        self.resume(
            stored.map(move |done| FilesAnswer::Stored { done, last }),
            cx,
        )
    }
}

fn changed(done: StoreReply<()>, words: &'static str) -> Pending<FilesAnswer> {
    done.map(move |done| FilesAnswer::Changed(done, words))
}

impl Protocol for Files {
    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        let step = match self.state {
            FilesState::FirstByte { .. } => self.await_first_byte(input, follows, cx),
            _ => self.read_command(input, follows, cx),
        };
        match step {
            Ok((taken, intake)) => (taken, intake),
            Err(reject) => {
                if let (FilesState::Command, Some(name)) =
                    (&self.state, files_command::upload(input))
                {
                    self.upload_log.note_name(name);
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
        let FilesState::Waiting(answer) = std::mem::replace(&mut self.state, FilesState::Command)
        else {
            unreachable!("work was done that was not announced")
        };
        let resumed = self.resume(answer, cx);
        self.close_on_reject(resumed, cx)
    }

    fn on_close(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        // The store finishes a commit that it has begun, also without the peer.
        if !matches!(self.state, FilesState::Waiting(_)) {
            self.upload_log.failed(reason, cx);
        }
    }

    fn awaited(&self) -> Option<Timer> {
        match self.state {
            FilesState::Command => self.framer.awaited(),
            FilesState::FirstByte { .. } => Some(Timer::FirstByte),
            FilesState::Waiting(_) | FilesState::Receiving { .. } => None,
        }
    }
}
