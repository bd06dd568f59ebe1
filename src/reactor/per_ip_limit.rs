//! The address of each connection, and the number of connections of each client address.

use super::clock::Moment;
use crate::session::client_net::client_net;
use crate::session::log_limit::LogLimit;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses, and the counts if there is a limit.
#[derive(Debug)]
pub struct PerIpLimit {
    limit: Option<usize>,
    counts: HashMap<IpAddr, usize>,
    /// The peer of each slot.
    slots: Vec<Option<PackedAddr>>,
    /// The address of each slot whose peer has no IPv4 address.
    ipv6: HashMap<u32, Ipv6Addr>,
    refused_logged: LogLimit,
}

/// An address with its port in 8 bytes instead of 32, because each idle connection holds one.
#[derive(Debug, Clone, Copy)]
struct PackedAddr {
    /// Nothing if `is_ipv6`.
    ipv4: Ipv4Addr,
    port: u16,
    /// Whether the address is in [`PerIpLimit::ipv6`].
    is_ipv6: bool,
    /// Whether the connection is counted: not if it is a proxy's, or belongs to a client that the
    /// proxy has not named yet.
    counted: bool,
}

impl PerIpLimit {
    /// At most `limit` connections from one address; `None` is no limit. Memory for the addresses
    /// of this number of connections is reserved.
    pub fn new(limit: Option<usize>, connections: usize) -> PerIpLimit {
        PerIpLimit {
            limit,
            counts: HashMap::new(),
            slots: Vec::with_capacity(connections),
            ipv6: HashMap::new(),
            refused_logged: LogLimit::new(1),
        }
    }

    /// Whether an address has as many connections as the limit allows.
    pub fn is_reached(&self, address: IpAddr) -> bool {
        let count = self.counts.get(&client_net(address)).copied().unwrap_or(0);
        self.limit.is_some_and(|limit| count >= limit)
    }

    /// Logs that a connection above the limit is refused.
    pub fn log_refused(&mut self, service: &str, peer: SocketAddr, now: Moment) {
        if let Some(others) = self.refused_logged.pass(now.0) {
            let count = others + 1;
            let reason = "its address is at the limit of connections";
            log::warn!(service, peer:%, reason;
                "{service}: {peer} was rejected: {reason} ({count} since the last line)");
        }
    }

    /// Notes and counts a new connection.
    pub fn enter(&mut self, slot: u32, peer: SocketAddr) {
        let counted = self.limit.is_some();
        self.note(slot, peer, counted);
        if counted {
            *self.counts.entry(client_net(peer.ip())).or_insert(0) += 1;
        }
    }

    /// No longer counts the connection of a slot: its peer is a proxy.
    pub fn exempt(&mut self, slot: u32) {
        if let Some(proxy) = self.leave(slot) {
            self.note(slot, proxy, false);
        }
    }

    fn note(&mut self, slot: u32, peer: SocketAddr, counted: bool) {
        let ipv4 = match peer.ip().to_canonical() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(ip) => {
                self.ipv6.insert(slot, ip);
                None
            }
        };
        let place = slot as usize;
        if place >= self.slots.len() {
            self.slots.resize(place + 1, None);
        }
        self.slots[place] = Some(PackedAddr {
            ipv4: ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED),
            port: peer.port(),
            is_ipv6: ipv4.is_none(),
            counted,
        });
    }

    /// Removes the connection of a slot and returns its peer, if it has one.
    pub fn leave(&mut self, slot: u32) -> Option<SocketAddr> {
        let packed = self.slots.get_mut(slot as usize).and_then(Option::take)?;
        let ip = match packed.is_ipv6 {
            true => self.ipv6.remove(&slot).expect("it was noted").into(),
            false => packed.ipv4.into(),
        };
        let peer = SocketAddr::new(ip, packed.port);
        if packed.counted {
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
        let mut per_ip = PerIpLimit::new(Some(2), 0);
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

    #[test]
    fn a_connection_of_a_proxy_is_not_counted() {
        let (proxy, client) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));
        let mut per_ip = PerIpLimit::new(Some(1), 0);
        per_ip.enter(0, SocketAddr::new(proxy, 5));
        per_ip.exempt(0);
        assert!(!per_ip.is_reached(proxy));
        assert_eq!(per_ip.leave(0), Some(SocketAddr::new(proxy, 5)));
        per_ip.enter(0, SocketAddr::new(client, 6));
        assert!(per_ip.is_reached(client));
        per_ip.leave(0);
        assert!(per_ip.counts.is_empty());
    }

    #[test]
    fn an_entry_of_an_idle_connection_has_8_bytes() {
        assert_eq!(size_of::<Option<PackedAddr>>(), 8);
    }

    #[test]
    fn the_peer_of_a_slot_is_returned_whatever_its_address_is() {
        let mut per_ip = PerIpLimit::new(None, 0);
        let peers = ["192.0.2.1:5", "[2001:db8::1]:6", "[::]:7", "0.0.0.0:8"];
        let peers = peers.map(|peer| peer.parse().expect("an address"));
        for (slot, peer) in peers.into_iter().enumerate() {
            per_ip.enter(slot as u32, peer);
        }
        for (slot, peer) in peers.into_iter().enumerate().rev() {
            assert_eq!(per_ip.leave(slot as u32), Some(peer));
        }
        assert!(per_ip.ipv6.is_empty());
    }
}
