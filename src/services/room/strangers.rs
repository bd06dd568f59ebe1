//! Strangers, clients that are not members: passwords, names, joining, and the tables for them.
//! The tables are bounded, and no entry is removed before it expires.

use super::request::{cut, is_exit, one_line};
use super::token_bucket::TokenBucket;
use super::{Claim, LeaveReason, PROBE, Room, taken, warn};
use crate::services::expiring_table::ExpiringTable;
use crate::services::wrong_secrets::{WrongSecretLimits, WrongSecrets};
use crate::session::client_net::client_net;
use crate::session::datagram::{DatagramContext, DatagramProtocol, Route};
use crate::session::notice::{Datagram, Denial};
use crate::session::peer::Peer;
use crate::wire::text;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use subtle::ConstantTimeEq;

/// Limits of the tables of strangers. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct StrangerLimits {
    /// Entries for addresses that sent the password and have no name yet.
    pub admitted: usize,
    /// Lifetime of such an entry.
    pub admitted_for: u64,
    /// Limits of wrong passwords.
    pub wrong: WrongSecretLimits,
    /// Entries for addresses that were members.
    pub former: usize,
    /// Lifetime of such an entry.
    pub former_for: u64,
    /// Shortest time between two sweeps of a full table.
    pub sweep_interval: u64,
}

/// The tables of strangers.
pub struct Strangers {
    admitted: ExpiringTable<Peer, ()>,
    /// Admitted addresses of one client network, at most.
    per_network: usize,
    /// Admitted addresses of each network.
    admitted_by_network: HashMap<IpAddr, usize>,
    /// Networks that sent wrong passwords.
    wrong: WrongSecrets,
    former: ExpiringTable<Peer, FormerMember>,
}

/// State of a former member.
#[derive(Debug, Clone, Default)]
pub struct FormerMember {
    /// Its token bucket at the time it left.
    pub bucket: TokenBucket,
    /// Its name, unless it left with `exit`.
    pub name: Option<Rc<str>>,
}

impl Strangers {
    /// Empty tables. At most `per_network` addresses of one client network are admitted.
    pub fn new(limits: StrangerLimits, per_network: usize) -> Strangers {
        let interval = limits.sweep_interval;
        Strangers {
            admitted: ExpiringTable::new(limits.admitted, limits.admitted_for, interval),
            per_network,
            admitted_by_network: HashMap::new(),
            wrong: WrongSecrets::new(limits.wrong),
            former: ExpiringTable::new(limits.former, limits.former_for, interval),
        }
    }

    /// Admits an address that sent the password. Returns false if there is no free entry.
    pub fn admit(&mut self, peer: Peer, now: u64) -> bool {
        self.forget(peer);
        let network = client_net(peer.ip());
        let most = self.per_network;
        let of_one = |of: &HashMap<IpAddr, usize>| of.get(&network).copied().unwrap_or(0);
        if of_one(&self.admitted_by_network) >= most || self.admitted.is_full() {
            if !self.admitted.sweep(now) {
                return false;
            }
            self.admitted_by_network.clear();
            for peer in self.admitted.entries.keys() {
                *self
                    .admitted_by_network
                    .entry(client_net(peer.ip()))
                    .or_insert(0) += 1;
            }
        }
        let admitted =
            of_one(&self.admitted_by_network) < most && self.admitted.entry(peer, now).is_some();
        if admitted {
            *self.admitted_by_network.entry(network).or_insert(0) += 1;
        }
        admitted
    }

    /// Whether the address is admitted.
    pub fn is_admitted(&mut self, peer: Peer, now: u64) -> bool {
        self.admitted.get(peer, now).is_some()
    }

    /// Revokes the admission: the address has a name now, or refused the answer.
    pub fn forget(&mut self, peer: Peer) {
        let network = client_net(peer.ip());
        if self.admitted.entries.remove(&peer).is_some()
            && let Some(count) = self.admitted_by_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.admitted_by_network.remove(&network);
            }
        }
    }

    /// Stores the state of a member that has left.
    pub fn remember(&mut self, peer: Peer, left: FormerMember, now: u64) {
        self.forget_member(peer);
        if let Some(entry) = self.former.entry(peer, now) {
            *entry = left;
        }
    }

    /// Removes the state of a former member, which does not come back.
    pub fn forget_member(&mut self, peer: Peer) {
        self.former.entries.remove(&peer);
    }

    /// The state of the former member at an address.
    pub fn former_member(&mut self, peer: Peer, now: u64) -> Option<FormerMember> {
        self.former.get(peer, now).cloned()
    }
}

impl Room {
    pub(super) fn try_password(&mut self, from: Route, given: &[u8], cx: &mut DatagramContext<'_>) {
        let host = from.peer.ip();
        if self.strangers.wrong.is_ignored(host, cx.now) {
            return self.say_incorrect(from, Denial::TooOften, cx);
        }
        if !bool::from(self.password.as_slice().ct_eq(given)) {
            if self.strangers.wrong.count_failure(host, cx.now) {
                let what = "sent too many wrong passwords and is ignored";
                warn(&mut self.ignored, cx.now, &host, what);
            }
            cx.out.to_one(incorrect(Denial::Password), from);
        } else if !self.strangers.admit(from.peer, cx.now) {
            let what = "is rejected: too many clients there have not sent a name";
            warn(&mut self.refused, cx.now, &from.peer, what);
            cx.out.to_one(incorrect(Denial::TooOften), from);
        } else if !cx.out.to_one(b"PASSWORD OK", from) {
            // An address may choose a name only if the answer was sent to it.
            self.strangers.forget(from.peer);
        }
    }

    /// Sends `PASSWORD INCORRECT`; to an ignored network at a limited rate, unless the answer goes
    /// to a session: no other host gets it.
    fn say_incorrect(&mut self, to: Route, why: Denial, cx: &mut DatagramContext<'_>) {
        let host = to.peer.ip();
        if to.peer.is_session()
            || !self.strangers.wrong.is_ignored(host, cx.now)
            || self.strangers.wrong.may_answer(host, cx.now)
        {
            cx.out.to_one(incorrect(why), to);
        }
    }

    pub(super) fn try_name(&mut self, from: Route, name: &str, cx: &mut DatagramContext<'_>) {
        if !self.strangers.is_admitted(from.peer, cx.now) {
            return self.say_incorrect(from, Denial::Password, cx);
        }
        if !self.is_name(name) {
            let shown = cut(name, self.limits.name);
            let what = format!(
                "sent an invalid name, {shown:?}: names have 1 to {} characters and no blanks",
                self.limits.name
            );
            return self.say_taken(from, Denial::BadName, &what, cx);
        }
        let Some(&holder) = self.names.get(&text::name_key(name)) else {
            return self.join(from, name, cx);
        };
        if self.members[&holder].has_expired(&self.limits, cx.now) {
            self.end(&[holder], LeaveReason::Lost, cx);
            return self.try_name(from, name, cx);
        }
        self.claim(from, name, holder, cx);
    }

    /// Whether a member may have this name.
    pub(super) fn is_name(&self, name: &str) -> bool {
        let length = name.chars().count();
        let fits = (1..=self.limits.name).contains(&length);
        // A name is part of each message, from which hidden characters are removed.
        fits && !name.chars().any(char::is_whitespace) && text::clean(name.as_bytes()) == name
    }

    fn say_taken(&mut self, to: Route, why: Denial, what: &str, cx: &mut DatagramContext<'_>) {
        warn(&mut self.refused, cx.now, &to.peer, what);
        cx.out.to_one(taken(why), to);
    }

    /// Probes the holder of a name. The claim is answered when the result is known. A holder that
    /// is a session needs no probe: it is a member until it ends.
    fn claim(&mut self, from: Route, name: &str, holder: Peer, cx: &mut DatagramContext<'_>) {
        if self.claims.iter().any(|claim| claim.from.peer == from.peer) {
            return;
        }
        // A textbook client shows a probe as an empty line: probes are limited, too.
        if holder.is_session()
            || self.claims.len() >= self.limits.claims
            || !self.networks.take_message(from.peer.ip(), cx.now)
        {
            cx.out.to_one(taken(Denial::Taken), from);
            return;
        }
        self.claims.push_back(Claim {
            from,
            name: name.to_owned(),
            holder,
            until: cx.now + self.limits.claim_timeout,
        });
        cx.out.to_one(PROBE, self.members[&holder].route);
    }

    /// Makes a stranger a member. With a link, that happens in two parts: the second one follows
    /// when the name is ours on all servers.
    pub(super) fn join(&mut self, from: Route, name: &str, cx: &mut DatagramContext<'_>) {
        let host = from.peer.ip();
        let is_full = self.members.len() >= self.limits.members;
        if is_full || !self.networks.has_place(host) {
            let what = if is_full {
                "the room"
            } else {
                "the share of its address"
            };
            let what = format!("cannot join: {what} is full");
            return self.say_taken(from, Denial::Full, &what, cx);
        }
        if self.ask_for_name(from, name, None, cx) {
            return;
        }
        let Some(bucket) = self.charge_join(from.peer, cx.now) else {
            let what = "cannot join: it joins too often";
            return self.say_taken(from, Denial::TooOften, what, cx);
        };
        self.strangers.forget(from.peer);
        // Before the notice: a textbook client takes the first datagram for the answer.
        cx.out.to_one(b"USERNAME OK", from);
        self.enter(from, name, bucket, cx);
    }

    /// Takes a join from the network's bucket: every member gets a notice of it. A former member
    /// gets its old token bucket back and pays for a message. With a new bucket at each join, a
    /// client that leaves and joins again would have no rate limit.
    fn charge_join(&mut self, from: Peer, now: u64) -> Option<TokenBucket> {
        let left = self
            .strangers
            .former_member(from, now)
            .map(|left| left.bucket);
        let mut bucket = left.unwrap_or_else(|| TokenBucket::full(self.rate, now));
        let pays = left.is_none() || bucket.take(self.rate, now);
        Some(bucket).filter(|_| pays && self.networks.take_join(from.ip(), now))
    }

    /// A stranger sent a message. If it is a lost member, it joins again under its name: a textbook
    /// client does not notice that it must send its name again.
    pub(super) fn rejoin(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramContext<'_>) {
        let said = one_line(bytes);
        let left = self.strangers.former_member(from.peer, cx.now);
        let Some(name) = left.and_then(|left| left.name) else {
            return;
        };
        if !is_exit(&said) && !said.trim().is_empty() {
            self.rejoin_as(from, &name, bytes, cx);
        }
    }

    /// Lets a lost member join again under this name, and relays its message.
    pub(super) fn rejoin_as(
        &mut self,
        from: Route,
        name: &str,
        bytes: &[u8],
        cx: &mut DatagramContext<'_>,
    ) {
        let has_place = self.members.len() < self.limits.members
            && self.networks.has_place(from.peer.ip())
            && !self.names.contains_key(&text::name_key(name));
        if has_place
            && !self.ask_for_name(from, name, Some(bytes), cx)
            && let Some(bucket) = self.charge_join(from.peer, cx.now)
        {
            self.enter(from, name, bucket, cx);
            self.on_datagram(from, bytes, cx);
        }
    }
}

/// The answer to a password that is refused.
fn incorrect(why: Denial) -> Datagram {
    Datagram::denied(b"PASSWORD INCORRECT", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    const LIMITS: StrangerLimits = StrangerLimits {
        admitted: 5,
        admitted_for: 60 * SECOND,
        wrong: WrongSecretLimits {
            networks: 3,
            failures: 2,
            shared_failures: 4,
            lifetime: 60 * SECOND,
            answer_interval: SECOND,
            sweep_interval: SECOND,
        },
        former: 3,
        former_for: 60 * SECOND,
        sweep_interval: SECOND,
    };

    fn host(number: u8) -> IpAddr {
        [127, 0, 0, number].into()
    }

    fn address(number: u8, port: u16) -> Peer {
        Peer::Udp((host(number), port).into())
    }

    #[test]
    fn an_admission_expires() {
        let mut strangers = Strangers::new(LIMITS, 3);
        assert!(strangers.admit(address(1, 1), SECOND));
        assert!(strangers.is_admitted(address(1, 1), 61 * SECOND - 1));
        assert!(strangers.admit(address(1, 1), 30 * SECOND));
        assert!(strangers.is_admitted(address(1, 1), 90 * SECOND - 1));
        assert!(!strangers.is_admitted(address(1, 1), 90 * SECOND));
    }

    #[test]
    fn a_network_gets_no_more_than_its_share_and_evicts_no_entry() {
        let mut strangers = Strangers::new(LIMITS, 3);
        assert!(strangers.admit(address(1, 1), 0));
        for port in 2..1_000 {
            assert_eq!(strangers.admit(address(1, port), 1), port <= 3, "{port}");
        }
        assert!(strangers.is_admitted(address(1, 1), 2));
        assert!(
            strangers.admit(address(2, 1), 2),
            "another network has room"
        );
        assert!(strangers.admit(address(3, 1), 2));
        assert!(!strangers.admit(address(4, 1), 3), "the table is full");
        assert!(strangers.admit(address(3, 1), 3), "it has an entry");
        strangers.forget(address(1, 2));
        assert!(strangers.admit(address(4, 1), 4));
        // The first entries have expired.
        assert!(strangers.admit(address(5, 1), 61 * SECOND));
        assert!(strangers.admit(address(1, 7), 61 * SECOND));
    }
}
