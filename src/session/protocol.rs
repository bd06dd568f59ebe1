//! The trait of a protocol: a state machine that gets bytes and says what the next bytes are.
//!
//! The inbox holds input that is not consumed yet, the outbox output that is not sent yet. A body
//! is the content of a file; a blob is the open file that it is read from or written to. The
//! session and the turn that runs it are called the driver. The rules:
//!
//! 1. To consume 0 bytes and return [`Intake::Bytes`] means "need more bytes". If the inbox is full
//!    then, the driver closes the connection with [`CloseReason::FrameTooLong`].
//! 2. The driver calls again with the rest until nothing is consumed, so pipelining needs no code.
//! 3. The driver makes no call while the outbox holds a body or is above its high-water mark.
//! 4. The driver moves the bytes of a body into the blob, and those of a relay back to the peer.
//!    The protocol never gets them.
//! 5. A protocol has no clock and no socket. It logs by a post to [`Audience::Log`], whose text
//!    must hold no control characters.
//! 6. A protocol reaches other sessions by posts only.
//! 7. `on_body` is called exactly once for each body, however the body ends.
//!
//! When a session is dropped, its files are closed and its unfinished upload is deleted.
//!
//! [`Audience::Log`]: super::notice::Audience::Log

use super::close_reason::CloseReason; // why a connection ends
use super::notice::{Notice, Post}; // a message to a session; a message and its recipient
use super::outbox::Outbox; // what the peer is sent, in order
use super::proxies::Client; // what is known of a client that a proxy has named
use super::session_id::SessionId; // the number of a session
use crate::session::blob::Blob; // the bytes of one file, read and written at offsets
use crate::wire::follows::{Follows, Timer}; // more bytes, a silence or the end; kinds of silence
use std::io;
use std::rc::Rc;

/// The server's side of one connection.
pub trait Protocol {
    /// Consumes a prefix of `input`. Returns its length and what the bytes after it are.
    ///
    /// A silence applies to the whole input. If only a part is consumed, the rest is passed again
    /// with the same silence. After [`Follows::Eof`] a protocol that consumes nothing and returns
    /// [`Intake::Bytes`] is closed.
    fn on_bytes(&mut self, input: &[u8], follows: Follows, cx: &mut Context<'_>)
    -> (usize, Intake);

    /// The body that [`Intake::Body`] asked for has ended.
    fn on_body(&mut self, _end: BodyEnd, _cx: &mut Context<'_>) -> Intake {
        unreachable!("this protocol asks for no body")
    }

    /// Does one bounded piece of the work that [`Intake::Work`] announced, or goes on after
    /// [`Intake::Wait`]. The call may come before the wait is over: then the protocol returns
    /// [`Intake::Wait`] again.
    fn on_work(&mut self, _cx: &mut Context<'_>) -> Intake {
        unreachable!("this protocol announces no work")
    }

    /// The connection is open. A greeting may be sent, and notices posted.
    fn on_open(&mut self, _cx: &mut Context<'_>) {}

    /// Another session has posted a notice.
    fn on_notice(&mut self, _notice: &Notice, _cx: &mut Context<'_>) -> Reaction {
        Reaction::Stay
    }

    /// The connection has ended. Notices may be posted, but output is discarded.
    fn on_close(&mut self, _reason: CloseReason, _cx: &mut Context<'_>) {}

    /// Whether the peer may be silent without a limit, as a person at a terminal may.
    fn may_idle(&self) -> bool {
        false
    }

    /// Whether a body arrives in pieces and is not complete, so that the minimum rate applies also
    /// between them.
    fn in_body(&self) -> bool {
        false
    }

    /// Whether the first byte of the next command is due as soon as its last one would be.
    fn must_begin(&self) -> bool {
        false
    }

    /// The kind of silence that has a meaning now. When the peer has sent nothing for the time of
    /// that timer, `on_bytes` gets [`Follows::Silence`].
    fn awaited(&self) -> Option<Timer> {
        None
    }
}

/// What the bytes after the consumed ones are.
pub enum Intake {
    /// Input for `on_bytes`.
    Bytes,
    /// A body, which the driver moves into a blob.
    Body(Box<Receive>),
    /// Output, to the end of the stream: the driver sends all of it back and keeps only what the
    /// socket does not accept. No call of the protocol follows but `on_notice` and `on_close`.
    Relay,
    /// Input that waits: `on_bytes` is called again only after the awaited silence.
    Hold,
    /// Input that waits: `on_work` is called first, again and again while it returns this.
    Work,
    /// Input that waits until a disk operation of the store completes; then `on_work` is called.
    Wait,
    /// Input for another protocol, which takes the place of this one.
    Replace(Box<(Box<dyn Protocol>, Client)>),
    /// Not wanted: the outbox is flushed, then the connection is closed.
    Close(CloseReason),
}

/// What a notice does to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// It stays open.
    Stay,
    /// It stays open, and `on_work` is called next, as after [`Intake::Work`].
    Work,
    /// It is closed when the outbox is flushed.
    Close(CloseReason),
    /// It is closed at once: the peer does not read, so the outbox would never be flushed.
    Drop(CloseReason),
}

/// A body that is being received.
pub struct Receive {
    /// Bytes that have not arrived.
    pub left: u64,
    /// The offset in the blob of the next byte.
    pub at: u64,
    /// The blob.
    pub into: Rc<dyn Blob>,
}

impl Receive {
    /// A body of `left` bytes, written to the blob from offset 0 on.
    pub fn new(into: Rc<dyn Blob>, left: u64) -> Box<Receive> {
        Box::new(Receive { left, at: 0, into })
    }
}

/// How a body ended.
#[derive(Debug)]
pub enum BodyEnd {
    /// All bytes have arrived.
    Complete,
    /// The peer ended its stream before the body was complete.
    PeerFinished {
        /// The number of bytes that did not arrive.
        missing: u64,
    },
    /// A write to the blob failed.
    BlobFailed(io::Error),
    /// The connection is being closed. Output is discarded.
    Abandoned,
}

/// What a protocol can use during a call.
pub struct Context<'a> {
    /// The output to the peer, in order.
    pub out: &'a mut Outbox,
    /// Notices to other sessions and to the log, delivered after this turn.
    pub posts: &'a mut Vec<Post>,
    /// The id of this session, for posts to it.
    pub me: SessionId,
    /// Seconds since the server started. The reactor reads the clocks once a round.
    pub now: u32,
    /// The same in microseconds.
    pub micros: u64,
    /// The date: seconds since 1970.
    pub unix: u64,
    /// The number of reads of sockets, and of ends of waits, so far.
    pub reads: u64,
    /// Whether standard output is too slow for the lines to the operator.
    pub operator_behind: bool,
}
