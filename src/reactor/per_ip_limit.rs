//! Counts connections by the address that they come from.

use crate::session::client_net::client_net;
use std::collections::HashMap;
use std::net::IpAddr;

/// The counts. Without a limit there are none, and no memory is spent on them.
#[derive(Debug)]
pub struct PerIpLimit {
    limit: Option<usize>,
    counts: HashMap<IpAddr, usize>,
    /// Where the connection of a slot comes from.
    slots: Vec<Option<IpAddr>>,
}

impl PerIpLimit {
    /// At most `limit` connections from one address; `None` is any number.
    pub fn new(limit: Option<usize>) -> PerIpLimit {
        PerIpLimit {
            limit,
            counts: HashMap::new(),
            slots: Vec::new(),
        }
    }

    /// Whether one more from there is too many.
    pub fn is_reached(&self, address: IpAddr) -> bool {
        let count = self.counts.get(&client_net(address)).copied().unwrap_or(0);
        self.limit.is_some_and(|limit| count >= limit)
    }

    /// A connection has come.
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

    /// The connection of a slot has gone.
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
    fn who_leaves_makes_room_and_nothing_is_remembered_of_them() {
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
