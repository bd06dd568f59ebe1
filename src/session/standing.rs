//! Answers what a turn asks of a session: what it owes, wants, waits for.
//! Changes nothing: `session.rs` does.

use super::close_reason::CloseReason;
use super::protocol::Patience;
use super::session::{Session, Stage, full};
use crate::session::world::World;
use crate::wire::pause::Delay;

impl Session {
    /// Whether the peer is owed anything.
    pub fn owes(&self) -> bool {
        self.buffers
            .as_ref()
            .is_some_and(|buffers| !buffers.outbox.is_empty())
    }

    /// Whether more output may be made.
    pub fn has_room(&self, world: &World) -> bool {
        self.buffers
            .as_ref()
            .is_none_or(|buffers| !full(&buffers.outbox, world.high_water))
    }

    /// Whether the protocol must be asked about what the inbox holds as soon as there is room.
    pub fn has_unseen(&self) -> bool {
        self.unseen && matches!(self.stage, Stage::Bytes | Stage::Body(_))
    }

    /// Whether bytes of the peer are of any use now.
    pub fn wants_bytes(&self) -> bool {
        !self.finished && matches!(self.stage, Stage::Bytes | Stage::Body(_))
    }

    /// How many bytes are of use at once: those that the session will not keep.
    pub fn appetite(&self) -> u64 {
        match &self.stage {
            Stage::Body(body) => body.left,
            // What it owes already would grow by all that is read.
            Stage::Bytes if self.protocol.is_stream() && !self.owes() => u64::MAX,
            _ => 0,
        }
    }

    /// The silence that would mean something now.
    pub fn awaited(&self) -> Option<Delay> {
        match self.stage {
            Stage::Bytes | Stage::Hold => self.protocol.awaited(),
            // No deadline would end the wait until such a peer has read its last words.
            Stage::Closing(_) if self.protocol.patience() == Patience::Endless => {
                Some(Delay::Linger)
            }
            _ => None,
        }
    }

    /// Whether [`Session::work`] is due, for a piece that takes as long as a big step.
    pub fn has_work(&self) -> bool {
        matches!(self.stage, Stage::Work)
    }

    /// Whether [`Session::work`] is due because a wait is over.
    pub fn has_waited(&self) -> bool {
        matches!(self.stage, Stage::Wait { over: true })
    }

    /// Whether the peer waits for our disk.
    pub fn waits(&self) -> bool {
        matches!(self.stage, Stage::Wait { .. })
    }

    /// Whether a body is on its way in.
    pub fn has_body(&self) -> bool {
        matches!(self.stage, Stage::Body(_))
    }

    /// Why the session wants to be closed once its outbox is empty.
    pub fn closing(&self) -> Option<CloseReason> {
        match self.stage {
            Stage::Closing(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether the peer has ended its stream.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether something is under way that deserves to be ended well.
    pub fn is_busy(&self) -> bool {
        // A header whose body has yet to follow, or an upload whose first byte has, is a promise.
        let promised = matches!(self.awaited(), Some(Delay::Gap | Delay::FirstByte));
        self.owes() || self.has_work() || self.waits() || self.has_body() || promised
    }

    /// How long the peer may stay without progress.
    pub fn patience(&self) -> Patience {
        match self.stage {
            // The peer waits for us.
            Stage::Wait { .. } => Patience::Endless,
            Stage::Body(_) => Patience::Transfer,
            // A person who has stopped a screen has not gone away.
            Stage::Work if self.protocol.patience() == Patience::Endless => Patience::Endless,
            // A list or a body goes out.
            Stage::Work => Patience::Transfer,
            _ if self.sends_body() => Patience::Transfer,
            Stage::Closing(_) => Patience::Idle,
            Stage::Bytes | Stage::Hold => match self.protocol.patience() {
                Patience::Idle if self.has_begun() => Patience::Command,
                patience => patience,
            },
        }
    }

    fn sends_body(&self) -> bool {
        self.buffers
            .as_ref()
            .is_some_and(|buffers| buffers.outbox.has_body())
    }

    /// Whether the protocol waits for the rest of what it has been shown.
    fn has_begun(&self) -> bool {
        !self.unseen && !self.finished && !self.inbox().is_empty()
    }
}
