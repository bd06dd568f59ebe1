//! Drives one protocol: shows it bytes, fills its bodies, keeps what was not taken.
//! Touches no socket: the reactor and the tests bring the bytes and carry the outbox away.
//!
//! ```text
//!              Body(receive)                    Close(reason)
//!   Bytes ──────────────────▶ Body      any ──────────────────▶ Closing
//!    ▲▲▲                       │
//!    ││└────── on_body ────────┘
//!    │└─────── on_work ────── Work, or Wait once the store says that the disk is done
//!    └──── awaited silence ── Hold
//! ```

use super::close_reason::CloseReason;
use super::held::Held;
use super::notice::{Notice, PeerId};
use super::outbox::Outbox;
use super::protocol::{BodyEnd, Intake, Protocol, Reaction, Receive};
use super::witness::Witness;
use crate::session::world::World;
use crate::store::error::StoreError;
use crate::wire::pause::Pause;
use std::io;

/// What the stream of the peer is at this moment.
pub(super) enum Stage {
    Bytes,
    Body(Box<Receive>),
    Hold,
    Work,
    Wait {
        /// The store has said that it is worth asking again.
        over: bool,
    },
    Closing(CloseReason),
}

/// The memory of a session that is in the middle of something. An idle session has none.
#[derive(Default)]
pub struct Buffers {
    /// Bytes of the peer that the protocol has not taken.
    inbox: Held,
    /// Bytes for the peer.
    pub(super) outbox: Outbox,
}

/// One conversation: a protocol and the state of its stream.
pub struct Session {
    pub(super) protocol: Box<dyn Protocol>,
    me: PeerId,
    pub(super) stage: Stage,
    pub(super) buffers: Option<Box<Buffers>>,
    /// The inbox holds bytes, or the end of the stream, that the protocol was not asked about.
    pub(super) unseen: bool,
    pub(super) finished: bool,
    /// The protocol has taken bytes since this was last asked.
    moved_on: bool,
}

impl Session {
    /// A new conversation.
    pub fn new(protocol: Box<dyn Protocol>, me: PeerId) -> Session {
        Session {
            protocol,
            me,
            stage: Stage::Bytes,
            buffers: None,
            unseen: false,
            finished: false,
            moved_on: false,
        }
    }

    /// Shows the protocol `input`, which begins with what [`Session::inbox`] holds, until it takes
    /// no more. Bodies are filled on the way. What is left over is kept.
    pub fn feed(
        &mut self,
        input: &[u8],
        pause: Pause,
        world: &mut World,
        witness: &mut impl Witness,
    ) {
        self.finished |= pause == Pause::Finished;
        let mut buffers = self.buffers.take().unwrap_or_default();
        let out = &mut buffers.outbox;
        let mut rest = input;
        // Whether something is known that the protocol has not been told.
        let mut news = !rest.is_empty() || pause != Pause::None;
        while news {
            match &self.stage {
                Stage::Bytes if full(out, world.high_water) => break,
                Stage::Hold if !matches!(pause, Pause::Quiet(_)) => break,
                Stage::Bytes | Stage::Hold if world.calls == 0 => break,
                Stage::Bytes | Stage::Hold => {
                    let taken = self.show(rest, pause, out, world, witness);
                    rest = &rest[taken..];
                    // A silence says something about all that had come, not about what is left.
                    let told = taken == 0 || (rest.is_empty() && !self.finished);
                    news = !(told && matches!(self.stage, Stage::Bytes | Stage::Hold));
                    if taken == 0 && self.finished && matches!(self.stage, Stage::Bytes) {
                        self.stage = Stage::Closing(CloseReason::PeerFinished);
                    }
                }
                Stage::Body(body) if body.left == 0 => self.advance_body(0, out, world),
                Stage::Body(_) if !rest.is_empty() => {
                    let count = self.fill(rest, out, world);
                    rest = &rest[count..];
                    news = !rest.is_empty() || self.finished;
                }
                Stage::Body(_) if self.finished => {
                    self.end_body(out, world, |body| BodyEnd::PeerFinished {
                        missing: body.left,
                    });
                }
                Stage::Body(_) => news = false,
                Stage::Work | Stage::Wait { .. } => break,
                Stage::Closing(_) => (rest, news) = (&[], false),
            }
        }
        self.unseen = news;
        buffers.inbox = Held::Few(rest.to_vec());
        self.buffers = Some(buffers);
    }

    fn show(
        &mut self,
        rest: &[u8],
        pause: Pause,
        out: &mut Outbox,
        world: &mut World,
        witness: &mut impl Witness,
    ) -> usize {
        world.calls = world.calls.saturating_sub(1);
        let owed = out.pending();
        let mut cx = world.lend(out, self.me);
        let (taken, intake) = self.protocol.on_bytes(rest, pause, &mut cx);
        assert!(
            taken <= rest.len(),
            "a protocol took more than it was shown"
        );
        if taken > 0 {
            self.moved_on = true;
            witness.took(&rest[..taken]);
        }
        if out.pending() > owed || out.has_body() {
            witness.answered(out.pending() - owed, out.body_left());
        }
        self.enter(intake);
        taken
    }

    /// The next bytes are what the protocol says, until it says otherwise.
    fn enter(&mut self, intake: Intake) {
        self.stage = match intake {
            Intake::Bytes => Stage::Bytes,
            Intake::Body(receive) => Stage::Body(Box::new(receive)),
            Intake::Hold => Stage::Hold,
            Intake::Work => Stage::Work,
            Intake::Wait => Stage::Wait { over: false },
            Intake::Close(reason) => Stage::Closing(reason),
        };
    }

    /// Moves bytes of the inbox into the body; says how many belonged to it.
    fn fill(&mut self, bytes: &[u8], out: &mut Outbox, world: &mut World) -> usize {
        let Stage::Body(receive) = &mut self.stage else {
            unreachable!("there is no body")
        };
        let count = receive.left.min(bytes.len() as u64) as usize;
        match receive.into.write_all_at(&bytes[..count], receive.at) {
            Ok(()) => self.advance_body(count as u64, out, world),
            Err(error) => self.end_body(out, world, |_| store_failed(error)),
        }
        count
    }

    fn advance_body(&mut self, count: u64, out: &mut Outbox, world: &mut World) {
        let Stage::Body(receive) = &mut self.stage else {
            unreachable!("there is no body")
        };
        assert!(count <= receive.left, "moved past the end of a body");
        receive.at += count;
        receive.left -= count;
        if receive.left == 0 {
            self.end_body(out, world, |_| BodyEnd::Complete);
        }
    }

    fn end_body(
        &mut self,
        out: &mut Outbox,
        world: &mut World,
        end: impl FnOnce(&Receive) -> BodyEnd,
    ) {
        // While the protocol decides, the stage says that the stream is nothing yet.
        let stage = std::mem::replace(&mut self.stage, Stage::Bytes);
        let Stage::Body(receive) = stage else {
            unreachable!("there is no body to end")
        };
        let end = end(&receive);
        drop(receive);
        let intake = self.protocol.on_body(end, &mut world.lend(out, self.me));
        self.enter(intake);
    }

    /// One bounded piece of the protocol's own work, or what it does after a wait.
    pub fn work(&mut self, world: &mut World, witness: &mut impl Witness) {
        assert!(
            self.has_work() || self.has_waited(),
            "no work was announced"
        );
        world.calls = world.calls.saturating_sub(1);
        let mut buffers = self.buffers.take().unwrap_or_default();
        let owed = buffers.outbox.pending();
        let mut cx = world.lend(&mut buffers.outbox, self.me);
        let intake = self.protocol.on_work(&mut cx);
        self.enter(intake);
        if matches!(&self.stage, Stage::Body(body) if body.left == 0) {
            // No byte will come whose feeding would find out that it has ended.
            self.advance_body(0, &mut buffers.outbox, world);
        }
        let out = &buffers.outbox;
        if out.pending() > owed || out.has_body() {
            witness.answered(out.pending() - owed, out.body_left());
        }
        self.buffers = Some(buffers);
    }

    /// The body under way, if the reactor may move its bytes without showing them here.
    pub fn direct_body(&mut self) -> Option<&mut Receive> {
        match &mut self.stage {
            Stage::Body(receive) if !self.unseen => Some(receive),
            _ => None,
        }
    }

    /// So many bytes went from the socket straight into the body.
    pub fn body_moved(&mut self, count: u64, world: &mut World) {
        let mut buffers = self.buffers.take().unwrap_or_default();
        self.advance_body(count, &mut buffers.outbox, world);
        self.buffers = Some(buffers);
    }

    /// The blob of the body takes no more.
    pub fn body_failed(&mut self, error: io::Error, world: &mut World) {
        let mut buffers = self.buffers.take().unwrap_or_default();
        self.end_body(&mut buffers.outbox, world, |_| store_failed(error));
        self.buffers = Some(buffers);
    }

    /// The conversation begins.
    pub fn open(&mut self, world: &mut World) {
        let mut buffers = self.buffers.take().unwrap_or_default();
        self.protocol
            .on_open(&mut world.lend(&mut buffers.outbox, self.me));
        self.buffers = Some(buffers);
    }

    /// Somebody else has something to tell. Says whether the connection must go at once.
    pub fn notify(&mut self, notice: &Notice, world: &mut World) -> Option<CloseReason> {
        if self.closing().is_some() {
            return None;
        }
        let mut buffers = self.buffers.take().unwrap_or_default();
        let cx = &mut world.lend(&mut buffers.outbox, self.me);
        let reaction = self.protocol.on_notice(notice, cx);
        self.buffers = Some(buffers);
        match reaction {
            Reaction::Stay => None,
            Reaction::Drop(reason) => Some(reason),
            Reaction::Close(reason) => {
                self.close(reason, world);
                None
            }
        }
    }

    /// Ends the conversation: what is owed is still sent, a body under way is given up.
    pub fn close(&mut self, reason: CloseReason, world: &mut World) {
        self.abandon_body(world);
        self.stage = Stage::Closing(reason);
    }

    /// The connection is gone.
    pub fn end(&mut self, reason: CloseReason, world: &mut World) {
        self.abandon_body(world);
        let mut unheard = Outbox::default();
        let cx = &mut world.lend(&mut unheard, self.me);
        self.protocol.on_close(reason, cx);
    }

    fn abandon_body(&mut self, world: &mut World) {
        if matches!(self.stage, Stage::Body(_)) {
            self.end_body(&mut Outbox::default(), world, |_| BodyEnd::Abandoned);
        }
    }

    /// Whether the protocol has taken bytes since [`Session::take_moved_on`].
    pub fn has_moved_on(&self) -> bool {
        self.moved_on
    }

    /// Whether the protocol has taken bytes since this was last asked.
    pub fn take_moved_on(&mut self) -> bool {
        std::mem::take(&mut self.moved_on)
    }

    /// The bytes that the protocol has not taken.
    pub fn inbox(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[], |buffers| &buffers.inbox)
    }

    /// Takes those bytes out, to be shown again.
    pub fn take_inbox(&mut self) -> Held {
        self.buffers
            .as_mut()
            .map(|buffers| std::mem::take(&mut buffers.inbox))
            .unwrap_or_default()
    }

    /// What the peer is owed.
    pub fn outbox(&mut self) -> Option<&mut Outbox> {
        self.buffers.as_mut().map(|buffers| &mut buffers.outbox)
    }

    /// The store has said that a wait of this session is over; of one that does not wait, or that
    /// waits for something else by now, nothing becomes untrue.
    pub fn wait_is_over(&mut self) {
        if let Stage::Wait { over } = &mut self.stage {
            *over = true;
        }
    }

    /// Takes the memory of an idle session away, or leaves a busy one no more than it needs.
    pub fn give_back(&mut self) -> Option<Box<Buffers>> {
        let buffers = self.buffers.as_mut()?;
        if buffers.inbox.is_empty() && buffers.outbox.is_empty() {
            return self.buffers.take();
        }
        buffers.inbox.settle();
        buffers.outbox.settle();
        None
    }

    /// Lends memory for the length of a turn. A session that holds some needs none.
    pub fn lend(&mut self, spare: &mut Option<Box<Buffers>>) {
        if self.buffers.is_none() {
            self.buffers = Some(spare.take().unwrap_or_default());
        }
    }
}

pub(super) fn full(outbox: &Outbox, high_water: usize) -> bool {
    outbox.pending() >= high_water || outbox.has_body()
}

fn store_failed(error: io::Error) -> BodyEnd {
    BodyEnd::StoreFailed(StoreError::from(error))
}
