//! The address of each connection, and the number of connections of each client address.

use crate::session::client_net::client_net;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// The addresses, and the counts if there is a limit.
#[derive(Debug)]
pub struct PerIpLimit {
    limit: Option<usize>,
    counts: HashMap<IpAddr, usize>,
    /// The peer of each slot.
    slots: Vec<Option<PackedAddr>>,
}

/// An address with its port in 18 bytes instead of 32, because each idle connection holds one.
#[derive(Debug, Clone, Copy)]
struct PackedAddr {
    ip: [u8; 16],
    port: u16,
}

impl PackedAddr {
    fn pack(address: SocketAddr) -> PackedAddr {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        PackedAddr {
            ip: ip.octets(),
            port: address.port(),
        }
    }

    fn unpack(self) -> SocketAddr {
        let ip = IpAddr::from(self.ip).to_canonical();
        SocketAddr::new(ip, self.port)
    }
}

impl PerIpLimit {
    /// At most `limit` connections from one address; `None` is no limit.
    pub fn new(limit: Option<usize>) -> PerIpLimit {
        PerIpLimit {
            limit,
            counts: HashMap::new(),
            slots: Vec::new(),
        }
    }

    /// Whether an address has as many connections as the limit allows.
    pub fn is_reached(&self, address: IpAddr) -> bool {
        let count = self.counts.get(&client_net(address)).copied().unwrap_or(0);
        self.limit.is_some_and(|limit| count >= limit)
    }

    /// Notes and counts a new connection.
    pub fn enter(&mut self, slot: u32, peer: SocketAddr) {
        let slot = slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(PackedAddr::pack(peer));
        if self.limit.is_some() {
            *self.counts.entry(client_net(peer.ip())).or_insert(0) += 1;
        }
    }

    /// Removes the connection of a slot and returns its peer, if it has one.
    pub fn leave(&mut self, slot: u32) -> Option<SocketAddr> {
        let peer = self.slots.get_mut(slot as usize).and_then(Option::take)?;
        let peer = peer.unpack();
        if self.limit.is_some() {
            let address = client_net(peer.ip());
            let count = self.counts.get_mut(&address).expect("it was counted");
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
        Some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_connection_is_no_longer_counted() {
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let peer = |ip| SocketAddr::new(ip, 5);
        let mut per_ip = PerIpLimit::new(Some(2));
        per_ip.enter(5, peer(here));
        per_ip.enter(1, peer(here));
        per_ip.enter(2, peer(there));
        assert!(per_ip.is_reached(here) && !per_ip.is_reached(there));
        assert_eq!(per_ip.leave(5), Some(peer(here)));
        assert_eq!(per_ip.leave(5), None);
        assert!(!per_ip.is_reached(here));
        per_ip.leave(1);
        per_ip.leave(2);
        assert!(per_ip.counts.is_empty());
    }
}
