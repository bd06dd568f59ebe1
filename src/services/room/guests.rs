//! Remembers strangers for a while: those that gave the password, tried too many, or were members.
//! Sends nothing. The tables are bounded, and what has not expired is never pushed out.

use super::credit::Credit;
use crate::session::client_net::client_net;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// Bounds of the room's memory of strangers. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct GuestLimits {
    /// Addresses that gave the password and no name yet.
    pub admitted: usize,
    /// How long such an address is remembered.
    pub admitted_for: u64,
    /// Client networks whose failures are counted one by one.
    pub failing: usize,
    /// Failures of one network, within the time below, until it is ignored.
    pub failures: u32,
    /// Failures of all networks that are not counted one by one, until all of these are ignored.
    pub shared_failures: u32,
    /// How long failures are counted, and how long a network is then ignored.
    pub failing_for: u64,
    /// The pause between two answers to a network that is ignored.
    pub answer_pause: u64,
    /// Addresses that were members.
    pub left: usize,
    /// How long such an address is remembered.
    pub left_for: u64,
    /// The pause between two sweeps of a full table.
    pub sweep_pause: u64,
}

/// The room's memory of strangers.
pub struct Guests {
    limits: GuestLimits,
    admitted: Recent<SocketAddr, ()>,
    /// Such addresses of one client network at most.
    of_one: usize,
    /// How many of them each network has.
    admitted_of: HashMap<IpAddr, usize>,
    /// By network and not by port: ports cost an attacker nothing.
    failing: Recent<IpAddr, Failures>,
    /// Failures of networks that found no room in the table.
    shared: Failures,
    shared_since: u64,
    left: Recent<SocketAddr, Left>,
}

/// What a member left behind.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// What it might still have sent.
    pub credit: Credit,
    /// Its name, unless it left of its own accord.
    pub name: Option<Rc<str>>,
}

/// Wrong passwords within a time.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    /// When the last answer was given although the network was ignored.
    answered: Option<u64>,
}

impl Guests {
    /// No address is known. Of one client network, `of_one` may be admitted without a name.
    pub fn new(limits: GuestLimits, of_one: usize) -> Guests {
        let pause = limits.sweep_pause;
        Guests {
            admitted: Recent::new(limits.admitted, limits.admitted_for, pause),
            of_one,
            admitted_of: HashMap::new(),
            failing: Recent::new(limits.failing, limits.failing_for, pause),
            shared: Failures::default(),
            shared_since: 0,
            left: Recent::new(limits.left, limits.left_for, pause),
            limits,
        }
    }

    /// The address gave the password; says whether it is remembered.
    pub fn admit(&mut self, address: SocketAddr, now: u64) -> bool {
        self.forget(address);
        let network = client_net(address.ip());
        let most = self.of_one;
        let of_one = |of: &HashMap<IpAddr, usize>| of.get(&network).copied().unwrap_or(0);
        if of_one(&self.admitted_of) >= most || self.admitted.is_full() {
            if !self.admitted.sweep(now) {
                return false;
            }
            self.admitted_of.clear();
            for address in self.admitted.entries.keys() {
                *self
                    .admitted_of
                    .entry(client_net(address.ip()))
                    .or_insert(0) += 1;
            }
        }
        let admitted =
            of_one(&self.admitted_of) < most && self.admitted.entry(address, now).is_some();
        if admitted {
            *self.admitted_of.entry(network).or_insert(0) += 1;
        }
        admitted
    }

    /// Whether the address gave the password a short while ago.
    pub fn is_admitted(&mut self, address: SocketAddr, now: u64) -> bool {
        self.admitted.get(address, now).is_some()
    }

    /// The address has a name now, or the answer to its password did not reach it.
    pub fn forget(&mut self, address: SocketAddr) {
        let network = client_net(address.ip());
        if self.admitted.entries.remove(&address).is_some()
            && let Some(count) = self.admitted_of.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.admitted_of.remove(&network);
            }
        }
    }

    /// A member has left.
    pub fn remember(&mut self, address: SocketAddr, left: Left, now: u64) {
        self.left.entries.remove(&address);
        if let Some(entry) = self.left.entry(address, now) {
            *entry = left;
        }
    }

    /// What a member of this address left behind a while ago.
    pub fn left(&mut self, address: SocketAddr, now: u64) -> Option<Left> {
        self.left.get(address, now).cloned()
    }

    /// A wrong password; says whether it was the one too many.
    pub fn count_failure(&mut self, host: IpAddr, now: u64) -> bool {
        let host = client_net(host);
        if let Some(failures) = self.failing.entry(host, now) {
            failures.count += 1;
            if failures.count != self.limits.failures {
                return false;
            }
            // The time of being ignored begins now, not with the first failure.
            self.failing.renew(host, now);
            return true;
        }
        if self.shared_since + self.limits.failing_for <= now {
            (self.shared, self.shared_since) = (Failures::default(), now);
        }
        self.shared.count += 1;
        let too_many = self.shared.count == self.limits.shared_failures;
        if too_many {
            self.shared_since = now;
        }
        too_many
    }

    /// Whether a network that found no room in the table would be ignored.
    fn is_shared_ignored(&self, now: u64) -> bool {
        self.failing.is_full()
            && self.shared.count >= self.limits.shared_failures
            && now < self.shared_since + self.limits.failing_for
    }

    /// Whether the network of a host has tried too many passwords.
    pub fn is_ignored(&mut self, host: IpAddr, now: u64) -> bool {
        match self.failing.get(client_net(host), now) {
            Some(failures) => failures.count >= self.limits.failures,
            None => self.is_shared_ignored(now),
        }
    }

    /// Whether a network that is ignored is answered all the same: a client that waits for an
    /// answer must not wait for ever.
    pub fn may_answer(&mut self, host: IpAddr, now: u64) -> bool {
        let failures = match self.failing.get(client_net(host), now) {
            Some(own) => own,
            None => &mut self.shared,
        };
        let pause = self.limits.answer_pause;
        let may = failures.answered.is_none_or(|last| last + pause <= now);
        if may {
            failures.answered = Some(now);
        }
        may
    }
}

/// A bounded table whose entries expire.
struct Recent<K, V> {
    entries: HashMap<K, (u64, V)>,
    most: usize,
    lifetime: u64,
    /// A sweep looks at each entry: a full table is swept once in this time.
    pause: u64,
    swept: Option<u64>,
}

impl<K: Copy + Eq + Hash, V: Default> Recent<K, V> {
    fn new(most: usize, lifetime: u64, pause: u64) -> Recent<K, V> {
        Recent {
            entries: HashMap::new(),
            most,
            lifetime,
            pause,
            swept: None,
        }
    }

    fn get(&mut self, key: K, now: u64) -> Option<&mut V> {
        let lifetime = self.lifetime;
        let entry = self.entries.get_mut(&key);
        entry
            .filter(|(born, _)| *born + lifetime > now)
            .map(|(_, value)| value)
    }

    /// The entry of a key; a new one lives from now. None if the table is full.
    fn entry(&mut self, key: K, now: u64) -> Option<&mut V> {
        if self.get(key, now).is_none() {
            self.entries.remove(&key);
            if self.is_full() && (!self.sweep(now) || self.is_full()) {
                return None;
            }
        }
        let new = || (now, V::default());
        Some(&mut self.entries.entry(key).or_insert_with(new).1)
    }

    /// The entry lives from now.
    fn renew(&mut self, key: K, now: u64) {
        if let Some((born, _)) = self.entries.get_mut(&key) {
            *born = now;
        }
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.most
    }

    /// Removes what has expired, unless that was done a moment ago; says whether it was done now.
    fn sweep(&mut self, now: u64) -> bool {
        if self.swept.is_some_and(|swept| now < swept + self.pause) {
            return false;
        }
        self.swept = Some(now);
        let lifetime = self.lifetime;
        self.entries.retain(|_, (born, _)| *born + lifetime > now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    const LIMITS: GuestLimits = GuestLimits {
        admitted: 5,
        admitted_for: 60 * SECOND,
        failing: 3,
        failures: 2,
        shared_failures: 4,
        failing_for: 60 * SECOND,
        answer_pause: SECOND,
        left: 3,
        left_for: 60 * SECOND,
        sweep_pause: SECOND,
    };

    fn host(number: u8) -> IpAddr {
        [127, 0, 0, number].into()
    }

    fn address(number: u8, port: u16) -> SocketAddr {
        (host(number), port).into()
    }

    #[test]
    fn an_address_that_gave_the_password_is_forgotten_after_a_while() {
        let mut guests = Guests::new(LIMITS, 3);
        assert!(guests.admit(address(1, 1), SECOND));
        assert!(guests.is_admitted(address(1, 1), 61 * SECOND - 1));
        assert!(guests.admit(address(1, 1), 30 * SECOND));
        assert!(guests.is_admitted(address(1, 1), 90 * SECOND - 1));
        assert!(!guests.is_admitted(address(1, 1), 90 * SECOND));
    }

    #[test]
    fn a_crowd_pushes_no_address_out_and_takes_no_more_than_its_share() {
        let mut guests = Guests::new(LIMITS, 3);
        assert!(guests.admit(address(1, 1), 0));
        for port in 2..1_000 {
            assert_eq!(guests.admit(address(1, port), 1), port <= 3, "{port}");
        }
        assert!(guests.is_admitted(address(1, 1), 2));
        assert!(guests.admit(address(2, 1), 2), "another network has room");
        assert!(guests.admit(address(3, 1), 2));
        assert!(!guests.admit(address(4, 1), 3), "the table is full");
        assert!(guests.admit(address(3, 1), 3), "it is in there already");
        guests.forget(address(1, 2));
        assert!(guests.admit(address(4, 1), 4));
        // All that came at the beginning have expired.
        assert!(guests.admit(address(5, 1), 61 * SECOND));
        assert!(guests.admit(address(1, 7), 61 * SECOND));
    }

    #[test]
    fn a_network_that_fails_too_often_is_ignored_for_a_while() {
        let mut guests = Guests::new(LIMITS, 3);
        assert!(!guests.count_failure(host(1), 10));
        assert!(!guests.is_ignored(host(1), 10));
        assert!(guests.count_failure(host(1), 50));
        assert!(guests.is_ignored(host(1), 60 * SECOND + 49));
        assert!(!guests.is_ignored(host(1), 60 * SECOND + 50));
    }

    #[test]
    fn failures_that_find_no_room_are_counted_together_and_push_none_out() {
        let mut guests = Guests::new(LIMITS, 3);
        for number in 1..=3 {
            guests.count_failure(host(number), 0);
            guests.count_failure(host(number), 0);
        }
        for number in 10..13 {
            assert!(!guests.is_ignored(host(number), 1));
            assert!(!guests.count_failure(host(number), 1));
        }
        assert!(guests.count_failure(host(13), 2));
        assert!(guests.is_ignored(host(14), 3), "one that never failed");
        assert!(guests.is_ignored(host(1), 3), "the first is still known");
        assert!(guests.may_answer(host(14), 3) && !guests.may_answer(host(15), 4));
        assert!(guests.may_answer(host(15), SECOND + 3));
        assert!(!guests.is_ignored(host(14), 60 * SECOND + 2));
        assert!(!guests.count_failure(host(14), 61 * SECOND));
    }

    #[test]
    fn an_ignored_network_is_answered_once_a_second() {
        let mut guests = Guests::new(LIMITS, 3);
        guests.count_failure(host(1), 0);
        guests.count_failure(host(1), 0);
        let answered = (0..10).filter(|tenth| guests.may_answer(host(1), tenth * SECOND / 10));
        assert_eq!(answered.count(), 1);
        assert!(guests.may_answer(host(1), SECOND));
    }
}
