//! The list of talk clients, which the talk sessions and the operators share, with those of other
//! servers if there is a link to them.

pub mod client;
pub mod elsewhere;
mod linked;

use super::TalkRate;
use super::server_event::event;
use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::session_id::SessionId;
use crate::session::watchers::Watchers;
use client::Client;
use linked::LinkedTalk;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::rc::Rc;

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
    /// The clients of other servers, if there is a link to them.
    linked: Option<LinkedTalk>,
}

/// A talk client of this server.
struct RosterEntry {
    /// Its session.
    peer: SessionId,
    client: Client,
}

/// Names a talk client of any server. Those of this server are the first ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId {
    /// The name of its server, if it is another one.
    server: Option<Rc<str>>,
    number: u32,
}

impl ClientId {
    fn here(number: u32) -> ClientId {
        let server = None;
        ClientId { server, number }
    }
}

impl Roster {
    /// Adds a client and returns its number.
    pub fn join(&mut self, peer: SessionId, address: SocketAddr, now: u32) -> u32 {
        self.newest += 1;
        let client = Client::new(address, now);
        self.clients
            .insert(self.newest, RosterEntry { peer, client });
        self.newest
    }

    /// Removes a client.
    pub fn leave(&mut self, id: u32) {
        self.clients.remove(&id);
    }

    /// How a client of this server is shown.
    pub fn shown(&self, id: u32) -> String {
        self.shown_id(&ClientId::here(id))
    }

    /// Posts the arrival of a client to the tabs and to the other servers.
    pub fn announce_joined(&mut self, id: u32, unix: u64, now: u32, posts: &mut Vec<Post>) {
        let Some(RosterEntry { client, .. }) = self.clients.get(&id) else {
            return;
        };
        let json = |id| json!({"joined": client.to_json(id, unix, now)});
        self.announce(|| json(self.json_id(&ClientId::here(id))), posts);
        self.publish_joined(id, now, posts);
    }

    /// Posts that a client has left.
    pub fn announce_left(&mut self, id: u32, posts: &mut Vec<Post>) {
        self.announce(|| json!({"left": self.json_id(&ClientId::here(id))}), posts);
        self.publish_left(id, posts);
    }

    /// Records the last message of a client.
    pub fn set_last(&mut self, id: u32, text: &str) {
        if let Some(entry) = self.clients.get_mut(&id) {
            entry.client.set_last(text);
        }
    }

    fn announce(&self, data: impl Fn() -> Value, posts: &mut Vec<Post>) {
        if self.tabs.is_empty() {
            return;
        }
        self.tabs
            .post(&Notice::Event(event("roster", &data())), posts);
    }

    /// The client that an operator means: a number alone is one of this server.
    pub fn find(&self, id: &str) -> Option<ClientId> {
        let id = id.trim();
        let (server, number) = match id.rsplit_once('.') {
            Some((node, number)) => (self.server(node)?, number),
            None => (None, id),
        };
        let number = number.parse().ok()?;
        let is_there = match &server {
            None => self.clients.contains_key(&number),
            Some(server) => self.is_elsewhere(server, number),
        };
        is_there.then_some(ClientId { server, number })
    }

    /// Sends a line to one client. Returns false if the link to its server is down.
    pub fn send(&mut self, to: &ClientId, text: &str, posts: &mut Vec<Post>) -> bool {
        let post = |peer| Post::line(Audience::One(peer), text);
        self.act("to", to, text, post, posts)
    }

    /// Disconnects a client. Returns false if the link to its server is down.
    pub fn kick(&mut self, client: &ClientId, posts: &mut Vec<Post>) -> bool {
        let post = |peer| Post {
            to: Audience::One(peer),
            notice: Notice::Close(CloseReason::Kicked),
        };
        self.act("kick", client, "", post, posts)
    }

    fn act(
        &mut self,
        deed: &str,
        client: &ClientId,
        text: &str,
        post: impl Fn(SessionId) -> Post,
        posts: &mut Vec<Post>,
    ) -> bool {
        if client.server.is_none()
            && let Some(entry) = self.clients.get(&client.number)
        {
            posts.push(post(entry.peer));
        }
        self.publish_order(deed, client, text, posts) || client.server.is_none()
    }

    /// The lowest and the highest number of a client of this server; `None` without clients.
    pub fn numbers(&self) -> Option<RangeInclusive<u32>> {
        let (first, _) = self.clients.first_key_value()?;
        let (last, _) = self.clients.last_key_value()?;
        Some(*first..=*last)
    }

    /// The first and the last client of all servers; `None` without clients.
    pub fn all(&self) -> Option<RangeInclusive<ClientId>> {
        let here = self.numbers().map(|numbers| {
            let (first, last) = numbers.into_inner();
            ClientId::here(first)..=ClientId::here(last)
        });
        match (here, self.all_elsewhere()) {
            (Some(here), Some(there)) => {
                let (first, last) = (here.into_inner().0, there.into_inner().1);
                Some(first..=last)
            }
            (here, there) => here.or(there),
        }
    }

    /// Calls `show` for at most `most` of these clients. Returns the rest of them.
    pub fn show_some(
        &self,
        ids: RangeInclusive<ClientId>,
        most: usize,
        mut show: impl FnMut(&ClientId, &Client),
    ) -> Option<RangeInclusive<ClientId>> {
        let (first, last) = ids.into_inner();
        let from = match first.server {
            None => first.number..,
            Some(_) => u32::MAX..,
        };
        let here = self.clients.range(from).filter(|_| first.server.is_none());
        let here = here.map(|(number, entry)| (ClientId::here(*number), &entry.client));
        let all = here.chain(self.elsewhere_from(&first));
        let mut left = all.take_while(|(id, _)| *id <= last);
        for (id, client) in left.by_ref().take(most) {
            show(&id, client);
        }
        let next = left.next().map(|(id, _)| id);
        next.map(|next| next..=last)
    }

    /// Posts a line to at most `most` of these clients of this server. Returns the rest of them.
    pub fn send_some(
        &self,
        numbers: RangeInclusive<u32>,
        most: usize,
        text: &Rc<str>,
        posts: &mut Vec<Post>,
    ) -> Option<RangeInclusive<u32>> {
        let last = *numbers.end();
        let mut left = self.clients.range(numbers);
        for (_, entry) in left.by_ref().take(most) {
            posts.push(Post::line(Audience::One(entry.peer), text.clone()));
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
