//! The proxies whose connections begin with a header that names the client, and what it says.

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Networks of proxies. Without any, no connection is looked at.
#[derive(Debug, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// The proxies with an address in one of these networks.
    pub fn new(networks: Vec<IpNet>) -> Proxies {
        Proxies(networks)
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a peer at this address is one.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(&peer))
    }
}

/// What is known of a client when the protocol of its connection is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The same as before: the new protocol is open.
    Same,
    /// It is the proxy: the protocol is to be opened, and no limit counts the connection.
    Proxy,
    /// It is behind the proxy, at this address, for which limits count it: the protocol is to be
    /// opened, or the client to be sent the refusal.
    At {
        /// The address.
        address: SocketAddr,
        /// The reply above the limit.
        refusal: Option<&'static [u8]>,
    },
}

/// Parses an address, or a network as `10.0.0.0/8`.
///
/// # Errors
///
/// It is neither.
pub fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse().map(|address: IpAddr| address.to_canonical());
    let network = address.map(IpNet::from).or_else(|_| text.parse());
    network.map_err(|_| "give an IP address or a network, as 192.0.2.7 or 10.0.0.0/8".to_owned())
}
