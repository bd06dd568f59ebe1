//! Opens TCP listeners or takes them over, and turns failures into advice.

use super::error::StartError;
use crate::wire::text::reason;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Bounds of the kernel's queues for one listener and its connections.
#[derive(Debug, Clone, Copy)]
pub struct Queues {
    /// Connections not yet accepted.
    pub backlog: i32,
    /// Bytes per connection that are written and not yet sent: tcp(7), `TCP_NOTSENT_LOWAT`.
    pub unsent: u32,
    /// Bytes per connection that are received and not yet read: socket(7), `SO_RCVBUF`. `None`
    /// leaves it to the kernel.
    pub unread: Option<usize>,
}

/// Opens a nonblocking listener. Errors are those of socket(2), bind(2) and listen(2).
///
/// With `shared`, other listeners of the same user with `SO_REUSEPORT` may have the port, too:
/// socket(7). No other program can share a port that is not shared from the start.
pub fn listen(
    address: SocketAddr,
    queues: Queues,
    shared: bool,
) -> io::Result<mio::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Without it a restart fails while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    set_options(&socket, queues)?;
    socket.bind(&address.into())?;
    socket.listen(queues.backlog)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

/// Takes over a socket that listens already. It gets the same options, except for the backlog: the
/// queue has to hold while no server runs, so that its size belongs to the socket's owner.
pub fn adopt(socket: Socket, queues: Queues) -> io::Result<mio::net::TcpListener> {
    set_options(&socket, queues)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

fn set_options(socket: &Socket, queues: Queues) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // On Linux, connections inherit these options from the listener, which saves a system call
    // each. Replies are written whole, so waiting for more bytes (Nagle) gains nothing.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(queues.unsent)?;
    if let Some(unread) = queues.unread {
        // The kernel doubles the value: socket(7).
        socket.set_recv_buffer_size(unread / 2)?;
    }
    Ok(())
}

/// The warning that a server with shared ports, when it ends, resets the clients in its queues:
/// unless the kernel gives them to the other servers (Linux 5.14, its `ip-sysctl`).
pub fn lost_when_shared() -> Option<&'static str> {
    let moves = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req");
    moves.is_ok_and(|moves| moves.trim() != "1").then_some(
        "when this server ends, clients that it has not accepted yet are reset: \
         `sysctl -w net.ipv4.tcp_migrate_req=1` gives them to the other servers of its ports",
    )
}

/// Whether the address belongs to this machine.
pub fn can_listen(address: IpAddr) -> bool {
    let queues = Queues {
        backlog: 1,
        unsent: 0,
        unread: None,
    };
    listen(SocketAddr::new(address, 0), queues, false).is_ok()
}

/// The error of a port that cannot be opened, with advice; `shared` as for [`listen`].
pub fn cannot_listen(
    name: &str,
    transport: &str,
    address: SocketAddr,
    shared: bool,
    error: &io::Error,
) -> StartError {
    let way_out = match error.kind() {
        io::ErrorKind::AddrInUse if shared && transport == "udp" => {
            "--reuse-port shares no UDP port; give the room another one with --room PORT, and join \
             the rooms with --link, or use --room off"
                .to_owned()
        }
        io::ErrorKind::AddrInUse if shared => {
            format!(
                "a program without --reuse-port or of another user has it; stop it, or choose \
                 another port with --{name} PORT"
            )
        }
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
        reason(error)
    ))
}
