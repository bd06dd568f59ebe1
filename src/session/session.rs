//! Drives one protocol: shows it bytes, fills its bodies, keeps what was not taken.
//! Touches no socket: the reactor and the tests bring the bytes and carry the outbox away.
//!
//! A driver asks [`Session::next`] what to do, does it, and asks again. What the protocol has
//! answered last, an [`Intake`], is the state:
//!
//! ```text
//!              Body(receive)                    Close(reason)
//!   Bytes ──────────────────▶ Body      any ──────────────────▶ Close
//!    ▲▲▲                       │
//!    ││└────── on_body ────────┘
//!    │└─────── on_work ────── Work, or Wait once the store says that the disk is done
//!    └──── awaited silence ── Hold
//! ```

use super::close_reason::CloseReason; // why a connection ends
use super::held::Held; // bytes that are kept from turn to turn
use super::notice::Notice; // a message to a session
use super::outbox::Outbox; // what the peer is sent, in order
use super::protocol::{BodyEnd, Intake, Protocol, Reaction, Receive}; // the service's side
use super::session_id::SessionId; // the number of a session
use crate::session::shared::Shared; // what all protocols share: posts, the time
use crate::wire::follows::{Follows, Timer}; // which silence; that it is over, or the stream is
use std::io;

/// What a session needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The front of [`Session::outbox`] is to be sent.
    Write,
    /// [`Session::work`], for a piece that takes as long as a big step.
    Work,
    /// [`Session::work`] after a wait, which is short.
    Resume,
    /// [`Session::feed`] with what the inbox holds.
    Feed(Follows),
    /// Bytes of the peer. More than so many at once would have to be kept.
    Read(u64),
    /// Nothing before the store says that the disk is done, or the clock that a peer which is held
    /// back may go on.
    Wait,
    /// Nothing before the peer or the clock does something.
    Park,
    /// All is sent, and the peer may go on sending: our side of the stream ends.
    Finish(CloseReason),
    /// The connection is over.
    End(CloseReason),
}

/// What must happen in time, or the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// Nothing: people fall silent, or the peer waits for our disk.
    None,
    /// Something must move.
    Idle,
    /// The command that has begun must be whole.
    Command,
    /// So much of a body must have moved.
    Rate,
}

/// The memory of a session that is in the middle of something. An idle session has none.
#[derive(Default)]
pub struct Buffers {
    /// Bytes of the peer that the protocol has not taken.
    inbox: Held,
    /// Bytes for the peer.
    outbox: Outbox,
}

/// One conversation: a protocol and the state of its stream.
pub struct Session {
    protocol: Box<dyn Protocol>,
    me: SessionId,
    intake: Intake,
    buffers: Option<Box<Buffers>>,
    /// The inbox holds bytes, or the end of the stream, that the protocol was not asked about.
    needs_feed: bool,
    /// The peer has ended its stream.
    finished: bool,
    /// The store has said that it is worth asking again.
    waited: bool,
}

impl Session {
    /// A new conversation.
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

    /// The conversation begins.
    pub fn open(&mut self, shared: &mut Shared) {
        let out = &mut self.buffers.get_or_insert_default().outbox;
        self.protocol.on_open(&mut shared.context(out, self.me));
    }

    /// What is to be done, the most urgent first. `silence` is one that has lasted long enough.
    pub fn next(
        &self,
        can_read: bool,
        can_write: bool,
        silence: Option<Timer>,
        high_water: usize,
    ) -> Next {
        if can_write && self.has_unsent() {
            return Next::Write;
        }
        match &self.intake {
            Intake::Close(reason) => match self.has_unsent() {
                true if silence == Some(Timer::Linger) => Next::End(*reason),
                true => Next::Park,
                false if self.finished => Next::End(*reason),
                false => Next::Finish(*reason),
            },
            Intake::Wait if !self.waited => Next::Wait,
            _ if !self.below_high_water(high_water) => Next::Park,
            Intake::Wait => Next::Resume,
            Intake::Work => Next::Work,
            Intake::Bytes | Intake::Body(_) if self.needs_feed => Next::Feed(match self.finished {
                true => Follows::Eof,
                false => Follows::More,
            }),
            Intake::Bytes if can_read && !self.finished => {
                // What it owes already would grow by all that is read.
                let keeps = self.has_unsent() || !self.protocol.is_stream();
                Next::Read(if keeps { 0 } else { u64::MAX })
            }
            Intake::Body(body) if can_read && !self.finished => Next::Read(body.left),
            Intake::Bytes | Intake::Body(_) | Intake::Hold => match silence {
                Some(delay) if self.awaited() == silence => Next::Feed(Follows::Silence(delay)),
                _ if self.awaited() == Some(Timer::Pace) => Next::Wait,
                _ => Next::Park,
            },
        }
    }

    /// Shows the protocol `input`, which begins with what [`Session::inbox`] holds, until it takes
    /// no more or has had so many calls. Bodies are filled on the way. What is left over is kept.
    /// Says whether the protocol has taken any.
    pub fn feed(
        &mut self,
        input: &[u8],
        follows: Follows,
        calls: &mut usize,
        shared: &mut Shared,
    ) -> bool {
        self.finished |= follows == Follows::Eof;
        let (mut rest, mut consumed) = (input, false);
        // Whether something is known that the protocol has not been told.
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
                    // A silence says something about all that had come, not about what is left.
                    let told = taken == 0 || (rest.is_empty() && !self.finished);
                    unshown = !(told && matches!(self.intake, Intake::Bytes | Intake::Hold));
                    if taken == 0 && self.finished && matches!(self.intake, Intake::Bytes) {
                        self.intake = Intake::Close(CloseReason::PeerFinished);
                    }
                }
                Intake::Body(body) if body.left == 0 => self.body_moved(Ok(0), shared),
                Intake::Body(body) if !rest.is_empty() => {
                    let count = body.left.min(rest.len() as u64) as usize;
                    let filled = body.into.write_all_at(&rest[..count], body.at);
                    self.body_moved(filled.map(|()| count as u64), shared);
                    rest = &rest[count..];
                    unshown = !rest.is_empty() || self.finished;
                }
                Intake::Body(body) if self.finished => {
                    let missing = body.left;
                    self.end_body(BodyEnd::PeerFinished { missing }, shared);
                }
                Intake::Body(_) => unshown = false,
                Intake::Work | Intake::Wait => break,
                Intake::Close(_) => (rest, unshown) = (&[], false),
            }
        }
        self.needs_feed = unshown;
        self.buffers.get_or_insert_default().inbox = Held::Heap(rest.to_vec());
        consumed
    }

    fn show(&mut self, rest: &[u8], follows: Follows, shared: &mut Shared) -> usize {
        let out = &mut self.buffers.get_or_insert_default().outbox;
        let owed = out.pending();
        let mut cx = shared.context(out, self.me);
        let (taken, intake) = self.protocol.on_bytes(rest, follows, &mut cx);
        assert!(
            taken <= rest.len(),
            "a protocol took more than it was shown"
        );
        if taken > 0 {
            shared.observer.consumed(&rest[..taken]);
        }
        if out.pending() > owed || out.has_body() {
            shared
                .observer
                .answered(out.pending() - owed, out.body_left());
        }
        self.enter(intake);
        taken
    }

    /// The next bytes are what the protocol says, until it says otherwise.
    fn enter(&mut self, intake: Intake) {
        self.intake = intake;
        self.waited = false;
    }

    /// One bounded piece of the protocol's own work, or what it does after a wait.
    pub fn work(&mut self, shared: &mut Shared) {
        assert!(
            matches!(self.intake, Intake::Work | Intake::Wait),
            "no work was announced"
        );
        let out = &mut self.buffers.get_or_insert_default().outbox;
        let owed = out.pending();
        let intake = self.protocol.on_work(&mut shared.context(out, self.me));
        self.enter(intake);
        if self.body().is_some_and(|body| body.left == 0) {
            // No byte will come whose feeding would find out that it has ended.
            self.body_moved(Ok(0), shared);
        }
        let out = &self.buffers.get_or_insert_default().outbox;
        if out.pending() > owed || out.has_body() {
            shared
                .observer
                .answered(out.pending() - owed, out.body_left());
        }
    }

    /// The body on its way in. After [`Next::Read`] its bytes may be moved without showing them
    /// here.
    pub fn body(&self) -> Option<&Receive> {
        match &self.intake {
            Intake::Body(receive) => Some(receive),
            _ => None,
        }
    }

    /// So many bytes went into the body, or its blob takes no more.
    pub fn body_moved(&mut self, moved: io::Result<u64>, shared: &mut Shared) {
        let Intake::Body(receive) = &mut self.intake else {
            unreachable!("there is no body")
        };
        match moved {
            Ok(count) => {
                assert!(count <= receive.left, "moved past the end of a body");
                receive.at += count;
                receive.left -= count;
                if receive.left == 0 {
                    self.end_body(BodyEnd::Complete, shared);
                }
            }
            Err(error) => self.end_body(BodyEnd::BlobFailed(error), shared),
        }
    }

    fn end_body(&mut self, end: BodyEnd, shared: &mut Shared) {
        // The blob is given back before the protocol decides what becomes of it.
        self.intake = Intake::Bytes;
        let out = &mut self.buffers.get_or_insert_default().outbox;
        let intake = self
            .protocol
            .on_body(end, &mut shared.context(out, self.me));
        self.enter(intake);
    }

    /// Another session has posted a notice. Says whether the connection must be closed at once.
    pub fn notify(&mut self, notice: &Notice, shared: &mut Shared) -> Option<CloseReason> {
        if matches!(self.intake, Intake::Close(_)) {
            return None;
        }
        let out = &mut self.buffers.get_or_insert_default().outbox;
        let cx = &mut shared.context(out, self.me);
        match self.protocol.on_notice(notice, cx) {
            Reaction::Stay => None,
            Reaction::Drop(reason) => Some(reason),
            // What is owed is still sent.
            Reaction::Close(reason) => {
                self.abandon_body(shared);
                self.intake = Intake::Close(reason);
                None
            }
        }
    }

    /// The connection is gone.
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

    /// The bytes that the protocol has not taken.
    pub fn inbox(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[], |buffers| &buffers.inbox)
    }

    /// Takes those bytes out, to be shown again.
    pub fn take_inbox(&mut self) -> Held {
        let buffers = self.buffers.as_mut();
        buffers.map_or_else(Held::default, |buffers| std::mem::take(&mut buffers.inbox))
    }

    /// What the peer is owed.
    pub fn outbox(&mut self) -> Option<&mut Outbox> {
        self.buffers.as_mut().map(|buffers| &mut buffers.outbox)
    }

    /// Whether the peer is owed anything.
    pub fn has_unsent(&self) -> bool {
        let buffers = self.buffers.as_ref();
        buffers.is_some_and(|buffers| !buffers.outbox.is_empty())
    }

    /// Whether more output may be made.
    fn below_high_water(&self, high_water: usize) -> bool {
        let is_full = |out: &Outbox| out.pending() >= high_water || out.has_body();
        let buffers = self.buffers.as_ref();
        buffers.is_none_or(|buffers| !is_full(&buffers.outbox))
    }

    /// The store has said that a wait of this session is over; of one that does not wait, or that
    /// waits for something else by now, nothing becomes untrue.
    pub fn wait_is_over(&mut self) {
        self.waited = true;
    }

    /// The silence that would mean something now.
    pub fn awaited(&self) -> Option<Timer> {
        match self.intake {
            Intake::Bytes | Intake::Hold => self.protocol.awaited(),
            // No deadline would end the wait until such a peer has read its last words.
            Intake::Close(_) if self.protocol.may_idle() => Some(Timer::Linger),
            _ => None,
        }
    }

    /// What the peer, or its bytes, must do in time.
    pub fn deadline(&self) -> Deadline {
        let sends_body = |buffers: &Buffers| buffers.outbox.has_body();
        match self.intake {
            // The peer waits for us.
            Intake::Wait => Deadline::None,
            Intake::Body(_) => Deadline::Rate,
            // A person who has stopped a screen has not gone away.
            Intake::Work if self.protocol.may_idle() => Deadline::None,
            // A list or a body goes out.
            Intake::Work => Deadline::Rate,
            _ if self.buffers.as_deref().is_some_and(sends_body) => Deadline::Rate,
            Intake::Close(_) => Deadline::Idle,
            Intake::Bytes | Intake::Hold if self.protocol.may_idle() => Deadline::None,
            Intake::Bytes | Intake::Hold if self.in_command() => Deadline::Command,
            Intake::Bytes | Intake::Hold => Deadline::Idle,
        }
    }

    /// Whether the protocol waits for the rest of what it has been shown.
    fn in_command(&self) -> bool {
        !self.needs_feed && !self.finished && !self.inbox().is_empty()
    }

    /// Whether something is under way that deserves to be ended well.
    pub fn is_busy(&self) -> bool {
        match self.intake {
            Intake::Work | Intake::Wait | Intake::Body(_) => true,
            // A header whose body has yet to follow, or an upload whose first byte has, is a
            // promise.
            _ => {
                self.has_unsent()
                    || matches!(self.awaited(), Some(Timer::HeaderGap | Timer::FirstByte))
            }
        }
    }

    /// Takes the memory of an idle session away, or leaves a busy one no more than it needs.
    pub fn detach_buffers(&mut self) -> Option<Box<Buffers>> {
        let buffers = self.buffers.as_mut()?;
        if buffers.inbox.is_empty() && buffers.outbox.is_empty() {
            return self.buffers.take();
        }
        buffers.inbox.compact();
        buffers.outbox.compact();
        None
    }

    /// Lends memory for the length of a turn. A session that holds some needs none.
    pub fn attach_buffers(&mut self, spare: &mut Option<Box<Buffers>>) {
        if self.buffers.is_none() {
            self.buffers = Some(spare.take().unwrap_or_default());
        }
    }
}
