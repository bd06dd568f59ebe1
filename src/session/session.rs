//! One protocol and its buffers: passes it bytes, fills its bodies, keeps what it did not consume.
//! Makes no system call: the turn, or a test, reads the bytes and writes the outbox.
//!
//! The caller asks [`Session::next`] what to do, does it, and asks again. The state is the last
//! [`Intake`] that the protocol returned:
//!
//! ```text
//!              Body(receive)                    Close(reason)
//!   Bytes ──────────────────▶ Body      any ──────────────────▶ Close
//!    ▲▲▲                       │
//!    ││└────── on_body ────────┘
//!    │└─────── on_work ────── Work, or Wait when the disk operation has completed
//!    └──── awaited silence ── Hold              Relay, to the end of the stream
//! ```

use super::close_reason::CloseReason; // why a connection ends
use super::held::Held; // bytes kept between turns: on the heap, or in pages of their own
use super::notice::Notice; // a message to a session
use super::outbox::{Front, Outbox}; // what the peer is sent, in order
use super::protocol::{BodyEnd, Intake, Protocol, Reaction, Receive}; // a service and its answers
use super::session_id::SessionId; // the number of a session
use crate::session::shared::Shared; // what all sessions share: posts, the time, the observer
use crate::wire::follows::{Follows, Timer}; // more bytes, a silence or the end; kinds of silence

/// What the caller must do next for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send the front of [`Session::outbox`].
    Write,
    /// Call [`Session::work`]: this takes as long as moving a big piece of a body.
    Work,
    /// Call [`Session::work`] after a wait: this is short.
    Resume,
    /// Call [`Session::feed`] with the bytes of the inbox.
    Feed(Follows),
    /// Read from the peer. Of this many bytes, the session keeps none in memory. A turn may read up
    /// to `command_read` bytes in any case.
    Read(u64),
    /// Read from the peer and write the same bytes to it. Then call [`Session::relayed`] with what
    /// was written, and [`Session::feed`] with the rest.
    Relay,
    /// Nothing until a disk operation completes, or until the protocol takes what it holds. The
    /// socket is not read meanwhile: ask whether the peer is gone.
    Wait,
    /// Nothing until the socket becomes ready or a timer expires.
    Park,
    /// Call [`Session::take_successor`].
    Replace,
    /// Shut down our side of the stream: the outbox is flushed, but the peer may go on sending.
    Finish(CloseReason),
    /// Close the connection.
    End(CloseReason),
}

/// What the peer must do in time, or its connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// Nothing: a person may be silent.
    None,
    /// Any byte must be moved, in either direction.
    Idle,
    /// The command that has begun must be complete.
    Command,
    /// A body must be moved at a minimum rate.
    Rate,
    /// Nothing, but the disk of this machine must answer.
    Disk,
}

/// The memory of a session. An idle session has none.
#[derive(Default)]
pub struct Buffers {
    /// Bytes from the peer that the protocol has not consumed.
    inbox: Held,
    /// Output to the peer.
    pub(super) outbox: Outbox,
}

/// A protocol and the state of its stream.
pub struct Session {
    pub(super) protocol: Box<dyn Protocol>,
    me: SessionId,
    pub(super) intake: Intake,
    pub(super) buffers: Option<Box<Buffers>>,
    /// Whether the protocol has not yet got the bytes in the inbox, or the end of the stream.
    needs_feed: bool,
    /// Whether the peer has ended its stream.
    finished: bool,
    /// Whether a disk operation has completed since the protocol returned [`Intake::Wait`].
    waited: bool,
}

impl Session {
    /// A session that has had no call yet.
    pub fn new(protocol: Box<dyn Protocol>, me: SessionId) -> Session {
        Session {
            protocol,
            me,
            intake: Intake::Bytes,
            buffers: None,
            needs_feed: false,
            finished: false,
            waited: false,
        }
    }

    /// Its number.
    pub fn id(&self) -> SessionId {
        self.me
    }

    /// Calls [`Protocol::on_open`].
    pub fn open(&mut self, shared: &mut Shared) {
        let out = &mut self.buffers.get_or_insert_default().outbox;
        self.protocol.on_open(&mut shared.context(out, self.me));
    }

    /// What to do next, the most urgent first. `silence` is the timer that has expired, if any;
    /// above `high_water` bytes of output, no input is accepted.
    pub fn next(
        &self,
        can_read: bool,
        can_write: bool,
        silence: Option<Timer>,
        high_water: usize,
    ) -> Next {
        match self.has_unsent() {
            true if self.front_is_busy() => return Next::Wait,
            true if can_write => return Next::Write,
            _ => {}
        }
        match &self.intake {
            Intake::Close(reason) => match self.has_unsent() {
                true if silence == Some(Timer::Linger) => Next::End(*reason),
                true => Next::Park,
                false if self.finished => Next::End(*reason),
                false => Next::Finish(*reason),
            },
            Intake::Replace(_) => Next::Replace,
            Intake::Wait if !self.waited => Next::Wait,
            Intake::Body(body) if body.into.is_busy() => Next::Wait,
            _ if !self.below_high_water(high_water) => Next::Park,
            Intake::Wait => Next::Resume,
            Intake::Body(body) if body.into.ends(body.left) => Next::Resume,
            Intake::Work => Next::Work,
            Intake::Bytes | Intake::Body(_) | Intake::Relay if self.needs_feed => {
                let eof = self.finished.then_some(Follows::Eof);
                Next::Feed(eof.unwrap_or(Follows::More))
            }
            Intake::Body(body) if can_read && !self.finished => Next::Read(body.left),
            // While output waits, input waits behind it in memory.
            Intake::Relay if can_read && !self.has_unsent() => Next::Relay,
            Intake::Bytes | Intake::Relay if can_read && !self.finished => Next::Read(0),
            Intake::Bytes | Intake::Body(_) | Intake::Hold | Intake::Relay => match silence {
                Some(timer) if self.awaited() == silence => Next::Feed(Follows::Silence(timer)),
                // No read would report that the peer is gone.
                _ if matches!(self.intake, Intake::Hold) => Next::Wait,
                _ => Next::Park,
            },
        }
    }

    /// Passes `input` to the protocol and to its bodies, until the protocol consumes no more or
    /// `calls` is 0. `input` begins with the bytes that [`Session::inbox`] held. The session keeps
    /// what is left. Returns whether the protocol has consumed any.
    pub fn feed(
        &mut self,
        input: &[u8],
        follows: Follows,
        calls: &mut usize,
        shared: &mut Shared,
    ) -> bool {
        self.finished |= follows == Follows::Eof;
        let (mut rest, mut consumed) = (input, false);
        // Whether the protocol has not yet got these bytes, this silence or the end.
        let mut unshown = !rest.is_empty() || follows != Follows::More;
        while unshown {
            match &self.intake {
                Intake::Bytes if !self.below_high_water(shared.high_water) => break,
                Intake::Hold if !matches!(follows, Follows::Silence(_)) => break,
                Intake::Bytes | Intake::Hold if *calls == 0 => break,
                Intake::Bytes | Intake::Hold => {
                    *calls -= 1;
                    let taken = self.show(rest, follows, shared);
                    rest = &rest[taken..];
                    consumed |= taken > 0;
                    // Goes on with the rest and the same silence, and after the end of the stream
                    // until nothing is consumed.
                    let shown = taken == 0 || (rest.is_empty() && !self.finished);
                    unshown = !(shown && matches!(self.intake, Intake::Bytes | Intake::Hold));
                    if taken == 0 && self.finished && matches!(self.intake, Intake::Bytes) {
                        self.intake = Intake::Close(CloseReason::PeerFinished);
                    }
                }
                Intake::Body(body) if body.into.is_busy() => break,
                Intake::Body(body) if body.into.ends(body.left) => self.settle_body(shared),
                Intake::Body(body) if !rest.is_empty() => {
                    let count = body.left.min(rest.len() as u64) as usize;
                    body.into.write(&rest[..count], body.at);
                    self.body_moved(count as u64, shared);
                    rest = &rest[count..];
                    unshown = !rest.is_empty() || self.finished;
                }
                Intake::Body(body) if self.finished => {
                    let missing = body.left;
                    self.end_body(BodyEnd::PeerFinished { missing }, shared);
                }
                Intake::Body(_) => unshown = false,
                Intake::Relay => {
                    self.buffers.get_or_insert_default().outbox.bytes(rest);
                    self.relayed(rest, shared);
                    (rest, unshown, consumed) = (&[], false, true);
                    if self.finished {
                        self.intake = Intake::Close(CloseReason::PeerFinished);
                    }
                }
                Intake::Work | Intake::Wait | Intake::Replace(_) => break,
                Intake::Close(_) => (rest, unshown) = (&[], false),
            }
        }
        self.needs_feed = unshown;
        self.buffers.get_or_insert_default().inbox = Held::Heap(rest.to_vec());
        consumed
    }

    fn show(&mut self, rest: &[u8], follows: Follows, shared: &mut Shared) -> usize {
        let out = &mut self.buffers.get_or_insert_default().outbox;
        let before = out.pending();
        let mut cx = shared.context(out, self.me);
        let (taken, intake) = self.protocol.on_bytes(rest, follows, &mut cx);
        assert!(taken <= rest.len(), "a protocol consumed more than it got");
        if taken > 0 {
            shared.observer.consumed(&rest[..taken]);
        }
        answered(out, before, shared);
        self.set_intake(intake);
        taken
    }

    /// Notes the bytes of a relay that were written, or queued in the outbox.
    pub fn relayed(&self, bytes: &[u8], shared: &mut Shared) {
        if !bytes.is_empty() {
            shared.observer.consumed(bytes);
            shared.observer.answered(bytes.len(), 0);
        }
    }

    fn set_intake(&mut self, intake: Intake) {
        self.intake = intake;
        self.waited = false;
    }

    /// Calls [`Protocol::on_work`], or goes on with a body after a wait.
    pub fn work(&mut self, shared: &mut Shared) {
        let out = &mut self.buffers.get_or_insert_default().outbox;
        let before = out.pending();
        if let Intake::Work | Intake::Wait = self.intake {
            let intake = self.protocol.on_work(&mut shared.context(out, self.me));
            self.set_intake(intake);
        }
        self.settle_body(shared);
        answered(&self.buffers.get_or_insert_default().outbox, before, shared);
    }

    /// The body that is being received. After [`Next::Read`] the caller may move its bytes into the
    /// blob itself, and then calls [`Session::body_moved`].
    pub fn body(&self) -> Option<&Receive> {
        match &self.intake {
            Intake::Body(receive) => Some(receive),
            _ => None,
        }
    }

    /// Notes the number of bytes that were given to the blob of the body.
    pub fn body_moved(&mut self, count: u64, shared: &mut Shared) {
        let Intake::Body(receive) = &mut self.intake else {
            unreachable!("there is no body")
        };
        assert!(count <= receive.left, "moved past the end of a body");
        receive.at += count;
        receive.left -= count;
        self.settle_body(shared);
    }

    /// Ends a body whose last byte is written, or whose file cannot be written.
    fn settle_body(&mut self, shared: &mut Shared) {
        let Some(body) = self.body().filter(|body| !body.into.is_busy()) else {
            return;
        };
        match body.into.take_error() {
            Some(error) => self.end_body(BodyEnd::BlobFailed(error), shared),
            None if body.left == 0 => self.end_body(BodyEnd::Complete, shared),
            None => {}
        }
    }

    fn end_body(&mut self, end: BodyEnd, shared: &mut Shared) {
        // Drops the blob before the protocol decides what becomes of its file.
        self.intake = Intake::Bytes;
        let out = &mut self.buffers.get_or_insert_default().outbox;
        let cx = &mut shared.context(out, self.me);
        let intake = self.protocol.on_body(end, cx);
        self.set_intake(intake);
    }

    /// Passes a notice of another session to the protocol. Returns a reason if the connection must
    /// be closed at once.
    pub fn notify(&mut self, notice: &Notice, shared: &mut Shared) -> Option<CloseReason> {
        if matches!(self.intake, Intake::Close(_)) {
            return None;
        }
        let out = &mut self.buffers.get_or_insert_default().outbox;
        let cx = &mut shared.context(out, self.me);
        match self.protocol.on_notice(notice, cx) {
            Reaction::Stay => None,
            Reaction::Work => {
                self.intake = Intake::Work;
                None
            }
            Reaction::Drop(reason) => Some(reason),
            // The outbox is still sent.
            Reaction::Close(reason) => {
                self.abandon_body(shared);
                self.intake = Intake::Close(reason);
                None
            }
        }
    }

    /// Calls [`Protocol::on_close`], after the end of an unfinished body.
    pub fn end(&mut self, reason: CloseReason, shared: &mut Shared) {
        let mut discarded = Outbox::default();
        self.abandon_body(shared);
        let cx = &mut shared.context(&mut discarded, self.me);
        self.protocol.on_close(reason, cx);
    }

    fn abandon_body(&mut self, shared: &mut Shared) {
        if self.body().is_some() {
            self.end_body(BodyEnd::Abandoned, shared);
        }
    }

    /// The bytes that the protocol has not consumed.
    pub fn inbox(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[], |buffers| &buffers.inbox)
    }

    /// Removes those bytes from the session, for [`Session::feed`].
    pub fn take_inbox(&mut self) -> Held {
        let buffers = self.buffers.as_mut();
        buffers.map_or_else(Held::default, |buffers| std::mem::take(&mut buffers.inbox))
    }

    /// The output to the peer; `None` if the session has no memory.
    pub fn outbox(&mut self) -> Option<&mut Outbox> {
        self.buffers.as_mut().map(|buffers| &mut buffers.outbox)
    }

    /// Whether nothing follows the output that has not been sent yet.
    pub fn is_closing(&self) -> bool {
        matches!(self.intake, Intake::Close(_))
    }

    /// Whether output has not been sent yet.
    pub fn has_unsent(&self) -> bool {
        let buffers = self.buffers.as_ref();
        buffers.is_some_and(|buffers| !buffers.outbox.is_empty())
    }

    /// Bytes of output that have not been sent.
    pub fn owed(&self) -> u64 {
        let buffers = self.buffers.as_ref();
        buffers.map_or(0, |buffers| buffers.outbox.owed())
    }

    /// Whether the output that comes next is being read from a disk.
    fn front_is_busy(&self) -> bool {
        let front = self
            .buffers
            .as_ref()
            .and_then(|buffers| buffers.outbox.front());
        matches!(front, Some(Front::Body(blob, _)) if blob.is_busy())
    }

    /// Whether the protocol may make more output.
    fn below_high_water(&self, high_water: usize) -> bool {
        let is_full = |out: &Outbox| out.pending() >= high_water || out.has_body();
        let buffers = self.buffers.as_ref();
        buffers.is_none_or(|buffers| !is_full(&buffers.outbox))
    }

    /// A disk operation has completed. It may be another one than this session waits for: then the
    /// protocol asks the store, and waits again.
    pub fn wait_is_over(&mut self) {
        self.waited = true;
    }

    /// The kind of silence that has a meaning now.
    pub fn awaited(&self) -> Option<Timer> {
        match self.intake {
            Intake::Bytes | Intake::Hold => self.protocol.awaited(),
            // Without it, no deadline would end the wait for a peer that does not read the outbox.
            Intake::Close(_) if self.protocol.may_idle() => Some(Timer::Linger),
            _ => None,
        }
    }

    /// What the peer must do in time.
    pub fn deadline(&self) -> Deadline {
        let sends_body = |buffers: &Buffers| buffers.outbox.has_body();
        match &self.intake {
            Intake::Wait => Deadline::Disk,
            _ if self.front_is_busy() => Deadline::Disk,
            Intake::Body(body) if body.into.is_busy() => Deadline::Disk,
            Intake::Body(_) => Deadline::Rate,
            // Ctrl-S stops a person's terminal; the connection is not broken.
            Intake::Work if self.protocol.may_idle() => Deadline::None,
            // A listing or a body is sent.
            Intake::Work => Deadline::Rate,
            _ if self.buffers.as_deref().is_some_and(sends_body) => Deadline::Rate,
            Intake::Close(_) | Intake::Relay | Intake::Replace(_) => Deadline::Idle,
            Intake::Bytes | Intake::Hold if self.protocol.may_idle() => Deadline::None,
            Intake::Bytes | Intake::Hold if self.protocol.in_body() => Deadline::Rate,
            Intake::Bytes | Intake::Hold if self.in_command() => Deadline::Command,
            Intake::Bytes if self.protocol.must_begin() => Deadline::Command,
            Intake::Bytes | Intake::Hold => Deadline::Idle,
        }
    }

    /// Whether the protocol waits for the rest of a command.
    fn in_command(&self) -> bool {
        !self.needs_feed && !self.finished && !self.inbox().is_empty()
    }

    /// Whether a request is in progress, which a server that drains brings to its end.
    pub fn is_busy(&self) -> bool {
        match self.intake {
            Intake::Work | Intake::Wait | Intake::Body(_) | Intake::Replace(_) => true,
            // A header has arrived, and its data is still expected.
            _ if self.has_unsent() || self.protocol.in_body() => true,
            _ => matches!(self.awaited(), Some(Timer::HeaderGap | Timer::FirstByte)),
        }
    }

    /// At the end of a turn: takes the memory out of an idle session, and shrinks that of another.
    pub fn detach_buffers(&mut self) -> Option<Box<Buffers>> {
        let buffers = self.buffers.as_mut()?;
        if buffers.inbox.is_empty() && buffers.outbox.is_empty() {
            return self.buffers.take();
        }
        buffers.inbox.compact();
        buffers.outbox.compact();
        None
    }

    /// At the start of a turn: gives `spare` memory to a session that has none.
    pub fn attach_buffers(&mut self, spare: &mut Option<Box<Buffers>>) {
        if self.buffers.is_none() {
            self.buffers = Some(spare.take().unwrap_or_default());
        }
    }
}

/// Reports what was added to an outbox of `before` bytes.
fn answered(out: &Outbox, before: usize, shared: &mut Shared) {
    if out.pending() > before || out.has_body() {
        let bytes = out.pending() - before;
        shared.observer.answered(bytes, out.body_left());
    }
}
