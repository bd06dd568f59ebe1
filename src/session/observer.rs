//! The trait of an observer, which gets a call for each round, event, turn and close of a loop.
//! `trace.rs` prints them, the simulator checks them.

use super::close_reason::CloseReason;
use super::session_id::SessionId;
use crate::wire::follows::Timer;
use std::net::SocketAddr;

/// How logs and observers name a connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnLabel<'a> {
    /// The serial of its session id.
    pub serial: u32,
    /// The slot of its session id, which a later connection gets again.
    pub slot: u32,
    /// The number of its service.
    pub number: u16,
    /// The service's name.
    pub service: &'a str,
}

/// The label of a connection of the service with this number.
pub fn label<'a>(services: &[&'a str], number: u16, id: SessionId) -> ConnLabel<'a> {
    ConnLabel {
        serial: id.serial(),
        slot: id.slot(),
        number,
        service: services[usize::from(number)],
    }
}

/// Gets a call for each thing that happens. By default, all methods do nothing.
pub trait Observer {
    /// The loop has polled without sleeping for this time, and has found an event or has not.
    fn spun(&mut self, _micros: u64, _found: bool) {}
    /// A round begins, with this number of events from the kernel; it may be 0.
    fn round(&mut self, _events: usize) {}
    /// A connection was accepted.
    fn opened(&mut self, _conn: ConnLabel<'_>, _peer: SocketAddr) {}
    /// The proxy of a connection has named its client.
    fn named(&mut self, _conn: ConnLabel<'_>, _client: SocketAddr) {}
    /// The kernel has reported an event of a connection.
    fn event(&mut self, _conn: ConnLabel<'_>, _ready: Readiness) {}
    /// The peer has been silent for as long as the protocol waits for.
    fn silence(&mut self, _conn: ConnLabel<'_>, _timer: Timer) {}
    /// A wait for the disk is over. The connection is queued for a bulk turn or for a short one.
    fn wait_over(&mut self, _conn: ConnLabel<'_>, _bulk: bool) {}
    /// The turns of a round begin. This number of connections waits for a short turn, and this
    /// number for a bulk turn.
    fn queued(&mut self, _short: usize, _bulk: usize) {}
    /// A turn begins.
    fn turn(&mut self, _conn: ConnLabel<'_>, _ready: Readiness) {}
    /// The protocol has consumed these bytes.
    fn consumed(&mut self, _bytes: &[u8]) {}
    /// The protocol has added output: bytes from memory and bytes of a blob.
    fn answered(&mut self, _bytes: usize, _body: u64) {}
    /// Bytes were read or written; `body` if they went between the socket and a blob.
    fn moved(&mut self, _direction: IoDirection, _bytes: usize, _body: bool) {}
    /// The turn has ended. This number of bytes is not sent; if it is not 0, the socket is full.
    fn turn_ended(
        &mut self,
        _conn: ConnLabel<'_>,
        _end: TurnEnd,
        _owed: u64,
        _awaited: Option<Timer>,
    ) {
    }
    /// What the turn that has just ended has used of its budget, in bytes and in calls of the
    /// protocol, and how long it took, in microseconds.
    fn cost(
        &mut self,
        _conn: ConnLabel<'_>,
        _bulk: bool,
        _bytes: usize,
        _calls: usize,
        _micros: u64,
    ) {
    }
    /// Our side of the stream is shut down. What the peer still sends is read and discarded.
    fn lingering(&mut self, _conn: ConnLabel<'_>, _reason: CloseReason) {}
    /// The connection is closed.
    fn closed(&mut self, _conn: ConnLabel<'_>, _reason: CloseReason) {}
}

/// The direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoDirection {
    /// From the peer.
    In,
    /// To the peer.
    Out,
}

/// What the kernel has reported of a socket. An edge is reported once (epoll(7), `EPOLLET`): only
/// `WouldBlock`, or a short read, may clear a bit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Readiness {
    /// There may be bytes to read, an end of stream or an error.
    pub readable: bool,
    /// The socket may have room for bytes.
    pub writable: bool,
    /// Keep reading to the end of the stream: a short read no longer proves that the socket is
    /// empty. The kernel has reported the end (`EPOLLRDHUP`), together with the last bytes; or the
    /// peer has sent urgent data (`MSG_OOB`, recv(2)), and a read stops in front of it.
    pub drain_to_eof: bool,
}

impl Readiness {
    /// Readable and writable, as a new socket may be.
    pub const BOTH: Readiness = Readiness {
        readable: true,
        writable: true,
        drain_to_eof: false,
    };
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnEnd {
    /// Nothing can be done until an event of the socket or a timer.
    Parked,
    /// The budget is used up, or the next step needs a bulk turn: to the end of the bulk queue.
    Requeue,
    /// Nothing can be done until a disk operation completes.
    AwaitDisk,
    /// Another protocol takes over, with a turn of its own.
    Replace,
    /// The connection is to be closed.
    Closed(CloseReason),
}

impl Observer for () {}

/// Two observers that get every call, the first one first.
macro_rules! both {
    ($($method:ident($($name:ident: $kind:ty),*);)*) => {
        impl<A: Observer, B: Observer> Observer for (A, B) {
            $(fn $method(&mut self, $($name: $kind),*) {
                self.0.$method($($name),*);
                self.1.$method($($name),*);
            })*
        }
    };
}

both! {
    spun(micros: u64, found: bool);
    round(events: usize);
    opened(conn: ConnLabel<'_>, peer: SocketAddr);
    named(conn: ConnLabel<'_>, client: SocketAddr);
    event(conn: ConnLabel<'_>, ready: Readiness);
    silence(conn: ConnLabel<'_>, timer: Timer);
    wait_over(conn: ConnLabel<'_>, bulk: bool);
    queued(short: usize, bulk: usize);
    turn(conn: ConnLabel<'_>, ready: Readiness);
    consumed(bytes: &[u8]);
    answered(bytes: usize, body: u64);
    moved(direction: IoDirection, bytes: usize, body: bool);
    turn_ended(conn: ConnLabel<'_>, end: TurnEnd, owed: u64, awaited: Option<Timer>);
    cost(conn: ConnLabel<'_>, bulk: bool, bytes: usize, calls: usize, micros: u64);
    lingering(conn: ConnLabel<'_>, reason: CloseReason);
    closed(conn: ConnLabel<'_>, reason: CloseReason);
}
