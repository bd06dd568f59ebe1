//! Speaks the files service: ls, size, rm, download, upload and byebye, in both dialects.
//! Touches no file itself: the store does, through its trait.
//!
//! ```text
//!            ls                         line upload
//!   Listing ◀──── Command ─────────────────────────────▶ Receiving ──▶ Command
//!      └────────▶    │  bare upload        first byte        ▲    └──▶ closed
//!                    └────────────▶ Expecting ───────────────┘
//! ```

use super::limits::ServiceLimits;
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{BodyEnd, Cx, Intake, Protocol, Receive};
use crate::session::world::{Listing, StoreError, Upload};
use crate::wire::command::{self, Command};
use crate::wire::pause::{Delay, Pause};
use crate::wire::unit::{Dialect, Heal, Split, Splitter};
use std::fmt::Display;
use std::rc::Rc;

const NOT_FOUND: &str = "File Tidak Ditemukan";
const REMOVED: &str = "File Berhasil Dihapus";
const CREATED: &str = "File Berhasil Dibuat";

/// The files service.
pub struct Files {
    splitter: Splitter,
    limits: Rc<ServiceLimits>,
    state: State,
}

enum State {
    Command,
    /// A folder is being read, or its entries are going out.
    Listing {
        listing: Box<dyn Listing>,
        phase: ListPhase,
    },
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

enum ListPhase {
    Reading,
    Sending { first: bool },
}

impl Files {
    /// A new conversation.
    pub fn new(limits: Rc<ServiceLimits>) -> Files {
        Files {
            splitter: Splitter::new(limits.wire.unit),
            limits,
            state: State::Command,
        }
    }

    fn is_bare(&self) -> bool {
        self.splitter.dialect() == Dialect::Bare
    }

    fn line_end(&self) -> &'static str {
        if self.is_bare() { "" } else { "\n" }
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
    fn refuse(&mut self, why: impl Display, cx: &mut Cx<'_>) -> Intake {
        self.state = State::Command;
        self.say_error(why, cx);
        Intake::Close(CloseReason::Refused)
    }

    fn say_error(&self, why: impl Display, cx: &mut Cx<'_>) {
        cx.out
            .bytes(format!("ERROR {why}{}", self.line_end()).as_bytes());
    }

    fn command(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        let wire = &self.limits.wire;
        let split = self
            .splitter
            .split(input, pause, |unit| command::parse_bare(unit, wire).is_ok());
        match split {
            Split::More => (0, Intake::Bytes),
            Split::End => (0, Intake::Close(CloseReason::PeerFinished)),
            Split::Healed { taken } => {
                cx.out.bytes(b"\n");
                (taken, Intake::Bytes)
            }
            // Somebody pressed Enter; nothing was asked.
            Split::Unit { text: b"", taken } => (taken, Intake::Bytes),
            Split::Unit { text, taken } => (taken, self.run(text, cx)),
            Split::Broken(fault) => (0, self.refuse(fault, cx)),
        }
    }

    fn run(&mut self, unit: &[u8], cx: &mut Cx<'_>) -> Intake {
        let limits = self.limits.clone();
        let parsed = if self.is_bare() {
            command::parse_bare(unit, &limits.wire)
        } else {
            command::parse_line(unit, &limits.wire)
        };
        match parsed {
            Err(fault) => self.refuse(fault, cx),
            Ok(Command::List(folder)) => self.list(folder, cx),
            Ok(Command::Size(name)) => match cx.store.size(name) {
                Ok(bytes) => {
                    let megabytes = megabytes(bytes);
                    self.agree(
                        &format!("OK {bytes} {megabytes} MB"),
                        &format!("{megabytes} MB"),
                        cx,
                    )
                }
                Err(error) => self.decline(&error, cx),
            },
            Ok(Command::Remove(name)) => match cx.store.remove(name) {
                Ok(()) => self.agree(&format!("OK {REMOVED}"), REMOVED, cx),
                Err(error) => self.decline(&error, cx),
            },
            Ok(Command::Download(name, offset)) => self.download(name, offset, cx),
            Ok(Command::Upload(name, size)) => self.upload(name, size, unit, cx),
            Ok(Command::Goodbye) => {
                self.agree("OK", "", cx);
                Intake::Close(CloseReason::Goodbye)
            }
        }
    }

    fn download(&mut self, name: &str, offset: u64, cx: &mut Cx<'_>) -> Intake {
        match cx.store.open(name) {
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

    fn upload(&mut self, name: &str, size: Option<u64>, unit: &[u8], cx: &mut Cx<'_>) -> Intake {
        let upload = match cx.store.create(name, size) {
            Ok(upload) => upload,
            Err(error) => return self.refuse(error, cx),
        };
        match size {
            Some(size) => {
                cx.out.bytes(b"OK\n");
                self.receive(upload, Some(size), size)
            }
            None => {
                self.state = State::Expecting {
                    upload,
                    unit: unit.into(),
                };
                Intake::Bytes
            }
        }
    }

    fn receive(&mut self, upload: Box<dyn Upload>, size: Option<u64>, most: u64) -> Intake {
        let receive = Receive {
            left: most,
            at: 0,
            into: upload.blob(),
        };
        self.state = State::Receiving { upload, size, most };
        Intake::Body(receive)
    }

    /// Waits for the first byte of a bare upload.
    fn expect(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        let State::Expecting { unit, .. } = &self.state else {
            unreachable!("not expecting")
        };
        // `upload a.txt 5` without LF looks bare. If the LF comes after all, a line was meant.
        if let Ok(Command::Upload(_, Some(_))) = command::parse_line(unit, &self.limits.wire) {
            match self.splitter.heal(input, pause) {
                Heal::Undecided => return (0, Intake::Bytes),
                Heal::Line { taken } => {
                    let unit = unit.clone();
                    self.state = State::Command;
                    return (taken, self.run(&unit, cx));
                }
                Heal::Bare => {}
            }
        }
        if input.is_empty() && pause == Pause::None {
            return (0, Intake::Bytes);
        }
        if input.is_empty() && pause != Pause::Finished {
            let hint = "no data came; send the file's bytes and then shut down your sending side \
                        (SHUT_WR) to end the upload";
            return (0, self.refuse(hint, cx));
        }
        match std::mem::replace(&mut self.state, State::Command) {
            // One more than is allowed: the byte too many is how a file too large shows itself.
            State::Expecting { upload, .. } => (
                0,
                self.receive(upload, None, cx.store.largest().saturating_add(1)),
            ),
            _ => unreachable!("not expecting"),
        }
    }

    fn store(&mut self, upload: Box<dyn Upload>, next: Intake, cx: &mut Cx<'_>) -> Intake {
        match upload.commit() {
            Ok(()) => {
                self.agree(&format!("OK {CREATED}"), CREATED, cx);
                next
            }
            Err(error) => self.refuse(error, cx),
        }
    }

    fn list(&mut self, folder: Option<&str>, cx: &mut Cx<'_>) -> Intake {
        match cx.store.list(folder) {
            Ok(listing) => {
                self.state = State::Listing {
                    listing,
                    phase: ListPhase::Reading,
                };
                Intake::Work
            }
            Err(error) => self.decline(&error, cx),
        }
    }

    /// Sends the next batch of entries; says whether there was one.
    fn send_entries(
        listing: &mut dyn Listing,
        first: &mut bool,
        bare: bool,
        cx: &mut Cx<'_>,
    ) -> bool {
        let batch = listing.next_batch();
        for entry in &batch {
            if bare && !std::mem::take(first) {
                cx.out.bytes(b"\n");
            }
            cx.out.bytes(entry.as_bytes());
            if !bare {
                cx.out.bytes(b"\n");
            }
        }
        !batch.is_empty()
    }
}

impl Protocol for Files {
    fn on_bytes(&mut self, input: &[u8], pause: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        match self.state {
            State::Expecting { .. } => self.expect(input, pause, cx),
            _ => self.command(input, pause, cx),
        }
    }

    fn on_body(&mut self, end: BodyEnd, cx: &mut Cx<'_>) -> Intake {
        let state = std::mem::replace(&mut self.state, State::Command);
        let State::Receiving { upload, size, most } = state else {
            unreachable!("a body ended that was not asked for")
        };
        match (end, size) {
            (BodyEnd::Complete, Some(_)) => self.store(upload, Intake::Bytes, cx),
            (BodyEnd::Complete, None) => self.refuse(StoreError::TooLarge(most - 1), cx),
            (BodyEnd::PeerFinished { missing }, Some(size)) => {
                let came = size - missing;
                self.refuse(
                    format_args!("only {came} of {size} bytes came; nothing is stored"),
                    cx,
                )
            }
            (BodyEnd::PeerFinished { .. }, None) => {
                self.store(upload, Intake::Close(CloseReason::PeerFinished), cx)
            }
            (BodyEnd::StoreFailed(error), _) => self.refuse(error, cx),
            (BodyEnd::Abandoned, _) => Intake::Close(CloseReason::PeerReset),
        }
    }

    fn on_work(&mut self, cx: &mut Cx<'_>) -> Intake {
        let bare = self.is_bare();
        let State::Listing { listing, phase } = &mut self.state else {
            unreachable!("work was done that was not announced")
        };
        match phase {
            ListPhase::Reading => match listing.read_some() {
                Ok(false) => Intake::Work,
                Ok(true) => {
                    let (bytes, entries) = listing.totals();
                    if !bare {
                        cx.out.bytes(format!("OK {}\n", bytes + entries).as_bytes());
                    } else if entries == 0 {
                        // An empty reply would leave a textbook client in its recv() for ever.
                        cx.out.bytes(b"\n");
                    }
                    *phase = ListPhase::Sending { first: true };
                    Intake::Work
                }
                Err(error) => {
                    self.state = State::Command;
                    self.decline(&error, cx)
                }
            },
            ListPhase::Sending { first } => {
                if Files::send_entries(listing.as_mut(), first, bare, cx) {
                    return Intake::Work;
                }
                self.state = State::Command;
                Intake::Bytes
            }
        }
    }

    fn awaited(&self) -> Option<Delay> {
        match self.state {
            State::Command => self.splitter.awaited(),
            State::Expecting { .. } => Some(Delay::FirstByte),
            State::Listing { .. } | State::Receiving { .. } => None,
        }
    }
}

/// Megabytes as the textbook shell counts them: of 1,048,576 bytes, with two decimals.
fn megabytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / (1024.0 * 1024.0))
}
