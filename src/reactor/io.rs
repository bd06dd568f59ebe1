//! Names the system calls that are made on connections.
//! `linux.rs` makes the real ones, the simulator its own.

use super::clock::Moment;
use crate::session::blob::Blob;
use crate::session::session_id::SessionId;
use std::io;
use std::net::SocketAddr;

/// What the acceptor and the turn need of an operating system.
pub trait Io {
    /// A connected, nonblocking stream.
    type Socket;

    /// A nonblocking socket that listens.
    type Listener;

    /// `accept(2)`: takes one connection out of the kernel's queue.
    fn accept(&mut self, listener: &mut Self::Listener) -> io::Result<(Self::Socket, SocketAddr)>;

    /// `epoll_ctl(2)`: from here on, events of the socket carry this id.
    fn register(&mut self, socket: &mut Self::Socket, id: SessionId) -> io::Result<()>;

    /// `read(2)`.
    fn read(&mut self, socket: &mut Self::Socket, into: &mut [u8]) -> io::Result<usize>;

    /// `write(2)`.
    fn write(&mut self, socket: &mut Self::Socket, bytes: &[u8]) -> io::Result<usize>;

    /// Sends up to `most` bytes of a blob; 0 bytes say that the blob ends at `at`.
    fn send_file(
        &mut self,
        socket: &mut Self::Socket,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> io::Result<Sent>;

    /// Whether [`Io::receive_file`] can fill this blob.
    fn can_receive_file(&mut self, blob: &dyn Blob) -> bool;

    /// Moves up to `most` bytes of the stream into a blob; 0 is the end of the stream.
    fn receive_file(
        &mut self,
        socket: &mut Self::Socket,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> Result<usize, ReceiveError>;

    /// `TCP_CORK`: holds partial frames back until it is taken out.
    fn cork(&mut self, socket: &mut Self::Socket, corked: bool);

    /// `TCP_QUICKACK`: acknowledges what has come without waiting for something to send.
    fn quick_ack(&mut self, socket: &mut Self::Socket);

    /// `shutdown(2)` of the sending side.
    fn shutdown_write(&mut self, socket: &mut Self::Socket) -> io::Result<()>;

    /// Has the kernel forget what the peer does not take once the socket is closed: when the peer
    /// has taken nothing for so many milliseconds, or with 0 at once.
    fn abort(&mut self, _socket: &mut Self::Socket, _millis: u64) {}

    /// Whether the peer has broken the connection off. Nothing is read to find out.
    fn is_broken(&self, _socket: &Self::Socket) -> bool {
        false
    }

    /// The time, to measure how long turns take. What turns decide by is read once a round.
    fn now(&self) -> Moment;
}

/// What came of sending a piece of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// So many bytes are on their way.
    Bytes(usize),
    /// None: sending would wait for the disk, which has been asked for them.
    Cold,
}

/// Which end of a body's way failed.
#[derive(Debug)]
pub enum ReceiveError {
    /// The stream; `WouldBlock` is the usual one.
    Socket(io::Error),
    /// The blob.
    Blob(io::Error),
}
