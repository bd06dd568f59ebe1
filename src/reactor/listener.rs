//! One listening socket and the service behind it.
//! Does not know whether there is room: `accepting.rs` does.

use super::accepting::{Accepted, Arrivals};
use super::linux::Stream;
use super::token::{Key, Target};
use crate::session::protocol::Protocol;
use mio::net::TcpListener;
use mio::{Interest, Registry};
use rustix::io::Errno;
use rustix::net::sockopt;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr};

/// Makes the protocol for a new connection.
pub type MakeProtocol = Box<dyn Fn(SocketAddr) -> Box<dyn Protocol>>;

/// A service that listens.
pub struct Listener {
    /// The service's name.
    pub name: &'static str,
    /// Whether connections may be waiting. An edge comes once: while there is no room, the bit
    /// stays.
    pub readable: bool,
    /// Makes its protocols.
    pub make: MakeProtocol,
    /// What one peer too many of an address is told, where the service has words for it.
    pub refusal: Option<&'static [u8]>,
    socket: TcpListener,
}

impl Listener {
    /// A service on a bound, nonblocking socket.
    pub fn new(name: &'static str, socket: TcpListener, make: MakeProtocol) -> Listener {
        Listener {
            name,
            readable: false,
            make,
            refusal: None,
            socket,
        }
    }

    /// Whether what its connections send is spread over time, as bbr does it: tcp(7).
    pub fn is_paced(&self) -> bool {
        sockopt::tcp_congestion(&self.socket).is_ok_and(|name| name.starts_with("bbr"))
    }

    /// The socket, to be registered.
    pub fn source(&mut self) -> &mut TcpListener {
        &mut self.socket
    }

    /// Takes one connection out of the kernel's queue.
    fn accept(&mut self) -> Accepted<Stream> {
        match self.socket.accept() {
            Ok((stream, peer)) => Accepted::Stream(Stream::Tcp(stream), peer),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => {
                    self.readable = false;
                    Accepted::Drained
                }
                Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    Accepted::OutOfDescriptors
                }
                _ => Accepted::Failed(error),
            },
        }
    }
}

/// A listener beside the poll that its connections are registered with.
pub struct Arriving<'a> {
    /// The service.
    pub listener: &'a mut Listener,
    /// Where connections are registered.
    pub registry: &'a Registry,
}

impl Arrivals<Stream> for Arriving<'_> {
    fn is_readable(&self) -> bool {
        self.listener.readable
    }

    fn accept(&mut self) -> Accepted<Stream> {
        self.listener.accept()
    }

    fn register(&mut self, stream: &mut Stream, key: Key) -> io::Result<()> {
        let Stream::Tcp(stream) = stream else {
            unreachable!("nobody but peers connects")
        };
        // Once, for both directions, and never again. Urgent data is of no use to anybody here, but
        // a read stops in front of it.
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        self.registry
            .register(stream, Target::Session(key).token(), interest)
    }

    fn protocol(&self, peer: SocketAddr) -> Box<dyn Protocol> {
        (self.listener.make)(peer)
    }

    fn turn_away(&mut self, stream: Stream) {
        let (Stream::Tcp(mut stream), Some(refusal)) = (stream, self.listener.refusal) else {
            return;
        };
        // As far as the empty socket takes it: nobody waits for one peer too many.
        let _ = stream.write(refusal);
        let _ = stream.shutdown(Shutdown::Write);
    }
}
