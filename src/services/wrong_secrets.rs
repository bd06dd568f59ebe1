//! Counts wrong passwords and tokens by client network, so that guessing is slow.
//! The table is bounded, and no entry is removed before it expires.

use super::expiring_table::ExpiringTable;
use crate::session::client_net::client_net;
use std::net::IpAddr;

/// Limits of the table. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct WrongSecretLimits {
    /// Entries for client networks that sent wrong secrets.
    pub networks: usize,
    /// Wrong secrets of one network within `lifetime` from which on it is ignored.
    pub failures: u32,
    /// The same for all networks without an entry together.
    pub shared_failures: u32,
    /// Time in which wrong secrets are counted, and then time for which a network is ignored.
    pub lifetime: u64,
    /// Shortest time between two answers to an ignored network.
    pub answer_interval: u64,
    /// Shortest time between two sweeps of a full table.
    pub sweep_interval: u64,
}

/// The networks that sent wrong secrets.
pub struct WrongSecrets {
    limits: WrongSecretLimits,
    /// By network and not by port: an attacker has many ports.
    failing: ExpiringTable<IpAddr, Failures>,
    /// Wrong secrets of networks without an entry.
    shared: Failures,
    shared_from: u64,
}

/// Wrong secrets of a network.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    /// Time of the last answer to the network while it was ignored.
    answered_at: Option<u64>,
}

impl WrongSecrets {
    /// An empty table.
    pub fn new(limits: WrongSecretLimits) -> WrongSecrets {
        let (networks, interval) = (limits.networks, limits.sweep_interval);
        WrongSecrets {
            failing: ExpiringTable::new(networks, limits.lifetime, interval),
            shared: Failures::default(),
            shared_from: 0,
            limits,
        }
    }

    /// Counts a wrong secret. Returns true if the network is ignored from this one on.
    pub fn count_failure(&mut self, host: IpAddr, now: u64) -> bool {
        let host = client_net(host);
        if let Some(failures) = self.failing.entry(host, now) {
            failures.count += 1;
            if failures.count != self.limits.failures {
                return false;
            }
            // The network is ignored from now on, not from the first failure on.
            self.failing.renew(host, now);
            return true;
        }
        if self.shared_from + self.limits.lifetime <= now {
            (self.shared, self.shared_from) = (Failures::default(), now);
        }
        self.shared.count += 1;
        let too_many = self.shared.count == self.limits.shared_failures;
        if too_many {
            self.shared_from = now;
        }
        too_many
    }

    /// Whether the network of a host has sent too many wrong secrets.
    pub fn is_ignored(&mut self, host: IpAddr, now: u64) -> bool {
        match self.failing.get(client_net(host), now) {
            Some(failures) => failures.count >= self.limits.failures,
            // A network without an entry shares the counter only if the table is full.
            None => {
                self.failing.is_full()
                    && self.shared.count >= self.limits.shared_failures
                    && now < self.shared_from + self.limits.lifetime
            }
        }
    }

    /// Whether an ignored network gets an answer now. It gets one at times, because a textbook
    /// client of the room waits for an answer for ever.
    pub fn may_answer(&mut self, host: IpAddr, now: u64) -> bool {
        let failures = match self.failing.get(client_net(host), now) {
            Some(own) => own,
            None => &mut self.shared,
        };
        let interval = self.limits.answer_interval;
        let may = failures
            .answered_at
            .is_none_or(|last| last + interval <= now);
        if may {
            failures.answered_at = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    const LIMITS: WrongSecretLimits = WrongSecretLimits {
        networks: 3,
        failures: 2,
        shared_failures: 4,
        lifetime: 60 * SECOND,
        answer_interval: SECOND,
        sweep_interval: SECOND,
    };

    fn host(number: u8) -> IpAddr {
        [127, 0, 0, number].into()
    }

    #[test]
    fn a_network_with_too_many_wrong_secrets_is_ignored_for_a_time() {
        let mut table = WrongSecrets::new(LIMITS);
        assert!(!table.count_failure(host(1), 10));
        assert!(!table.is_ignored(host(1), 10));
        assert!(table.count_failure(host(1), 50));
        assert!(table.is_ignored(host(1), 60 * SECOND + 49));
        assert!(!table.is_ignored(host(1), 60 * SECOND + 50));
    }

    #[test]
    fn networks_without_an_entry_share_a_counter_and_evict_no_entry() {
        let mut table = WrongSecrets::new(LIMITS);
        for number in 1..=3 {
            table.count_failure(host(number), 0);
            table.count_failure(host(number), 0);
        }
        for number in 10..13 {
            assert!(!table.is_ignored(host(number), 1));
            assert!(!table.count_failure(host(number), 1));
        }
        assert!(table.count_failure(host(13), 2));
        assert!(table.is_ignored(host(14), 3), "one that never failed");
        assert!(table.is_ignored(host(1), 3), "the first is still known");
        assert!(table.may_answer(host(14), 3) && !table.may_answer(host(15), 4));
        assert!(table.may_answer(host(15), SECOND + 3));
        assert!(!table.is_ignored(host(14), 60 * SECOND + 2));
        assert!(!table.count_failure(host(14), 61 * SECOND));
    }

    #[test]
    fn an_ignored_network_is_answered_once_a_second() {
        let mut table = WrongSecrets::new(LIMITS);
        table.count_failure(host(1), 0);
        table.count_failure(host(1), 0);
        let answered = (0..10).filter(|tenth| table.may_answer(host(1), tenth * SECOND / 10));
        assert_eq!(answered.count(), 1);
        assert!(table.may_answer(host(1), SECOND));
    }
}
