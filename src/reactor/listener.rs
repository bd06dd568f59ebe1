//! One listening socket and the service behind it.
//! Accepts only when told: whether there is room is the gate's business.

use crate::session::protocol::Protocol;
use mio::net::{TcpListener, TcpStream};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;

/// Makes the protocol for a new connection.
pub type MakeProtocol = Box<dyn Fn(SocketAddr) -> Box<dyn Protocol>>;

/// A service that listens.
pub struct Listener {
    /// The service's name.
    pub name: &'static str,
    /// Whether connections may be waiting. An edge comes once: while the gate is closed, the bit
    /// stays.
    pub readable: bool,
    /// Makes its protocols.
    pub make: MakeProtocol,
    /// Finds peers that have died without a word, where no idle deadline does.
    pub keepalive: Option<TcpKeepalive>,
    socket: TcpListener,
}

/// What came of trying to accept.
pub enum Accepted {
    /// A connection.
    Stream(TcpStream, SocketAddr),
    /// Nobody waits.
    Drained,
    /// No descriptor is left; whoever waits still does.
    OutOfDescriptors,
    /// This one is gone, the next may be fine.
    Failed(io::Error),
}

impl Listener {
    /// A service on a bound, nonblocking socket.
    pub fn new(name: &'static str, socket: TcpListener, make: MakeProtocol) -> Listener {
        Listener {
            name,
            readable: false,
            make,
            keepalive: None,
            socket,
        }
    }

    /// The socket, to be registered.
    pub fn source(&mut self) -> &mut TcpListener {
        &mut self.socket
    }

    /// Takes one connection out of the kernel's queue.
    pub fn accept(&mut self) -> Accepted {
        match self.socket.accept() {
            Ok((stream, peer)) => {
                // Replies are whole when they are written; nothing is gained by waiting for more.
                let _ = stream.set_nodelay(true);
                if let Some(keepalive) = &self.keepalive {
                    let _ = SockRef::from(&stream).set_tcp_keepalive(keepalive);
                }
                Accepted::Stream(stream, peer)
            }
            Err(error) => match error
                .raw_os_error()
                .map(rustix::io::Errno::from_raw_os_error)
            {
                Some(rustix::io::Errno::AGAIN) => {
                    self.readable = false;
                    Accepted::Drained
                }
                Some(
                    rustix::io::Errno::MFILE
                    | rustix::io::Errno::NFILE
                    | rustix::io::Errno::NOBUFS
                    | rustix::io::Errno::NOMEM,
                ) => Accepted::OutOfDescriptors,
                _ => Accepted::Failed(error),
            },
        }
    }
}
