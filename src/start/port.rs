//! Opens a TCP port, and says what to do when that fails.
//! Accepts nobody: that is the loop's.

use super::error::{StartError, plain};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Opens the port; `backlog` connections may wait there.
pub fn listen(address: SocketAddr, backlog: i32) -> io::Result<mio::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    // A server that is started again must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Replies are whole when they are written; nothing is gained by waiting for more. Connections
    // have it from their listener, which is a system call less for each: accept(2), Linux.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

/// Whether this address is one of this machine.
pub fn can_listen(address: IpAddr) -> bool {
    listen(SocketAddr::new(address, 0), 1).is_ok()
}

/// Names the port and the way out.
pub fn cannot_listen(
    name: &str,
    transport: &str,
    address: SocketAddr,
    error: &io::Error,
) -> StartError {
    let way_out = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("stop the program that has it, or choose another port with --{name} PORT")
        }
        io::ErrorKind::PermissionDenied => format!("choose a port above 1023 with --{name} PORT"),
        io::ErrorKind::AddrNotAvailable => {
            "give an address of this machine with --host HOST".to_owned()
        }
        _ => format!("choose another port with --{name} PORT or switch it off: --{name} off"),
    };
    StartError::new(format!(
        "{name} cannot listen on {transport} {address}: {}; {way_out}",
        plain(error)
    ))
}
