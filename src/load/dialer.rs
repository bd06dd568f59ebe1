//! Opens connections to one server, from many addresses of this host where it stands on it.

use super::errors::LoadError;
use crate::wire::text::is_host_and_port;
use mio::net::TcpStream;
use nix::sys::socket::{setsockopt, sockopt};
use rustix::io::Errno;
use socket2::{Domain, Protocol as Transport, Socket, Type};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

/// The way to a server, which may be at one of several addresses. They are tried in turn until a
/// connection is made; from then on the server is there.
#[derive(Debug)]
pub struct Dialer {
    server: SocketAddr,
    /// The addresses that were not tried yet.
    others: VecDeque<SocketAddr>,
    sources: u32,
    next: u32,
}

/// Reads `HOST:PORT` and looks the host up; opens nothing. There is at least one address.
pub fn resolve(text: &str) -> Result<VecDeque<SocketAddr>, LoadError> {
    if !is_host_and_port(text) {
        return Err(LoadError::usage(format!(
            "`{text}` is not a server address; write HOST:PORT, for example 127.0.0.1:8080"
        )));
    }
    let found = text.to_socket_addrs().map_err(|error| {
        LoadError::failure(format!(
            "cannot find the host of {text}: {error}; is its name spelt right?"
        ))
    })?;
    let found: VecDeque<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(LoadError::failure(format!(
            "the host of {text} has no address; is its name spelt right?"
        )));
    }
    Ok(found)
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
    /// The way to the server at one of these addresses.
    pub fn new(mut servers: VecDeque<SocketAddr>, sources: u32) -> Dialer {
        Dialer {
            server: servers.pop_front().expect("a host has an address"),
            others: servers,
            sources,
            next: 0,
        }
    }

    /// A connection is made: the server is where it leads.
    pub fn settle(&mut self) {
        self.others.clear();
    }

    /// No connection could be made to this address. Whether another is worth a try.
    pub fn give_up(&mut self, server: SocketAddr) -> bool {
        if server == self.server {
            let Some(next) = self.others.pop_front() else {
                return false;
            };
            self.server = next;
        }
        true
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
    use std::net::Ipv6Addr;

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
        let found = resolve("[::1]:80").expect("an address");
        assert_eq!(found, [SocketAddr::from((Ipv6Addr::LOCALHOST, 80))]);
    }

    #[test]
    fn each_address_is_given_up_once_and_none_after_a_connection() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut dialer = Dialer::new([address(1), address(2), address(3)].into(), 1);
        assert!(dialer.give_up(address(1)));
        // Of many connections that were begun at once all fail.
        assert!(dialer.give_up(address(1)));
        assert_eq!(dialer.server(), address(2));
        dialer.settle();
        assert!(!dialer.give_up(address(2)));
        assert_eq!(dialer.server(), address(2));
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
