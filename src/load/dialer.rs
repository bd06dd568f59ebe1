//! Opens connections to one server; over loopback from many source addresses.

use super::errors::LoadError;
use crate::reactor::connect;
use crate::wire::text::is_host_and_port;
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

/// Opens nonblocking connections to a server with several possible addresses. They are tried in
/// turn until a connection succeeds; then that address is kept.
#[derive(Debug)]
pub struct TcpDialer {
    server: SocketAddr,
    /// Addresses that were not tried yet.
    others: VecDeque<SocketAddr>,
    sources: u32,
    next: u32,
}

/// Parses `HOST:PORT` and resolves the host. Returns at least one address.
pub fn resolve(text: &str) -> Result<VecDeque<SocketAddr>, LoadError> {
    if !is_host_and_port(text) {
        return Err(LoadError::usage(format!(
            "`{text}` is not a server address; write HOST:PORT, for example 127.0.0.1:8080"
        )));
    }
    let found = text.to_socket_addrs().map_err(|error| {
        LoadError::failure(format!(
            "cannot resolve the host of {text}: {error}; check its name"
        ))
    })?;
    let found: VecDeque<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(LoadError::failure(format!(
            "the host of {text} has no address; check its name"
        )));
    }
    Ok(found)
}

/// The n-th source address for a server on loopback. One address has 28,000 ports, and each stays
/// in TIME_WAIT for a minute after its connection is closed.
pub fn source(server: SocketAddr, number: u32, sources: u32) -> Option<SocketAddr> {
    let on_loopback = matches!(server.ip(), IpAddr::V4(ip) if ip.is_loopback());
    let [high, low] = u16::try_from(number % sources).unwrap_or(0).to_be_bytes();
    let address = Ipv4Addr::new(127, 1, high, low.max(1));
    on_loopback.then(|| SocketAddr::from((address, 0)))
}

impl TcpDialer {
    /// A dialer for a server at one of these addresses.
    pub fn new(mut servers: VecDeque<SocketAddr>, sources: u32) -> TcpDialer {
        TcpDialer {
            server: servers.pop_front().expect("a host has an address"),
            others: servers,
            sources,
            next: 0,
        }
    }

    /// Keeps the current address, because a connection to it succeeded.
    pub fn keep_address(&mut self) {
        self.others.clear();
    }

    /// Moves on from an address that failed; `false` if there is no other address to try.
    pub fn skip_address(&mut self, server: SocketAddr) -> bool {
        if server == self.server {
            let Some(next) = self.others.pop_front() else {
                return false;
            };
            self.server = next;
        }
        true
    }

    /// The current address of the server.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Starts a connect. Over loopback it is usually established at once.
    pub fn dial(&mut self) -> io::Result<TcpStream> {
        self.next = self.next.wrapping_add(1);
        let from = source(self.server, self.next, self.sources);
        connect::begin(self.server, from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    #[test]
    fn an_address_needs_a_host_and_a_port() {
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
    fn each_address_is_skipped_once_and_none_after_a_connection() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut dialer = TcpDialer::new([address(1), address(2), address(3)].into(), 1);
        assert!(dialer.skip_address(address(1)));
        // Many concurrent connects to one address fail together.
        assert!(dialer.skip_address(address(1)));
        assert_eq!(dialer.server(), address(2));
        dialer.keep_address();
        assert!(!dialer.skip_address(address(2)));
        assert_eq!(dialer.server(), address(2));
    }

    #[test]
    fn only_a_server_on_loopback_is_connected_to_from_many_addresses() {
        let here = SocketAddr::from(([127, 0, 0, 1], 80));
        let there = SocketAddr::from(([192, 0, 2, 1], 80));
        assert_eq!(source(there, 3, 200), None);
        let sources: std::collections::BTreeSet<_> =
            (1..200).map(|number| source(here, number, 200)).collect();
        assert_eq!(sources.len(), 199);
    }
}
