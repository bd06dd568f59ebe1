//! Opens a TCP port, and says what to do when that fails.
//! Accepts nobody: that is the loop's.

use super::error::{StartError, plain};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// What the kernel may keep.
#[derive(Debug, Clone, Copy)]
pub struct Queues {
    /// Connections not yet accepted.
    pub backlog: i32,
    /// Bytes of a connection that its peer's window does not take yet.
    pub unsent: u32,
    /// Bytes of a connection that are not read; `None` is as many as it finds useful.
    pub unread: Option<usize>,
}

/// Opens the port.
pub fn listen(address: SocketAddr, queues: Queues) -> io::Result<mio::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    // A server that is started again must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Connections have these from their listener, which saves system calls: accept(2), Linux.
    // Replies are whole when they are written; nothing is gained by waiting for more.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(queues.unsent)?;
    if let Some(unread) = queues.unread {
        // The kernel doubles it.
        socket.set_recv_buffer_size(unread / 2)?;
    }
    socket.bind(&address.into())?;
    socket.listen(queues.backlog)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

/// Whether this address is one of this machine.
pub fn can_listen(address: IpAddr) -> bool {
    let queues = Queues {
        backlog: 1,
        unsent: 0,
        unread: None,
    };
    listen(SocketAddr::new(address, 0), queues).is_ok()
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
