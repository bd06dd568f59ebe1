//! Names what can be seen of a loop and its sessions: rounds, events, turns, closes.
//! `trace.rs` prints them, the simulator checks them.

use super::close_reason::CloseReason;
use crate::wire::follows::Timer;
use std::net::SocketAddr;

/// Who an observation is about: the connection's number and its service.
#[derive(Debug, Clone, Copy)]
pub struct ConnLabel<'a> {
    /// The serial.
    pub serial: u32,
    /// The service's name.
    pub service: &'a str,
}

/// Watches the loop. Every method does nothing unless it is written.
pub trait Observer {
    /// A round begins with so many events.
    fn round(&mut self, _events: usize) {}
    /// A connection was accepted.
    fn opened(&mut self, _conn: ConnLabel<'_>, _peer: SocketAddr) {}
    /// The kernel told something of a connection.
    fn event(&mut self, _conn: ConnLabel<'_>, _ready: Readiness) {}
    /// A silence has lasted long enough to mean something.
    fn silence(&mut self, _conn: ConnLabel<'_>, _delay: Timer) {}
    /// A wait for the disk is over; `bulk` says for which kind of turn it is queued now.
    fn wait_over(&mut self, _conn: ConnLabel<'_>, _bulk: bool) {}
    /// A turn begins.
    fn turn(&mut self, _conn: ConnLabel<'_>, _ready: Readiness) {}
    /// The protocol took these bytes.
    fn consumed(&mut self, _bytes: &[u8]) {}
    /// The protocol answered with so many bytes from memory and so many from a blob.
    fn answered(&mut self, _bytes: usize, _body: u64) {}
    /// So many bytes came or left; of a body or not.
    fn moved(&mut self, _direction: IoDirection, _bytes: usize, _body: bool) {}
    /// The turn ended; `owes` says that the socket is full.
    fn turn_ended(
        &mut self,
        _conn: ConnLabel<'_>,
        _end: TurnEnd,
        _owes: bool,
        _awaited: Option<Timer>,
    ) {
    }
    /// The sending side is closed; what still comes is read away.
    fn lingering(&mut self, _conn: ConnLabel<'_>, _reason: CloseReason) {}
    /// The connection is gone.
    fn closed(&mut self, _conn: ConnLabel<'_>, _reason: CloseReason) {}
}

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoDirection {
    /// From the peer.
    In,
    /// To the peer.
    Out,
}

/// What the kernel has reported since the last call. Edges come once: only `WouldBlock`, or on
/// reading a short read, may clear a bit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Readiness {
    /// Bytes, an end of stream or an error may be waiting.
    pub readable: bool,
    /// The socket may take bytes.
    pub writable: bool,
    /// Keep reading to the end of the stream: a short read no longer proves that the socket is
    /// empty. The end has been announced, by the same edge as the last bytes; or the peer has sent
    /// urgent data (`MSG_OOB`), which a read stops in front of.
    pub drain_to_eof: bool,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnEnd {
    /// Every direction that is wanted waits for the kernel or the clock.
    Parked,
    /// Enough was moved or asked, or the next step moves a big piece: to the end of the bulk queue.
    Requeue,
    /// The disk has not read yet what is to be sent: back a little later.
    AwaitDisk,
    /// The connection is over.
    Closed(CloseReason),
}

impl Observer for () {}
