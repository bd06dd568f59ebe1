//! Remembers strangers for a while: who gave the password, who tried too many, who was here.
//! Sends nothing. The tables are bounded, and the oldest entries go first.

use crate::session::machine::machine;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};

/// Bounds of the room's memory of strangers. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct GuestLimits {
    /// Addresses that gave the password and no name yet.
    pub admitted: usize,
    /// How long such an address is remembered.
    pub admitted_for: u64,
    /// Hosts whose failures are counted.
    pub failing: usize,
    /// Failures of one host, within the time below, until it is ignored.
    pub failures: u32,
    /// How long failures are counted, and how long a host is then ignored.
    pub failing_for: u64,
}

/// The room's memory of strangers.
pub struct Guests {
    limits: GuestLimits,
    admitted: Recent<SocketAddr, ()>,
    /// By machine and not by port: ports cost an attacker nothing.
    failing: Recent<IpAddr, u32>,
    /// What members might still have sent when they left.
    left: Recent<SocketAddr, Credit>,
}

/// What a member may send.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credit {
    /// Messages that it may send now, in millionths.
    pub credit: u64,
    /// When the credit was last filled up, in microseconds.
    pub filled: u64,
}

impl Guests {
    /// Nobody is known.
    pub fn new(limits: GuestLimits) -> Guests {
        let admitted = Recent::new(limits.admitted, limits.admitted_for);
        Guests {
            limits,
            admitted,
            failing: Recent::new(limits.failing, limits.failing_for),
            left: Recent::new(limits.admitted, limits.admitted_for),
        }
    }

    /// The address gave the password.
    pub fn admit(&mut self, address: SocketAddr, now: u64) {
        self.admitted.forget(address);
        self.admitted.entry(address, now);
    }

    /// Whether the address gave the password a short while ago.
    pub fn is_admitted(&mut self, address: SocketAddr, now: u64) -> bool {
        self.admitted.get(address, now).is_some()
    }

    /// The address has a name now.
    pub fn forget(&mut self, address: SocketAddr) {
        self.admitted.forget(address);
    }

    /// A member has left with so much credit.
    pub fn remember(&mut self, address: SocketAddr, credit: Credit, now: u64) {
        self.left.forget(address);
        *self.left.entry(address, now) = credit;
    }

    /// The credit with which somebody of this address left a short while ago.
    pub fn remembered(&mut self, address: SocketAddr, now: u64) -> Option<Credit> {
        self.left.get(address, now).copied()
    }

    /// A wrong password; says whether it was the one too many.
    pub fn count_failure(&mut self, host: IpAddr, now: u64) -> bool {
        let host = machine(host);
        let failures = self.failing.entry(host, now);
        *failures += 1;
        let too_many = *failures == self.limits.failures;
        if too_many {
            // The time of being ignored begins now, not with the first failure.
            self.failing.forget(host);
            *self.failing.entry(host, now) = self.limits.failures;
        }
        too_many
    }

    /// Whether the host has tried too many passwords.
    pub fn is_ignored(&mut self, host: IpAddr, now: u64) -> bool {
        self.failing
            .get(machine(host), now)
            .is_some_and(|failures| *failures >= self.limits.failures)
    }
}

/// A bounded table that forgets. All entries live equally long, so a queue knows the oldest.
struct Recent<K, V> {
    entries: HashMap<K, (u64, V)>,
    order: VecDeque<(u64, K)>,
    most: usize,
    lifetime: u64,
}

impl<K: Copy + Eq + Hash, V: Default> Recent<K, V> {
    fn new(most: usize, lifetime: u64) -> Recent<K, V> {
        Recent {
            entries: HashMap::new(),
            order: VecDeque::new(),
            most,
            lifetime,
        }
    }

    fn get(&mut self, key: K, now: u64) -> Option<&mut V> {
        self.expire(now);
        self.entries.get_mut(&key).map(|(_, value)| value)
    }

    /// The entry of a key; a new one lives from now.
    fn entry(&mut self, key: K, now: u64) -> &mut V {
        self.expire(now);
        if !self.entries.contains_key(&key) {
            while self.order.len() >= self.most {
                self.drop_oldest();
            }
            self.order.push_back((now, key));
        }
        &mut self
            .entries
            .entry(key)
            .or_insert_with(|| (now, V::default()))
            .1
    }

    fn forget(&mut self, key: K) {
        // Its place in the queue stays until it is the oldest; the time tells that it is stale.
        self.entries.remove(&key);
    }

    fn expire(&mut self, now: u64) {
        while self
            .order
            .front()
            .is_some_and(|(born, _)| born + self.lifetime <= now)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((born, key)) = self.order.pop_front()
            && self
                .entries
                .get(&key)
                .is_some_and(|(entered, _)| *entered == born)
        {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: GuestLimits = GuestLimits {
        admitted: 3,
        admitted_for: 60,
        failing: 3,
        failures: 2,
        failing_for: 60,
    };

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn who_gave_the_password_is_forgotten_after_a_while() {
        let mut guests = Guests::new(LIMITS);
        guests.admit(address(1), 100);
        assert!(guests.is_admitted(address(1), 159));
        guests.admit(address(1), 159);
        assert!(guests.is_admitted(address(1), 218));
        assert!(!guests.is_admitted(address(1), 219));
    }

    #[test]
    fn tables_are_bounded_and_the_oldest_goes_first() {
        let mut guests = Guests::new(LIMITS);
        for port in 1..=4 {
            guests.admit(address(port), u64::from(port));
        }
        assert!(!guests.is_admitted(address(1), 5));
        assert!(guests.is_admitted(address(2), 5));
        assert!(guests.admitted.order.len() <= 3 && guests.admitted.entries.len() <= 3);
    }

    #[test]
    fn a_host_that_fails_too_often_is_ignored_for_a_while() {
        let mut guests = Guests::new(LIMITS);
        let host = address(0).ip();
        assert!(!guests.count_failure(host, 10));
        assert!(!guests.is_ignored(host, 10));
        assert!(guests.count_failure(host, 50));
        assert!(guests.is_ignored(host, 109));
        assert!(!guests.is_ignored(host, 110));
    }
}
