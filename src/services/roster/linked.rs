//! The roster among those of other servers: shows operators what happens there, publishes what
//! happens here, and does here what operators of other servers want.

use super::client::Client;
use super::elsewhere::{CLIENTS, ClientsElsewhere, Happened, Inbox, Order};
use super::{ClientId, Roster};
use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, Notice, Post};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::rc::Rc;

/// What the roster knows of other servers.
pub struct LinkedTalk {
    elsewhere: ClientsElsewhere,
    inbox: Inbox,
    /// What operators of other servers want, in order.
    orders: VecDeque<Order>,
    /// Bytes of their lines.
    waiting: usize,
    /// A line, and the clients that have not got it yet.
    sending: Option<(Rc<str>, RangeInclusive<u32>)>,
}

impl Roster {
    /// The roster with the clients of other servers.
    pub fn set_link(&mut self, elsewhere: ClientsElsewhere) {
        self.linked = Some(LinkedTalk {
            elsewhere,
            inbox: Inbox::default(),
            orders: VecDeque::new(),
            waiting: 0,
            sending: None,
        });
    }

    /// How a client is shown.
    pub fn shown_id(&self, id: &ClientId) -> String {
        let (Some(linked), number) = (&self.linked, id.number) else {
            return id.number.to_string();
        };
        match &id.server {
            None => format!("{}.{number}", linked.elsewhere.own_node()),
            Some(server) => format!("{}.{number}", linked.elsewhere.node(server)),
        }
    }

    /// The same for a tab: without a link it is a number.
    pub fn json_id(&self, id: &ClientId) -> Value {
        match self.linked {
            Some(_) => self.shown_id(id).into(),
            None => id.number.into(),
        }
    }

    /// The same for a client of this server.
    pub fn own_json_id(&self, number: u32) -> Value {
        self.json_id(&ClientId::here(number))
    }

    /// The server that is shown so; the inner `None` is this one.
    pub(super) fn server(&self, node: &str) -> Option<Option<Rc<str>>> {
        let elsewhere = &self.linked.as_ref()?.elsewhere;
        match *elsewhere.own_node() == *node {
            true => Some(None),
            false => Some(Some(elsewhere.server(node)?.clone())),
        }
    }

    pub(super) fn is_elsewhere(&self, server: &str, number: u32) -> bool {
        let others = self.linked.as_ref().map(|linked| &linked.elsewhere.others);
        others.is_some_and(|others| others.find(server, &number).is_some())
    }

    pub(super) fn all_elsewhere(&self) -> Option<RangeInclusive<ClientId>> {
        let others = &self.linked.as_ref()?.elsewhere.others;
        let id = |(server, number): (&Rc<str>, &u32)| ClientId {
            server: Some(server.clone()),
            number: *number,
        };
        let (first, last) = others.ends()?;
        Some(id(first)..=id(last))
    }

    /// The clients of other servers from this one on.
    pub(super) fn elsewhere_from<'a>(
        &'a self,
        first: &'a ClientId,
    ) -> impl Iterator<Item = (ClientId, &'a Client)> {
        let (server, number) = match &first.server {
            Some(server) => (&**server, first.number),
            None => ("", 0),
        };
        let others = self.linked.iter().map(|linked| &linked.elsewhere.others);
        let entries = others.flat_map(move |others| others.entries_from(server, number));
        entries.map(|(server, number, client)| {
            let (server, number) = (Some(server.clone()), *number);
            (ClientId { server, number }, client)
        })
    }

    pub(super) fn publish_joined(&mut self, id: u32, now: u32, posts: &mut Vec<Post>) {
        if let (Some(linked), Some(entry)) = (&mut self.linked, self.clients.get(&id)) {
            let payload = entry.client.encode(id, now).to_string();
            let payload = payload.as_bytes();
            linked
                .elsewhere
                .publish(CLIENTS, "entered", &[], payload, posts);
        }
    }

    pub(super) fn publish_left(&mut self, id: u32, posts: &mut Vec<Post>) {
        if let Some(linked) = &mut self.linked {
            let headers = [("Loket-Client", &*id.to_string())];
            linked
                .elsewhere
                .publish(CLIENTS, "left", &headers, b"", posts);
        }
    }

    /// Publishes what a client has said.
    pub fn publish_line(&mut self, id: u32, text: &str, posts: &mut Vec<Post>) {
        if let Some(linked) = &mut self.linked {
            let headers = [("Loket-Client", &*id.to_string())];
            linked.elsewhere.publish_line("said", &headers, text, posts);
        }
    }

    /// Publishes an operator's line to all clients. Returns false if the link is down.
    pub fn publish_all(&mut self, text: &str, posts: &mut Vec<Post>) -> bool {
        let Some(linked) = &mut self.linked else {
            return true;
        };
        linked.elsewhere.publish_line("all", &[], text, posts)
    }

    /// Publishes what an operator wants of one client.
    pub(super) fn publish_order(
        &mut self,
        deed: &str,
        client: &ClientId,
        text: &str,
        posts: &mut Vec<Post>,
    ) -> bool {
        let Some(linked) = &mut self.linked else {
            return false;
        };
        let own = linked.elsewhere.own_server();
        let server = client.server.as_deref().unwrap_or(&own);
        let number = client.number.to_string();
        let headers = [("Loket-To", server), ("Loket-Client", &number)];
        linked.elsewhere.publish_line(deed, &headers, text, posts)
    }

    /// The server ends.
    pub fn stop(&mut self, posts: &mut Vec<Post>) {
        if let Some(linked) = &mut self.linked {
            linked.elsewhere.say_bye(posts);
        }
    }

    /// Shows and does a bounded part of what has come from other servers. `now` is in microseconds.
    /// Returns when to call it again.
    pub fn end_round(
        &mut self,
        now: u64,
        unix: u64,
        most: usize,
        posts: &mut Vec<Post>,
    ) -> Option<u64> {
        let linked = self.linked.as_mut()?;
        let (inbox, elsewhere) = (&mut linked.inbox, &mut linked.elsewhere);
        let mut has_more = false;
        let seconds = (now / 1_000_000) as u32;
        if inbox.happened.is_empty() {
            has_more = elsewhere.read(now, inbox);
            let clients = self.clients.iter();
            let clients = clients.map(|(number, it)| it.client.encode(*number, seconds));
            elsewhere.on_time(now, clients, inbox, posts);
        }
        linked.accept_orders();
        let batch = linked.elsewhere.limits.batch;
        for _ in 0..batch {
            let Some(happened) = self.next_happened() else {
                break;
            };
            self.show(happened, unix, seconds, posts);
        }
        self.obey(most, posts);
        let linked = self.linked.as_ref()?;
        let has_orders = linked.sending.is_some() || !linked.orders.is_empty();
        match has_more || has_orders || !linked.inbox.happened.is_empty() {
            true => Some(now),
            false => linked.elsewhere.next_due(),
        }
    }

    fn next_happened(&mut self) -> Option<Happened> {
        self.linked.as_mut()?.inbox.happened.pop_front()
    }

    fn show(&self, happened: Happened, unix: u64, now: u32, posts: &mut Vec<Post>) {
        let line: Rc<str> = match happened {
            Happened::Line(line) => line,
            Happened::Entered { id, client, quiet } => {
                let data = || json!({"joined": client.to_json(id.clone().into(), unix, now)});
                self.announce(data, posts);
                if quiet {
                    return;
                }
                format!("Client {id} connected from {}", client.address()).into()
            }
            Happened::Left { id } => {
                self.announce(|| json!({"left": id}), posts);
                format!("Client {id} disconnected").into()
            }
        };
        posts.push(Post::line(Audience::Operator, line));
    }

    /// Does one step of what operators of other servers want.
    fn obey(&mut self, most: usize, posts: &mut Vec<Post>) {
        let numbers = self.numbers();
        let Some(linked) = &mut self.linked else {
            return;
        };
        if linked.sending.is_none() {
            let order = linked.orders.pop_front();
            linked.waiting -= order.as_ref().map_or(0, bytes);
            let one = |number| self.clients.get(&number).map(|entry| entry.peer);
            match order {
                Some(Order::All(text)) => {
                    linked.sending = numbers.map(|numbers| (text, numbers));
                }
                Some(Order::To(number, text)) => {
                    posts.extend(one(number).map(|peer| Post::line(Audience::One(peer), text)));
                }
                Some(Order::Kick(number)) => posts.extend(one(number).map(|peer| Post {
                    to: Audience::One(peer),
                    notice: Notice::Close(CloseReason::Kicked),
                })),
                None => {}
            }
        }
        if let Some((text, numbers)) = linked.sending.take() {
            let rest = self.send_some(numbers, most, &text, posts);
            let linked = self.linked.as_mut().expect("checked above");
            linked.sending = rest.map(|rest| (text, rest));
        }
    }
}

impl LinkedTalk {
    /// Queues what operators of other servers want, as far as it fits.
    fn accept_orders(&mut self) {
        for order in self.inbox.orders.drain(..) {
            let bytes = bytes(&order);
            if self.waiting + bytes > self.elsewhere.limits.waiting {
                self.elsewhere.others.add_lost(1);
                continue;
            }
            self.waiting += bytes;
            self.orders.push_back(order);
        }
    }
}

/// The bytes of an order that count against the limit.
fn bytes(order: &Order) -> usize {
    let text = match order {
        Order::All(text) | Order::To(_, text) => text.len(),
        Order::Kick(_) => 0,
    };
    text + size_of::<Order>()
}
