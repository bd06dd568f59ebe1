//! Opens connections to one server, from many addresses of this host where it stands on it.
//! Waits for none of them: the loop is told by the poll.

use super::fault::LoadError;
use mio::net::TcpStream;
use nix::sys::socket::{setsockopt, sockopt};
use rustix::io::Errno;
use socket2::{Domain, Protocol as Transport, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

/// The way to a server.
#[derive(Debug)]
pub struct Dialer {
    server: SocketAddr,
    sources: u32,
    next: u32,
}

/// Reads `HOST:PORT` and looks the host up; opens nothing.
pub fn resolve(text: &str) -> Result<SocketAddr, LoadError> {
    if !is_host_and_port(text) {
        return Err(LoadError::usage(format!(
            "`{text}` is no address of a server; write HOST:PORT, for example 127.0.0.1:8080"
        )));
    }
    let found = text.to_socket_addrs().map_err(|error| {
        LoadError::failure(format!(
            "cannot find the host of {text}: {error}; is its name spelt right?"
        ))
    })?;
    let found: Vec<SocketAddr> = found.collect();
    // `localhost` has two addresses, and most servers listen on the older one alone.
    let older = found.iter().find(|address| address.is_ipv4());
    older.or(found.first()).copied().ok_or_else(|| {
        LoadError::failure(format!(
            "the host of {text} has no address; is its name spelt right?"
        ))
    })
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    // `::1` would be read as host `::` and port 1: an IPv6 address needs its brackets.
    let whole_host = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    !host.is_empty() && whole_host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// The n-th address of this host to come from, when the server is on it too: one address has
/// 28,000 ports, and each is taken for a minute after its connection was closed.
pub fn source(server: SocketAddr, number: u32, sources: u32) -> Option<SocketAddr> {
    let on_loopback = matches!(server.ip(), IpAddr::V4(ip) if ip.is_loopback());
    let [high, low] = u16::try_from(number % sources).unwrap_or(0).to_be_bytes();
    let address = Ipv4Addr::new(127, 1, high, low.max(1));
    on_loopback.then(|| SocketAddr::from((address, 0)))
}

impl Dialer {
    /// The way to this server.
    pub fn new(server: SocketAddr, sources: u32) -> Dialer {
        Dialer {
            server,
            sources,
            next: 0,
        }
    }

    /// The server.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Begins a connection. On loopback it most often stands already.
    pub fn dial(&mut self) -> io::Result<TcpStream> {
        let kind = Type::STREAM.nonblocking();
        let domain = Domain::for_address(self.server);
        let socket = Socket::new(domain, kind, Some(Transport::TCP))?;
        socket.set_tcp_nodelay(true)?;
        self.next = self.next.wrapping_add(1);
        if let Some(source) = source(self.server, self.next, self.sources) {
            // The port is chosen when the peer is known: it need only be free towards that peer.
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
            socket.bind(&source.into())?;
        }
        match socket.connect(&self.server.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                Err(error)
            }
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }
}

/// Whether a connection that was begun stands.
pub fn stands(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_addresses_are_taken() {
        for wrong in [
            "",
            "localhost",
            ":80",
            "::1",
            "::1:80",
            "host:0",
            "host:99999",
        ] {
            let error = resolve(wrong).expect_err(wrong);
            assert_eq!(error.status(), 2, "{wrong}");
        }
        assert_eq!(resolve("[::1]:80").expect("an address").port(), 80);
    }

    #[test]
    fn a_server_elsewhere_is_dialled_from_the_usual_address() {
        let here = SocketAddr::from(([127, 0, 0, 1], 80));
        let there = SocketAddr::from(([192, 0, 2, 1], 80));
        assert_eq!(source(there, 3, 200), None);
        let sources: std::collections::BTreeSet<_> =
            (1..200).map(|number| source(here, number, 200)).collect();
        assert_eq!(sources.len(), 199);
    }
}
