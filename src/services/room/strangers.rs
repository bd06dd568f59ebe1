//! Strangers to the room: what they may do, and what is remembered of them for a while.
//! The tables are bounded, and what has not expired is never pushed out.

use super::token_bucket::TokenBucket;
use super::{Claim, Ending, PROBE, Room, cut, is_exit, one_line, warn};
use crate::session::client_net::client_net;
use crate::session::datagram::{DatagramContext, DatagramProtocol, Route};
use crate::wire::text;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use subtle::ConstantTimeEq;

/// Bounds of the room's memory of strangers. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct StrangerLimits {
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
pub struct Strangers {
    limits: StrangerLimits,
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
    pub bucket: TokenBucket,
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

impl Strangers {
    /// No address is known. Of one client network, `of_one` may be admitted without a name.
    pub fn new(limits: StrangerLimits, of_one: usize) -> Strangers {
        let pause = limits.sweep_pause;
        Strangers {
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

    /// Whether the network of a host has tried too many passwords.
    pub fn is_ignored(&mut self, host: IpAddr, now: u64) -> bool {
        match self.failing.get(client_net(host), now) {
            Some(failures) => failures.count >= self.limits.failures,
            // It would find no room in the table either.
            None => {
                self.failing.is_full()
                    && self.shared.count >= self.limits.shared_failures
                    && now < self.shared_since + self.limits.failing_for
            }
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

impl Room {
    pub(super) fn try_password(&mut self, from: Route, given: &[u8], cx: &mut DatagramContext<'_>) {
        let host = from.peer.ip();
        if self.strangers.is_ignored(host, cx.now) {
            return self.say_incorrect(from, cx);
        }
        if !bool::from(self.password.as_slice().ct_eq(given)) {
            if self.strangers.count_failure(host, cx.now) {
                let line = format!("{host} tried too many passwords and is ignored");
                warn(&mut self.ignored, cx.now, &line);
            }
            cx.out.to_one(b"PASSWORD INCORRECT", from);
        } else if !self.strangers.admit(from.peer, cx.now) {
            let peer = from.peer;
            let line = format!("{peer} is not let in: too many from there have no name");
            warn(&mut self.refused, cx.now, &line);
            cx.out.to_one(b"PASSWORD INCORRECT", from);
        } else if !cx.out.to_one(b"PASSWORD OK", from) {
            // Only an address that was sent the answer may choose a name.
            self.strangers.forget(from.peer);
        }
    }

    /// No, also to a network that is ignored, but seldom.
    fn say_incorrect(&mut self, to: Route, cx: &mut DatagramContext<'_>) {
        let host = to.peer.ip();
        if !self.strangers.is_ignored(host, cx.now) || self.strangers.may_answer(host, cx.now) {
            cx.out.to_one(b"PASSWORD INCORRECT", to);
        }
    }

    pub(super) fn try_name(&mut self, from: Route, name: &str, cx: &mut DatagramContext<'_>) {
        if !self.strangers.is_admitted(from.peer, cx.now) {
            return self.say_incorrect(from, cx);
        }
        if !self.is_name(name) {
            let shown = cut(name, self.limits.name);
            let line = format!(
                "{} may not be called {shown:?}: a name has 1 to {} characters, no blanks among \
                 them",
                from.peer, self.limits.name
            );
            return self.say_taken(from, &line, cx);
        }
        let Some(&holder) = self.names.get(&text::name_key(name)) else {
            return self.join(from, name, cx);
        };
        if self.members[&holder].is_silent(&self.limits, cx.now) {
            self.end(&[holder], Ending::Lost, cx);
            return self.try_name(from, name, cx);
        }
        self.claim(from, name, holder, cx);
    }

    fn is_name(&self, name: &str) -> bool {
        let length = name.chars().count();
        let fits = (1..=self.limits.name).contains(&length);
        // What would be left out of a message must not be in front of one.
        fits && !name.chars().any(char::is_whitespace) && text::clean(name.as_bytes()) == name
    }

    fn say_taken(&mut self, to: Route, why: &str, cx: &mut DatagramContext<'_>) {
        warn(&mut self.refused, cx.now, why);
        cx.out.to_one(b"USERNAME TAKEN", to);
    }

    /// Probes the holder of a name; the claim is answered when the outcome is known.
    fn claim(&mut self, from: Route, name: &str, holder: SocketAddr, cx: &mut DatagramContext<'_>) {
        if self.claims.iter().any(|claim| claim.from.peer == from.peer) {
            return;
        }
        // A probe is an empty line on a person's screen.
        if self.claims.len() >= self.limits.claims || !self.networks.pay(from.peer.ip(), cx.now) {
            cx.out.to_one(b"USERNAME TAKEN", from);
            return;
        }
        self.claims.push_back(Claim {
            from,
            name: name.to_owned(),
            holder,
            until: cx.now + self.limits.claim,
        });
        cx.out.to_one(PROBE, self.members[&holder].route);
    }

    fn join(&mut self, from: Route, name: &str, cx: &mut DatagramContext<'_>) {
        let host = from.peer.ip();
        let is_full = self.members.len() >= self.limits.members;
        if is_full || !self.networks.has_place(host) {
            let share = if is_full { "" } else { "its share of " };
            let line = format!("{} cannot join: {share}the room is full", from.peer);
            return self.say_taken(from, &line, cx);
        }
        let Some(bucket) = self.pay_for_joining(from.peer, cx.now) else {
            let line = format!("{} joins too often", from.peer);
            return self.say_taken(from, &line, cx);
        };
        self.strangers.forget(from.peer);
        // The answer leaves before the notice: a textbook client takes the first datagram for it.
        cx.out.to_one(b"USERNAME OK", from);
        self.enter(from, name, bucket, cx);
    }

    /// Joining is announced to all and has its price, or a network could have others drowned in
    /// notices. One that comes back pays what a message costs, too, out of what was left at
    /// leaving: a rate that began anew with each coming would be none.
    fn pay_for_joining(&mut self, from: SocketAddr, now: u64) -> Option<TokenBucket> {
        let left = self.strangers.left(from, now).map(|left| left.bucket);
        let mut bucket = left.unwrap_or_else(|| TokenBucket::full(self.rate, now));
        let pays = left.is_none() || bucket.pay(self.rate, now);
        Some(bucket).filter(|_| pays && self.networks.pay_join(from.ip(), now))
    }

    /// A stranger speaks. If it was a member and was lost, it is one again: it has done nothing
    /// that would tell it that it must give its name a second time.
    pub(super) fn come_back(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramContext<'_>) {
        let said = one_line(bytes);
        let left = self.strangers.left(from.peer, cx.now);
        let Some(name) = left.and_then(|left| left.name) else {
            return;
        };
        let has_place = self.members.len() < self.limits.members
            && self.networks.has_place(from.peer.ip())
            && !self.names.contains_key(&text::name_key(&name));
        if has_place
            && !is_exit(&said)
            && !said.trim().is_empty()
            && let Some(bucket) = self.pay_for_joining(from.peer, cx.now)
        {
            self.enter(from, &name, bucket, cx);
            self.on_datagram(from, bytes, cx);
        }
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

    const LIMITS: StrangerLimits = StrangerLimits {
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
        let mut strangers = Strangers::new(LIMITS, 3);
        assert!(strangers.admit(address(1, 1), SECOND));
        assert!(strangers.is_admitted(address(1, 1), 61 * SECOND - 1));
        assert!(strangers.admit(address(1, 1), 30 * SECOND));
        assert!(strangers.is_admitted(address(1, 1), 90 * SECOND - 1));
        assert!(!strangers.is_admitted(address(1, 1), 90 * SECOND));
    }

    #[test]
    fn a_crowd_pushes_no_address_out_and_takes_no_more_than_its_share() {
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
        assert!(strangers.admit(address(3, 1), 3), "it is in there already");
        strangers.forget(address(1, 2));
        assert!(strangers.admit(address(4, 1), 4));
        // All that came at the beginning have expired.
        assert!(strangers.admit(address(5, 1), 61 * SECOND));
        assert!(strangers.admit(address(1, 7), 61 * SECOND));
    }

    #[test]
    fn a_network_that_fails_too_often_is_ignored_for_a_while() {
        let mut strangers = Strangers::new(LIMITS, 3);
        assert!(!strangers.count_failure(host(1), 10));
        assert!(!strangers.is_ignored(host(1), 10));
        assert!(strangers.count_failure(host(1), 50));
        assert!(strangers.is_ignored(host(1), 60 * SECOND + 49));
        assert!(!strangers.is_ignored(host(1), 60 * SECOND + 50));
    }

    #[test]
    fn failures_that_find_no_room_are_counted_together_and_push_none_out() {
        let mut strangers = Strangers::new(LIMITS, 3);
        for number in 1..=3 {
            strangers.count_failure(host(number), 0);
            strangers.count_failure(host(number), 0);
        }
        for number in 10..13 {
            assert!(!strangers.is_ignored(host(number), 1));
            assert!(!strangers.count_failure(host(number), 1));
        }
        assert!(strangers.count_failure(host(13), 2));
        assert!(strangers.is_ignored(host(14), 3), "one that never failed");
        assert!(strangers.is_ignored(host(1), 3), "the first is still known");
        assert!(strangers.may_answer(host(14), 3) && !strangers.may_answer(host(15), 4));
        assert!(strangers.may_answer(host(15), SECOND + 3));
        assert!(!strangers.is_ignored(host(14), 60 * SECOND + 2));
        assert!(!strangers.count_failure(host(14), 61 * SECOND));
    }

    #[test]
    fn an_ignored_network_is_answered_once_a_second() {
        let mut strangers = Strangers::new(LIMITS, 3);
        strangers.count_failure(host(1), 0);
        strangers.count_failure(host(1), 0);
        let answered = (0..10).filter(|tenth| strangers.may_answer(host(1), tenth * SECOND / 10));
        assert_eq!(answered.count(), 1);
        assert!(strangers.may_answer(host(1), SECOND));
    }
}
