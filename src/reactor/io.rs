//! The trait of the system calls on connections.
//! `linux.rs` implements it with Linux calls, the simulator of `tests/sim` without any.

use super::clock::Moment;
use crate::session::blob::Blob;
use crate::session::session_id::SessionId;
use std::io;
use std::net::SocketAddr;

/// The system calls of the acceptor and of the turn. None of them blocks.
pub trait Io {
    /// A connected, nonblocking stream.
    type Socket;

    /// A nonblocking listening socket.
    type Listener;

    /// accept(2): takes one connection out of the backlog.
    fn accept(&mut self, listener: &mut Self::Listener) -> io::Result<(Self::Socket, SocketAddr)>;

    /// connect(2): begins a connection. Until it is established, reads and writes would block; if
    /// it fails, they fail.
    fn connect(&mut self, _to: SocketAddr) -> io::Result<Self::Socket> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// epoll_ctl(2): registers a socket. Its events carry this id.
    fn register(&mut self, socket: &mut Self::Socket, id: SessionId) -> io::Result<()>;

    /// read(2).
    fn read(&mut self, socket: &mut Self::Socket, into: &mut [u8]) -> io::Result<usize>;

    /// write(2).
    fn write(&mut self, socket: &mut Self::Socket, bytes: &[u8]) -> io::Result<usize>;

    /// sendfile(2): sends up to `most` bytes of a blob, from offset `at` on. 0 bytes mean that the
    /// blob ends at `at`, or cannot be read.
    fn send_file(
        &mut self,
        socket: &mut Self::Socket,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> io::Result<Sent>;

    /// Whether [`Io::receive_file`] can be called.
    fn can_receive_file(&mut self) -> bool;

    /// splice(2): moves up to `most` bytes of the stream into a blob, at offset `at`. 0 is the end
    /// of the stream, and `None` that the blob is busy.
    fn receive_file(
        &mut self,
        socket: &mut Self::Socket,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> io::Result<Option<usize>>;

    /// `TCP_CORK`, tcp(7): while it is set, only full segments are sent.
    fn cork(&mut self, socket: &mut Self::Socket, corked: bool);

    /// `TCP_QUICKACK`, tcp(7): acknowledges the received bytes now, without a delay.
    fn quick_ack(&mut self, socket: &mut Self::Socket);

    /// shutdown(2) with `SHUT_WR`: ends our side of the stream.
    fn shutdown_write(&mut self, socket: &mut Self::Socket) -> io::Result<()>;

    /// Called before the socket is closed. Limits how long the kernel keeps unsent data after that:
    /// until the peer has acknowledged nothing for `millis` milliseconds. With 0 the data is
    /// discarded at once, and the peer gets a reset.
    fn abort(&mut self, _socket: &mut Self::Socket, _millis: u64) {}

    /// If the connection is reset or hung up, the number of bytes that can still be read.
    fn broken(&self, _socket: &Self::Socket) -> Option<u64> {
        None
    }

    /// The time, to measure turns. Decisions use the time at which the round began.
    fn now(&self) -> Moment;

    /// The date: seconds since 1970, as the kernel stamps files.
    fn unix_seconds(&self) -> u64 {
        0
    }
}

/// The result of [`Io::send_file`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// This number of bytes is in the socket's buffer.
    Bytes(usize),
    /// This number of bytes, and the buffer is full.
    Filled(usize),
    /// None: the blob is busy until a job has read the bytes.
    Waits,
}
