//! The list of talk clients, which the talk sessions and the operator share.

use super::TalkRate;
use super::server_event::event;
use crate::session::notice::{Notice, Post};
use crate::session::session_id::SessionId;
use crate::session::watchers::Watchers;
use crate::wire::text;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

/// The talk clients of a server.
#[derive(Default)]
pub struct Roster {
    clients: BTreeMap<u32, RosterEntry>,
    /// The number of the client that joined last.
    newest: u32,
    /// The last second in which new clients spent initial credit, and how much they spent in it.
    newcomer_spending: (u32, usize),
    /// The tabs that are sent each change.
    pub tabs: Watchers,
}

/// A talk client.
pub struct RosterEntry {
    /// Its session.
    pub peer: SessionId,
    address: SocketAddr,
    since: u32,
    /// The beginning of its last message.
    last: Option<Box<str>>,
}

impl Roster {
    /// Adds a client and returns its number.
    pub fn join(&mut self, peer: SessionId, address: SocketAddr, now: u32) -> u32 {
        self.newest += 1;
        let client = RosterEntry {
            peer,
            address,
            since: now,
            last: None,
        };
        self.clients.insert(self.newest, client);
        self.newest
    }

    /// Records the last message of a client.
    pub fn set_last(&mut self, id: u32, text: &str) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.last = Some(text::shorten(text).into());
        }
    }

    /// Removes a client.
    pub fn leave(&mut self, id: u32) {
        self.clients.remove(&id);
    }

    /// Posts the arrival of a client to the tabs.
    pub fn announce_joined(&self, id: u32, unix: u64, now: u32, posts: &mut Vec<Post>) {
        if let Some(client) = self.clients.get(&id) {
            self.announce(|| json!({"joined": client.to_json(id, unix, now)}), posts);
        }
    }

    /// Posts that a client has left.
    pub fn announce_left(&self, id: u32, posts: &mut Vec<Post>) {
        self.announce(|| json!({"left": id}), posts);
    }

    fn announce(&self, data: impl Fn() -> Value, posts: &mut Vec<Post>) {
        if self.tabs.is_empty() {
            return;
        }
        self.tabs
            .post(&Notice::Event(event("roster", &data())), posts);
    }

    /// The session of the client with this number.
    pub fn find(&self, id: &str) -> Option<SessionId> {
        let id: u32 = id.trim().parse().ok()?;
        self.clients.get(&id).map(|client| client.peer)
    }

    /// The lowest and the highest number; `None` without clients.
    pub fn numbers(&self) -> Option<RangeInclusive<u32>> {
        let (first, _) = self.clients.first_key_value()?;
        let (last, _) = self.clients.last_key_value()?;
        Some(*first..=*last)
    }

    /// Calls `show` for at most `most` clients with these numbers. Returns the numbers of the rest.
    pub fn show_some(
        &self,
        numbers: RangeInclusive<u32>,
        most: usize,
        mut show: impl FnMut(u32, &RosterEntry),
    ) -> Option<RangeInclusive<u32>> {
        let last = *numbers.end();
        let mut left = self.clients.range(numbers);
        for (id, client) in left.by_ref().take(most) {
            show(*id, client);
        }
        left.next().map(|(next, _)| *next..=last)
    }

    /// Credit that one client earns a second, in bytes.
    pub fn share(&self, rate: &TalkRate) -> usize {
        rate.per_second
            .min(rate.per_second_all / self.clients.len().max(1))
    }

    /// Whether a client may spend `cost` bytes of its initial credit. Without this limit, clients
    /// that connect, send and disconnect would not be limited by any rate.
    pub fn grant_newcomer(&mut self, cost: usize, rate: &TalkRate, now: u32) -> bool {
        let (second, spent) = self.newcomer_spending;
        let spent = cost + if second == now { spent } else { 0 };
        let grants = spent <= rate.per_second_all;
        if grants {
            self.newcomer_spending = (now, spent);
        }
        grants
    }
}

impl RosterEntry {
    /// The entry for the operator's window; `since` is in seconds since 1970.
    pub fn to_json(&self, id: u32, unix: u64, now: u32) -> Value {
        let since = unix.saturating_sub(u64::from(now.saturating_sub(self.since)));
        json!({"id": id, "address": self.address.to_string(), "since": since})
    }

    /// Its line in the operator's list.
    pub fn describe(&self, id: u32, now: u32) -> String {
        let seconds = now - self.since;
        let since = match seconds {
            0..120 => format!("{seconds} s"),
            120..7200 => format!("{} min", seconds / 60),
            _ => format!("{} h", seconds / 3600),
        };
        let address = self.address;
        match &self.last {
            Some(text) => format!("{id}  {address}  connected for {since}  last message: {text:?}"),
            None => format!("{id}  {address}  connected for {since}  last message: none"),
        }
    }
}
