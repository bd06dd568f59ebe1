//! Lists the talk clients, for the operator and for their share of what all may have printed.

use super::TalkRate;
use crate::session::session_id::SessionId;
use crate::wire::text;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

/// The talk clients of a server. Each of them holds it, and so does the operator.
#[derive(Default)]
pub struct Roster {
    clients: BTreeMap<u32, Client>,
    /// The number of the client that joined last.
    newest: u32,
    /// The second of the newest words of new clients, and what those of that second have cost.
    newcomers: (u32, usize),
}

/// A talk client.
pub struct Client {
    /// Its session.
    pub peer: SessionId,
    address: SocketAddr,
    since: u32,
    /// The beginning of what it said last.
    last: Option<Box<str>>,
}

impl Roster {
    /// A client joins. Answers its number for people.
    pub fn join(&mut self, peer: SessionId, address: SocketAddr, now: u32) -> u32 {
        self.newest += 1;
        let client = Client {
            peer,
            address,
            since: now,
            last: None,
        };
        self.clients.insert(self.newest, client);
        self.newest
    }

    /// A client says something.
    pub fn say(&mut self, id: u32, text: &str) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.last = Some(text::shorten(text).into());
        }
    }

    /// A client leaves.
    pub fn leave(&mut self, id: u32) {
        self.clients.remove(&id);
    }

    /// The session of the client with this number.
    pub fn find(&self, id: &str) -> Option<SessionId> {
        let id: u32 = id.trim().parse().ok()?;
        self.clients.get(&id).map(|client| client.peer)
    }

    /// From the lowest number to the highest; `None` without clients.
    pub fn numbers(&self) -> Option<RangeInclusive<u32>> {
        let (first, _) = self.clients.first_key_value()?;
        let (last, _) = self.clients.last_key_value()?;
        Some(*first..=*last)
    }

    /// The clients with these numbers.
    pub fn range(&self, numbers: RangeInclusive<u32>) -> impl Iterator<Item = (u32, &Client)> {
        self.clients
            .range(numbers)
            .map(|(id, client)| (*id, client))
    }

    /// Bytes that each second adds for one client.
    pub fn share(&self, rate: &TalkRate) -> usize {
        rate.each_second.min(rate.all / self.clients.len().max(1))
    }

    /// Whether a client that has saved nothing yet may have this number of bytes printed: clients
    /// that come, speak and go would have no rate otherwise.
    pub fn grants(&mut self, cost: usize, rate: &TalkRate, now: u32) -> bool {
        let (second, spent) = self.newcomers;
        let spent = cost + if second == now { spent } else { 0 };
        let grants = spent <= rate.all;
        if grants {
            self.newcomers = (now, spent);
        }
        grants
    }
}

impl Client {
    /// What the operator's list shows of it.
    pub fn line(&self, id: u32, now: u32) -> String {
        let seconds = now - self.since;
        let since = match seconds {
            0..120 => format!("{seconds} s"),
            120..7200 => format!("{} min", seconds / 60),
            _ => format!("{} h", seconds / 3600),
        };
        let address = self.address;
        match &self.last {
            Some(text) => format!("{id}  {address}  here for {since}  said last: {text:?}"),
            None => format!("{id}  {address}  here for {since}  said last: nothing yet"),
        }
    }
}
