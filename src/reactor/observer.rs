//! Names what can be seen of the loop: rounds, events, turns, closes.
//! `trace.rs` prints, the simulator checks, and `()` costs nothing.

use super::connection::Readiness;
use super::turn::Ended;
use crate::session::close_reason::CloseReason;
use crate::session::witness::Witness;
use crate::wire::pause::Delay;
use std::net::SocketAddr;

/// Who an observation is about: the connection's number and its service.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The serial.
    pub serial: u32,
    /// The service's name.
    pub service: &'a str,
}

/// Watches the loop. Every method does nothing unless it is written.
pub trait Observer: Witness {
    /// A round begins with so many events.
    fn round(&mut self, _events: usize) {}
    /// A connection was accepted.
    fn opened(&mut self, _who: Who<'_>, _peer: SocketAddr) {}
    /// The kernel told something of a connection.
    fn event(&mut self, _who: Who<'_>, _ready: Readiness) {}
    /// A silence has lasted long enough to mean something.
    fn silence(&mut self, _who: Who<'_>, _delay: Delay) {}
    /// A wait for the disk is over; `bulk` says for which kind of turn it is queued now.
    fn waited(&mut self, _who: Who<'_>, _bulk: bool) {}
    /// A turn begins.
    fn turn(&mut self, _who: Who<'_>, _ready: Readiness) {}
    /// So many bytes came or left; of a body or not.
    fn moved(&mut self, _direction: Direction, _bytes: usize, _body: bool) {}
    /// The turn ended; `owes` says that the socket is full.
    fn ended(&mut self, _who: Who<'_>, _ended: &Ended, _owes: bool, _awaited: Option<Delay>) {}
    /// The sending side is closed; what still comes is read away.
    fn lingers(&mut self, _who: Who<'_>, _reason: CloseReason) {}
    /// The connection is gone.
    fn closed(&mut self, _who: Who<'_>, _reason: CloseReason) {}
}

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the peer.
    In,
    /// To the peer.
    Out,
}

impl Observer for () {}
