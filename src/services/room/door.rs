//! The second half of the room: strangers give the password, and claim a name or get theirs back.
//! What members say is the first half's.

use super::claims::Claim;
use super::credit::Credit;
use super::words::{cut, is_exit, one_line};
use super::{Ending, PROBE, Room};
use crate::session::datagram::{DatagramCx, DatagramProtocol, Route};
use crate::session::log_limit::LogLimit;
use crate::wire::text;
use std::net::SocketAddr;
use subtle::ConstantTimeEq;

impl Room {
    pub(super) fn try_password(&mut self, from: Route, given: &[u8], cx: &mut DatagramCx<'_>) {
        let host = from.peer.ip();
        if self.guests.is_ignored(host, cx.now) {
            return self.say_incorrect(from, cx);
        }
        if !bool::from(self.password.as_slice().ct_eq(given)) {
            if self.guests.count_failure(host, cx.now) {
                let line = format!("{host} tried too many passwords and is ignored");
                warn(&mut self.ignored, cx.now, &line);
            }
            cx.out.to_one(b"PASSWORD INCORRECT", from);
        } else if !self.guests.admit(from.peer, cx.now) {
            let line = format!(
                "{} is not let in: too many from there have no name",
                from.peer
            );
            warn(&mut self.refused, cx.now, &line);
            cx.out.to_one(b"PASSWORD INCORRECT", from);
        } else if !cx.out.to_one(b"PASSWORD OK", from) {
            // Only an address that was sent the answer may choose a name.
            self.guests.forget(from.peer);
        }
    }

    /// No, also to a network that is ignored, but seldom.
    fn say_incorrect(&mut self, to: Route, cx: &mut DatagramCx<'_>) {
        let host = to.peer.ip();
        if !self.guests.is_ignored(host, cx.now) || self.guests.may_answer(host, cx.now) {
            cx.out.to_one(b"PASSWORD INCORRECT", to);
        }
    }

    pub(super) fn try_name(&mut self, from: Route, name: &str, cx: &mut DatagramCx<'_>) {
        if !self.guests.is_admitted(from.peer, cx.now) {
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

    fn say_taken(&mut self, to: Route, why: &str, cx: &mut DatagramCx<'_>) {
        warn(&mut self.refused, cx.now, why);
        cx.out.to_one(b"USERNAME TAKEN", to);
    }

    /// Probes the holder of a name; the claim is answered when the outcome is known.
    fn claim(&mut self, from: Route, name: &str, holder: SocketAddr, cx: &mut DatagramCx<'_>) {
        if self.claims.waits(from.peer) {
            return;
        }
        // A probe is an empty line on a person's screen.
        if self.claims.is_full() || !self.networks.pay(from.peer.ip(), cx.now) {
            cx.out.to_one(b"USERNAME TAKEN", from);
            return;
        }
        self.claims.add(Claim {
            from,
            name: name.to_owned(),
            holder,
            until: cx.now + self.limits.claim,
        });
        cx.out.to_one(PROBE, self.members[&holder].route);
    }

    fn join(&mut self, from: Route, name: &str, cx: &mut DatagramCx<'_>) {
        let host = from.peer.ip();
        let is_full = self.members.len() >= self.limits.members;
        if is_full || !self.networks.has_place(host) {
            let what = if is_full {
                "the room"
            } else {
                "its share of the room"
            };
            let line = format!("{} cannot join: {what} is full", from.peer);
            return self.say_taken(from, &line, cx);
        }
        let Some(credit) = self.pay_for_joining(from.peer, cx.now) else {
            let line = format!("{} joins too often", from.peer);
            return self.say_taken(from, &line, cx);
        };
        self.guests.forget(from.peer);
        // The answer leaves before the notice: a textbook client takes the first datagram for it.
        cx.out.to_one(b"USERNAME OK", from);
        self.enter(from, name, credit, cx);
    }

    /// Joining is announced to all and has its price, or a network could have others drowned in
    /// notices. One that comes back pays what a message costs, too, out of what was left at
    /// leaving: a rate that began anew with each coming would be none.
    fn pay_for_joining(&mut self, from: SocketAddr, now: u64) -> Option<Credit> {
        let left = self.guests.left(from, now).map(|left| left.credit);
        let mut credit = left.unwrap_or_else(|| Credit::full(self.rate, now));
        let pays = left.is_none() || credit.pay(self.rate, now);
        Some(credit).filter(|_| pays && self.networks.pay_join(from.ip(), now))
    }

    /// A stranger speaks. If it was a member and was lost, it is one again: it has done nothing
    /// that would tell it that it must give its name a second time.
    pub(super) fn come_back(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramCx<'_>) {
        let said = one_line(bytes);
        let left = self.guests.left(from.peer, cx.now);
        let Some(name) = left.and_then(|left| left.name) else {
            return;
        };
        let has_place = self.members.len() < self.limits.members
            && self.networks.has_place(from.peer.ip())
            && !self.names.contains_key(&text::name_key(&name));
        if has_place
            && !is_exit(&said)
            && !said.trim().is_empty()
            && let Some(credit) = self.pay_for_joining(from.peer, cx.now)
        {
            self.enter(from, &name, credit, cx);
            self.on_datagram(from, bytes, cx);
        }
    }
}

fn warn(limit: &mut LogLimit, now: u64, line: &str) {
    match limit.pass(now) {
        None => {}
        Some(0) => log::warn!("room: {line}"),
        Some(more) => log::warn!("room: {line}; {more} like it were not logged"),
    }
}
