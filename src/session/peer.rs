//! A client of a datagram service: a UDP socket, or a session of this server.

use super::session_id::SessionId;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A client of a datagram service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Its datagrams arrive at the socket of the service. The source address can be forged.
    Udp(SocketAddr),
    /// Its datagrams are posts. The address is that of its TCP connection, and cannot be forged.
    Session(SessionId, SocketAddr),
}

impl Peer {
    /// Its address. Several sessions may have the same, one after the other.
    pub fn address(&self) -> SocketAddr {
        match self {
            Peer::Udp(address) | Peer::Session(_, address) => *address,
        }
    }

    /// The host part of its address.
    pub fn ip(&self) -> IpAddr {
        self.address().ip()
    }

    /// Whether it is a session: it is there until the service is notified of its end.
    pub fn is_session(&self) -> bool {
        matches!(self, Peer::Session(..))
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Peer {
        Peer::Udp(address)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(out)
    }
}
