//! Defines what a protocol is: a state machine that is shown bytes and says what comes next.
//!
//! The rules of the seam:
//!
//! 1. Taking 0 bytes and answering [`Intake::Bytes`] means "need more". A full inbox of which
//!    nothing is taken is the driver's [`CloseReason::FrameTooLong`].
//! 2. The driver calls again until nothing is taken: pipelining is free.
//! 3. It does not call while the outbox holds a body or is above its high-water mark.
//! 4. Body bytes are never shown; the driver moves them into the blob.
//! 5. A protocol has no clock and no socket, and logs nothing: what the operator must know of an
//!    upload is posted to the log, without a byte that could steer a terminal.
//! 6. No reaching into other sessions: push a post.
//! 7. `on_body` comes exactly once for each body, on every path.
//!
//! Dropping a session closes its files and discards its unfinished upload.

use super::close_reason::CloseReason; // why a connection ends
use super::notice::{Notice, Post}; // a message and its way to another session
use super::outbox::Outbox; // what the peer is sent, in order
use super::session_id::SessionId; // the number of a session
use crate::session::blob::Blob; // the bytes of one file
use crate::wire::follows::{Follows, Timer}; // which silence; that it is over, or the stream is
use std::io;
use std::rc::Rc;

/// One side of one conversation.
pub trait Protocol {
    /// Takes a prefix of `input`; says how much was taken and what the following bytes are.
    /// A silence applies to all of `input`: after a part is taken, the rest is shown with it again.
    /// After `Follows::Eof` it takes something, or holds, or is closed.
    fn on_bytes(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>)
    -> (usize, Intake);

    /// The body asked for by [`Intake::Body`] has ended.
    fn on_body(&mut self, _end: BodyEnd, _cx: &mut Context<'_>) -> Intake {
        unreachable!("a protocol that asks for no body gets no end of one")
    }

    /// Does one bounded piece of what was announced by [`Intake::Work`], or goes on after an
    /// [`Intake::Wait`]. It may come before the wait is over: then it waits again.
    fn on_work(&mut self, _cx: &mut Context<'_>) -> Intake {
        unreachable!("a protocol that announces no work is given no turn for it")
    }

    /// The conversation begins: the peer may be greeted, or notices posted.
    fn on_open(&mut self, _cx: &mut Context<'_>) {}

    /// Another session has posted a notice.
    fn on_notice(&mut self, _notice: &Notice, _cx: &mut Context<'_>) -> Reaction {
        Reaction::Stay
    }

    /// The conversation has ended: notices may be posted, but nothing is sent to the peer.
    fn on_close(&mut self, _reason: CloseReason, _cx: &mut Context<'_>) {}

    /// Whether it takes all bytes at once, however many there are.
    fn is_stream(&self) -> bool {
        false
    }

    /// Whether the peer may be silent for ever, as people are.
    fn may_idle(&self) -> bool {
        false
    }

    /// Which silence of the peer means something now. [`Follows::Silence`] reports it.
    fn awaited(&self) -> Option<Timer> {
        None
    }
}

/// What the bytes behind those taken are.
pub enum Intake {
    /// More for `on_bytes`.
    Bytes,
    /// A body, which goes into a blob unseen.
    Body(Box<Receive>),
    /// Not looked at before the awaited silence is over.
    Hold,
    /// Not looked at yet: `on_work` first, as often as it says so.
    Work,
    /// Not looked at yet: the store has a disk to wait for, and `on_work` comes when it has not.
    Wait,
    /// Nothing: flush the outbox, then close.
    Close(CloseReason),
}

/// What a notice does to the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// It goes on.
    Stay,
    /// It ends once the peer has what it is owed.
    Close(CloseReason),
    /// It ends here: the peer would never take what it is owed.
    Drop(CloseReason),
}

/// A body on its way in.
pub struct Receive {
    /// Bytes still to come.
    pub left: u64,
    /// Where in the blob the next of them belongs.
    pub at: u64,
    /// The blob.
    pub into: Rc<dyn Blob>,
}

impl Receive {
    /// So many bytes, from the front of a blob on.
    pub fn new(into: Rc<dyn Blob>, left: u64) -> Box<Receive> {
        Box::new(Receive { left, at: 0, into })
    }
}

/// How a body ended.
#[derive(Debug)]
pub enum BodyEnd {
    /// All bytes came.
    Complete,
    /// The peer ended its stream with so many bytes still to come.
    PeerFinished {
        /// The bytes that did not come.
        missing: u64,
    },
    /// The blob took no more.
    BlobFailed(io::Error),
    /// The connection is being closed; what is sent now is discarded.
    Abandoned,
}

/// What a protocol can reach during a call.
pub struct Context<'a> {
    /// What the peer will be sent, in this order.
    pub out: &'a mut Outbox,
    /// Notices, which are delivered after this turn.
    pub posts: &'a mut Vec<Post>,
    /// This session, as others may name it.
    pub me: SessionId,
    /// Whole seconds since the server started; read by the reactor, once a round.
    pub now: u32,
    /// Lines for the operator come faster than standard output takes them.
    pub operator_behind: bool,
}
