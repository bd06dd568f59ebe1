//! The address of each connection, and the number of connections of each client address.

use super::clock::Moment;
use crate::session::client_net::client_net;
use crate::session::log_limit::LogLimit;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// The addresses, and the counts if there is a limit.
#[derive(Debug)]
pub struct PerIpLimit {
    limit: Option<usize>,
    counts: HashMap<IpAddr, usize>,
    /// The peer of each slot.
    slots: Vec<Option<PackedAddr>>,
    refused_logged: LogLimit,
}

/// An address with its port in 18 bytes instead of 32, because each idle connection holds one. With
/// its last field, an entry still has 20 bytes.
#[derive(Debug, Clone, Copy)]
struct PackedAddr {
    ip: [u8; 16],
    port: u16,
    /// Whether the connection is counted: not if it is a proxy's, or belongs to a client that the
    /// proxy has not named yet.
    counted: bool,
}

impl PackedAddr {
    fn pack(address: SocketAddr, counted: bool) -> PackedAddr {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        PackedAddr {
            ip: ip.octets(),
            port: address.port(),
            counted,
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
        let slot = slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        let counted = self.limit.is_some();
        self.slots[slot] = Some(PackedAddr::pack(peer, counted));
        if counted {
            *self.counts.entry(client_net(peer.ip())).or_insert(0) += 1;
        }
    }

    /// No longer counts the connection of a slot: its peer is a proxy.
    pub fn exempt(&mut self, slot: u32) {
        if let Some(proxy) = self.leave(slot) {
            self.slots[slot as usize] = Some(PackedAddr::pack(proxy, false));
        }
    }

    /// Removes the connection of a slot and returns its peer, if it has one.
    pub fn leave(&mut self, slot: u32) -> Option<SocketAddr> {
        let packed = self.slots.get_mut(slot as usize).and_then(Option::take)?;
        let peer = packed.unpack();
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

    #[test]
    fn a_connection_of_a_proxy_is_not_counted() {
        let (proxy, client) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));
        let mut per_ip = PerIpLimit::new(Some(1));
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
    fn an_entry_of_an_idle_connection_has_20_bytes() {
        assert_eq!(size_of::<Option<PackedAddr>>(), 20);
    }
}
