//! The system calls of the acceptor and of the turn, on TCP sockets of Linux.

use super::acceptor::ServiceListener;
use super::clock::{self, Clock, Moment};
use super::connect;
use super::io::{Io, Sent};
use super::splice::Pipes;
use super::stdio::Stdio;
use super::step_size::{StepLimits, StepSize};
use super::token::Target;
use crate::session::blob::{Blob, Readable};
use crate::session::session_id::SessionId;
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

/// How much of a body one system call moves between a socket and a file.
#[derive(Debug, Clone, Copy)]
pub struct BodySteps {
    /// Sizes for sendfile(2).
    pub send: StepLimits,
    /// Sizes for splice(2); the largest is the size of the pipe.
    pub receive: StepLimits,
    /// The most pipes that are open.
    pub pipes: usize,
    /// Bytes copied by one read and write, where the calls above are not used.
    pub copy: usize,
    /// Bytes of a body after which `TCP_NOTSENT_LOWAT` is reset: by then the peer is known to read.
    pub lowat_reset: u64,
}

/// The system calls, with the pipes or the one buffer that all bodies pass through.
pub struct LinuxIo {
    /// The epoll instance to register connections with.
    registry: Registry,
    pipes: Pipes,
    sending: StepSize,
    receiving: StepSize,
    /// Used only without `direct`.
    copy: Box<[u8]>,
    direct: bool,
    lowat_reset: u64,
    clock: Clock,
    /// The streams of the console, while its session is open.
    pub operator: Option<Stdio>,
}

impl LinuxIo {
    /// `direct` moves bodies by sendfile(2) and splice(2), otherwise by read(2) and write(2).
    pub fn new(registry: Registry, direct: bool, steps: &BodySteps) -> LinuxIo {
        let copy = if direct {
            Box::default()
        } else {
            vec![0; steps.copy].into()
        };
        LinuxIo {
            registry,
            pipes: Pipes::new(steps.receive.most, steps.pipes, direct),
            sending: StepSize::new(steps.send),
            receiving: StepSize::new(steps.receive),
            copy,
            direct,
            lowat_reset: steps.lowat_reset,
            clock: Clock::start(),
            operator: None,
        }
    }

    fn stdio(&mut self) -> io::Result<&mut Stdio> {
        self.operator
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The clock that turns are measured by.
    pub fn clock(&self) -> Clock {
        self.clock
    }
}

/// A service on a TCP port.
pub type LinuxListener = ServiceListener<TcpListener>;

/// Whether the connections of a listener use the congestion control bbr, which paces output:
/// tcp(7).
pub fn uses_bbr(listener: &LinuxListener) -> bool {
    sockopt::tcp_congestion(&listener.socket).is_ok_and(|name| name.starts_with("bbr"))
}

/// Trap: recv(3) and send(3) of the C library are points where a thread may be cancelled, which
/// takes 100 instructions more than the system call alone.
fn send_bytes(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(send(socket, bytes, SendFlags::NOSIGNAL)?)
}

/// The stream of a session.
pub enum Stream {
    /// A TCP connection.
    Tcp(TcpStream),
    /// Standard input and output: [`LinuxIo::operator`]. Here, they would double the size.
    Operator,
}

impl Stream {
    fn tcp(&mut self) -> io::Result<&mut TcpStream> {
        match self {
            Stream::Tcp(socket) => Ok(socket),
            // The operator's protocol sends and receives no bodies.
            Stream::Operator => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Io for LinuxIo {
    type Socket = Stream;
    type Listener = TcpListener;

    fn accept(&mut self, listener: &mut TcpListener) -> io::Result<(Stream, SocketAddr)> {
        let (socket, peer) = listener.accept()?;
        Ok((Stream::Tcp(socket), peer))
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<Stream> {
        connect::begin(to, None).map(Stream::Tcp)
    }

    fn register(&mut self, stream: &mut Stream, id: SessionId) -> io::Result<()> {
        let token = Target::Session(id).token();
        match stream {
            Stream::Tcp(socket) => {
                // Registered once, for both directions. Urgent data is not used, but its event must
                // be known, because a read stops in front of it.
                let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
                self.registry.register(socket, token, interest)
            }
            Stream::Operator => {
                let (input, output) = self.stdio()?.descriptors();
                for (fd, interest) in [(input, Interest::READABLE), (output, Interest::WRITABLE)] {
                    match self.registry.register(&mut SourceFd(&fd), token, interest) {
                        // epoll_ctl(2) refuses a regular file with EPERM; it is always ready.
                        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                        registered => registered?,
                    }
                }
                Ok(())
            }
        }
    }

    fn read(&mut self, stream: &mut Stream, into: &mut [u8]) -> io::Result<usize> {
        match stream {
            Stream::Tcp(socket) => Ok(recv(&*socket, into, RecvFlags::empty())?.0),
            Stream::Operator => self.stdio()?.read(into),
        }
    }

    fn write(&mut self, stream: &mut Stream, bytes: &[u8]) -> io::Result<usize> {
        match stream {
            Stream::Tcp(socket) => send_bytes(socket, bytes),
            Stream::Operator => self.stdio()?.write(bytes),
        }
    }

    fn send_file(
        &mut self,
        stream: &mut Stream,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> io::Result<Sent> {
        let socket = stream.tcp()?;
        let begin = self.clock.now();
        let most = most.min(self.sending.step());
        let (mut offered, range) = (0, at..at + most as u64);
        let count = match blob.readable(range) {
            Ok(Readable::Waits) => return Ok(Sent::Waits),
            Ok(Readable::File(file, count)) if self.direct => {
                let mut from = at;
                let count = rustix::fs::sendfile(&*socket, file, Some(&mut from), count)?;
                let took = begin.micros_until(self.clock.now());
                self.sending.record(count, took);
                count
            }
            Ok(Readable::File(file, count)) => {
                let count = count.min(self.copy.len());
                match rustix::io::pread(file, &mut self.copy[..count], at)? {
                    0 => 0,
                    count => send_bytes(socket, &self.copy[..count])?,
                }
            }
            Ok(Readable::Bytes(bytes)) => match (*bytes).as_ref() {
                [] => 0,
                // What does not fit into the socket is read again when it does: a peer that reads
                // slowly holds no buffer.
                bytes => {
                    offered = bytes.len();
                    send_bytes(socket, bytes)?
                }
            },
            Err(error) => {
                log::warn!("cannot read a file that is sent: {error}");
                0
            }
        };
        // 0 resets it to the system's value. Without a flag in the connection, it is set again
        // after each `lowat_reset` bytes.
        if at / self.lowat_reset != (at + count as u64) / self.lowat_reset {
            let _ = SockRef::from(&*socket).set_tcp_notsent_lowat(0);
        }
        Ok(match count < offered {
            true => Sent::Filled(count),
            false => Sent::Bytes(count),
        })
    }

    fn can_receive_file(&mut self) -> bool {
        self.direct && self.pipes.has_free()
    }

    fn receive_file(
        &mut self,
        stream: &mut Stream,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> io::Result<Option<usize>> {
        let socket = stream.tcp()?;
        let begin = self.clock.now();
        let most = most.min(self.receiving.step());
        let mut take = || self.pipes.take(socket.as_fd(), at, most);
        let taken = blob.fill(at, &mut take)?;
        let took = begin.micros_until(self.clock.now());
        self.receiving.record(taken.unwrap_or(0), took);
        Ok(taken)
    }

    // Errors of the two options below are ignored: without them the peer gets the same bytes.

    fn cork(&mut self, stream: &mut Stream, corked: bool) {
        if let Ok(socket) = stream.tcp() {
            let _ = sockopt::set_tcp_cork(&*socket, corked);
        }
    }

    fn quick_ack(&mut self, stream: &mut Stream) {
        if let Ok(socket) = stream.tcp() {
            let _ = sockopt::set_tcp_quickack(&*socket, true);
        }
    }

    fn shutdown_write(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.tcp()?.shutdown(std::net::Shutdown::Write)
    }

    // Trap: after close(2) the kernel keeps megabytes of unsent data without a limit in time for a
    // peer that reads nothing but answers window probes.
    fn abort(&mut self, stream: &mut Stream, millis: u64) {
        let Ok(socket) = stream.tcp() else {
            self.operator = None;
            return;
        };
        let socket = SockRef::from(&*socket);
        let _ = match millis {
            0 => socket.set_linger(Some(Duration::ZERO)),
            _ => socket.set_tcp_user_timeout(Some(Duration::from_millis(millis))),
        };
    }

    fn broken(&self, stream: &Stream) -> Option<u64> {
        let Stream::Tcp(socket) = stream else {
            return None;
        };
        let mut asked = [PollFd::new(socket, PollFlags::empty())];
        rustix::event::poll(&mut asked, Some(&Timespec::default())).ok()?;
        let broken = PollFlags::ERR | PollFlags::HUP;
        let is_broken = asked[0].revents().intersects(broken);
        is_broken.then(|| rustix::io::ioctl_fionread(socket).unwrap_or(0))
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn unix_seconds(&self) -> u64 {
        clock::unix_seconds()
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::Connection;
    use super::*;

    #[test]
    fn an_idle_connection_has_112_bytes_in_the_table() {
        // In debug builds, a socket of mio has 12 bytes more.
        let more = size_of::<TcpStream>() - size_of::<std::net::TcpStream>();
        assert!(size_of::<Connection<Stream>>() <= 112 + more.next_multiple_of(8));
    }
}
