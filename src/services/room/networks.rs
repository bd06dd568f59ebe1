//! Members and rate limits of each client network in the room.
//! A network is one IPv4 address, or one IPv6 /64.

use super::token_bucket::{Rate, TokenBucket};
use crate::session::client_net::client_net;
use std::collections::HashMap;
use std::net::IpAddr;

/// Limits of one client network.
#[derive(Debug, Clone, Copy)]
pub struct NetworkLimits {
    /// Members at the same time.
    pub places: usize,
    /// Messages, answers and probes of all its members together.
    pub messages: Rate,
    /// Members that join: each sends all others a notice when it joins and when it leaves.
    pub joins: Rate,
    /// Number of networks from which on those that hold nothing are removed.
    pub sweep_from: usize,
}

/// The networks that have members, or whose token buckets are not full.
pub struct Networks {
    limits: NetworkLimits,
    known: HashMap<IpAddr, Network>,
    /// Number of networks at which those that hold nothing are removed next.
    sweep_at: usize,
}

struct Network {
    members: usize,
    messages: TokenBucket,
    joins: TokenBucket,
}

impl Networks {
    /// An empty table.
    pub fn new(limits: NetworkLimits) -> Networks {
        Networks {
            known: HashMap::new(),
            sweep_at: limits.sweep_from,
            limits,
        }
    }

    /// Whether one more member may join.
    pub fn has_place(&self, host: IpAddr) -> bool {
        let network = self.known.get(&client_net(host));
        network.is_none_or(|network| network.members < self.limits.places)
    }

    /// Takes a join from the network's token bucket, if there is one.
    pub fn take_join(&mut self, host: IpAddr, now: u64) -> bool {
        let rate = self.limits.joins;
        self.entry(host, now).joins.take(rate, now)
    }

    /// Takes a message from the network's token bucket, if there is one.
    pub fn take_message(&mut self, host: IpAddr, now: u64) -> bool {
        let rate = self.limits.messages;
        self.entry(host, now).messages.take(rate, now)
    }

    /// A member has joined.
    pub fn enter(&mut self, host: IpAddr, now: u64) {
        self.entry(host, now).members += 1;
    }

    /// A member has left.
    pub fn leave(&mut self, host: IpAddr) {
        let network = self.known.get_mut(&client_net(host));
        network.expect("it holds a place").members -= 1;
    }

    fn entry(&mut self, host: IpAddr, now: u64) -> &mut Network {
        let limits = self.limits;
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, network| {
                network.members > 0
                    || !network.messages.is_full(limits.messages, now)
                    || !network.joins.is_full(limits.joins, now)
            });
            self.sweep_at = limits.sweep_from.max(2 * self.known.len());
        }
        self.known
            .entry(client_net(host))
            .or_insert_with(|| Network {
                members: 0,
                messages: TokenBucket::full(limits.messages, now),
                joins: TokenBucket::full(limits.joins, now),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: NetworkLimits = NetworkLimits {
        places: 2,
        messages: Rate {
            per_second: 1,
            burst: 3,
        },
        joins: Rate {
            per_second: 1,
            burst: 2,
        },
        sweep_from: 64,
    };

    fn host(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn networks_that_hold_nothing_are_removed_and_spent_tokens_stay_spent() {
        let mut networks = Networks::new(LIMITS);
        networks.enter(host(1), 0);
        assert!((0..3).all(|_| networks.take_message(host(2), 0)));
        for number in 10..1_000 {
            networks.take_join(host(number), 0);
        }
        assert!(
            !networks.take_message(host(2), 0),
            "what was spent stays spent"
        );
        for number in 10..1_000 {
            networks.take_message(host(number), 10_000_000);
            networks.take_message(host(number), 20_000_000);
        }
        for number in 1_000..3_000 {
            networks.take_message(host(number), u64::from(number) * 10_000_000);
        }
        assert!(
            networks.known.len() <= 2 * LIMITS.sweep_from,
            "{}",
            networks.known.len()
        );
        networks.enter(host(1), 0);
        assert!(!networks.has_place(host(1)));
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_bucket() {
        let mut networks = Networks::new(LIMITS);
        let of = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(networks.take_join(of("2001:db8::1"), 0));
        assert!(networks.take_join(of("2001:db8::2"), 0));
        assert!(!networks.take_join(of("2001:db8::3"), 0));
        assert!(networks.take_join(of("2001:db8:0:1::1"), 0));
    }
}
