//! Counts what each client network holds in the room: places, and what it may still send.
//! A network is one IPv4 address, or 2^64 of IPv6.

use super::token_bucket::{Rate, TokenBucket};
use crate::session::client_net::client_net;
use std::collections::HashMap;
use std::net::IpAddr;

/// Bounds of one client network.
#[derive(Debug, Clone, Copy)]
pub struct NetworkLimits {
    /// Members at once.
    pub places: usize,
    /// Messages, answers and probes of all its members together.
    pub messages: Rate,
    /// Members that join: each costs all others a notice, and another when it leaves.
    pub joins: Rate,
    /// Networks below which none that holds nothing is forgotten.
    pub few: usize,
}

/// The networks that hold something, or have sent something a short while ago.
pub struct Networks {
    limits: NetworkLimits,
    known: HashMap<IpAddr, Network>,
    /// The number of networks at which those that hold nothing are forgotten.
    sweep_at: usize,
}

struct Network {
    members: usize,
    messages: TokenBucket,
    joins: TokenBucket,
}

impl Networks {
    /// No network holds anything.
    pub fn new(limits: NetworkLimits) -> Networks {
        Networks {
            known: HashMap::new(),
            sweep_at: limits.few,
            limits,
        }
    }

    /// Whether one more member may join.
    pub fn has_place(&self, host: IpAddr) -> bool {
        let network = self.known.get(&client_net(host));
        network.is_none_or(|network| network.members < self.limits.places)
    }

    /// Takes the price of joining off the network's bucket, if there is enough.
    pub fn pay_join(&mut self, host: IpAddr, now: u64) -> bool {
        let rate = self.limits.joins;
        self.of(host, now).joins.pay(rate, now)
    }

    /// Takes the price of a message off the network's bucket, if there is enough.
    pub fn pay(&mut self, host: IpAddr, now: u64) -> bool {
        let rate = self.limits.messages;
        self.of(host, now).messages.pay(rate, now)
    }

    /// A member has joined.
    pub fn enter(&mut self, host: IpAddr, now: u64) {
        self.of(host, now).members += 1;
    }

    /// A member has left.
    pub fn leave(&mut self, host: IpAddr) {
        let network = self.known.get_mut(&client_net(host));
        network.expect("it holds a place").members -= 1;
    }

    fn of(&mut self, host: IpAddr, now: u64) -> &mut Network {
        let limits = self.limits;
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, network| {
                network.members > 0
                    || !network.messages.is_full(limits.messages, now)
                    || !network.joins.is_full(limits.joins, now)
            });
            self.sweep_at = limits.few.max(2 * self.known.len());
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
        few: 64,
    };

    fn host(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn a_network_that_holds_nothing_is_forgotten_and_no_debt_is() {
        let mut networks = Networks::new(LIMITS);
        networks.enter(host(1), 0);
        assert!((0..3).all(|_| networks.pay(host(2), 0)));
        for number in 10..1_000 {
            networks.pay_join(host(number), 0);
        }
        assert!(!networks.pay(host(2), 0), "what was spent stays spent");
        for number in 10..1_000 {
            networks.pay(host(number), 10_000_000);
            networks.pay(host(number), 20_000_000);
        }
        for number in 1_000..3_000 {
            networks.pay(host(number), u64::from(number) * 10_000_000);
        }
        assert!(
            networks.known.len() <= 2 * LIMITS.few,
            "{}",
            networks.known.len()
        );
        networks.enter(host(1), 0);
        assert!(!networks.has_place(host(1)));
    }

    #[test]
    fn addresses_of_one_ipv6_network_share() {
        let mut networks = Networks::new(LIMITS);
        let of = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(networks.pay_join(of("2001:db8::1"), 0));
        assert!(networks.pay_join(of("2001:db8::2"), 0));
        assert!(!networks.pay_join(of("2001:db8::3"), 0));
        assert!(networks.pay_join(of("2001:db8:0:1::1"), 0));
    }
}
