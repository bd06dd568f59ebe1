//! Counts connections by client address, for the limit of connections per address.

use crate::session::client_net::client_net;
use std::collections::HashMap;
use std::net::IpAddr;

/// The number of connections of each address. Without a limit, nothing is counted.
#[derive(Debug)]
pub struct PerIpLimit {
    limit: Option<usize>,
    counts: HashMap<IpAddr, usize>,
    /// The client address of each slot.
    slots: Vec<Option<IpAddr>>,
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

    /// Counts a new connection.
    pub fn enter(&mut self, slot: u32, address: IpAddr) {
        if self.limit.is_none() {
            return;
        }
        let (slot, address) = (slot as usize, client_net(address));
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        self.slots[slot] = Some(address);
        *self.counts.entry(address).or_insert(0) += 1;
    }

    /// Removes the connection of a slot from the counts. Does nothing if it is not counted.
    pub fn leave(&mut self, slot: u32) {
        let address = self.slots.get_mut(slot as usize).and_then(Option::take);
        let Some(address) = address else { return };
        let count = self.counts.get_mut(&address).expect("it was counted");
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_connection_is_no_longer_counted() {
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let mut per_ip = PerIpLimit::new(Some(2));
        per_ip.enter(5, here);
        per_ip.enter(1, here);
        per_ip.enter(2, there);
        assert!(per_ip.is_reached(here) && !per_ip.is_reached(there));
        per_ip.leave(5);
        per_ip.leave(5);
        assert!(!per_ip.is_reached(here));
        per_ip.leave(1);
        per_ip.leave(2);
        assert!(per_ip.counts.is_empty());
    }
}
