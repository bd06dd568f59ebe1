//! Begins connections to other servers: connect(2) on a nonblocking socket.

use mio::net::TcpStream;
use nix::sys::socket::{setsockopt, sockopt};
use rustix::io::Errno;
use socket2::{Domain, Protocol as Transport, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// Starts a connect, from this address of the host if one is given. Over loopback the connection is
/// usually established at once.
pub fn begin(to: SocketAddr, from: Option<SocketAddr>) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(to), kind, Some(Transport::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(from) = from {
        // The kernel chooses the port in connect(2), when it need only be free for this peer.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(&from.into())?;
    }
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// Whether a connect has completed; an error if it failed.
pub fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
