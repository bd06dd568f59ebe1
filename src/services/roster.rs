//! The list of talk clients, which the talk sessions and the operator share.

use super::TalkRate;
use crate::session::session_id::SessionId;
use crate::wire::text;
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

    /// The clients with these numbers.
    pub fn range(&self, numbers: RangeInclusive<u32>) -> impl Iterator<Item = (u32, &RosterEntry)> {
        self.clients
            .range(numbers)
            .map(|(id, client)| (*id, client))
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
