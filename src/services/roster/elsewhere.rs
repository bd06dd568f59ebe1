//! The talk clients of other servers: what they and the operators there say and do.
//!
//! Lines go to one subject, joins and leaves to another, with the messages of [`OtherServers`].
//! All have numbers, and are from the server with the client, or from that of the operator:
//!
//! | deed | subject | headers | content |
//! |---|---|---|---|
//! | `said` | lines | `Loket-Client`, the number of the client | what it has said |
//! | `all` | lines | | what an operator says to all clients |
//! | `to`, `kick` | lines | `Loket-To`, the server of a client, and its number | a line to it |
//! | `entered` | clients | | the client: number, address, seconds since it has connected |
//! | `left` | clients | `Loket-Client` | none |
//!
//! A long line has several parts, which `Loket-Part` counts: `2/3` is the second of three.
//!
//! # Names
//!
//! The name of a server is its node, `-`, and a random part, which differs with each start. A
//! client is shown as `NODE.NUMBER`. If two servers have one node, the later one is taken for a new
//! start of the other, which is gone. If that one sends again, it is shown with four more letters
//! of its name, and so is a server with the node of this one.

use super::client::Client;
use crate::services::link::exchange::{Arrived, Exchange, Topic};
use crate::services::link::others::{Heard, News, OtherServers, OthersLimits};
use crate::session::log_limit::LogLimit;
use crate::session::notice::Post;
use crate::wire::text;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// The subject of lines.
pub const LINES: &str = "loket.talk.lines";

/// The subject of joins and leaves.
pub const CLIENTS: &str = "loket.talk.clients";

/// Limits of what is known of other servers.
#[derive(Debug, Clone, Copy)]
pub struct ClientsElsewhereLimits {
    /// Servers and their clients.
    pub others: OthersLimits,
    /// Bytes of a line in one message.
    pub part: usize,
    /// Bytes of a line.
    pub line: usize,
    /// Messages, and lines to the operator, in one round.
    pub batch: usize,
    /// Bytes of lines of other operators that wait until all clients here have got earlier ones.
    pub waiting: usize,
}

/// The talk clients of other servers, by server and number.
pub struct ClientsElsewhere {
    exchange: Rc<RefCell<Exchange>>,
    pub(super) others: OtherServers<u32, Client>,
    pub(super) limits: ClientsElsewhereLimits,
    /// How servers are shown, by their names.
    shown: BTreeMap<Rc<str>, Rc<str>>,
    /// Servers that were taken for an earlier start of another one.
    replaced: BTreeSet<Rc<str>>,
    /// Lines whose last part has not arrived, by server: client, next part, text.
    parts: BTreeMap<Rc<str>, (Option<u32>, u32, String)>,
    /// Messages that are not read yet.
    arrived: VecDeque<Arrived>,
    /// Whether this server ends.
    has_ended: bool,
    /// Limits a warning that other servers can cause.
    warned: LogLimit,
}

/// What operators are to be shown.
#[derive(Debug)]
pub enum Happened {
    /// A line.
    Line(Rc<str>),
    /// A client has joined. If it may have been there before the link came up, no line says so.
    Entered {
        /// How it is shown.
        id: String,
        /// The client.
        client: Client,
        /// Whether no line says so.
        quiet: bool,
    },
    /// A client has left.
    Left {
        /// How it was shown.
        id: String,
    },
}

/// What an operator of another server wants of the clients here.
#[derive(Debug)]
pub enum Order {
    /// A line to all clients.
    All(Rc<str>),
    /// A line to one client.
    To(u32, Rc<str>),
    /// One client is to be disconnected.
    Kick(u32),
}

/// What has come from other servers.
#[derive(Default)]
pub struct Inbox {
    /// What operators are to be shown.
    pub happened: VecDeque<Happened>,
    /// What is to be done here.
    pub orders: Vec<Order>,
}

impl ClientsElsewhere {
    /// Without other servers.
    pub fn new(
        exchange: Rc<RefCell<Exchange>>,
        limits: ClientsElsewhereLimits,
    ) -> ClientsElsewhere {
        let others = OtherServers::new(
            exchange.clone(),
            Topic::Talk,
            CLIENTS.into(),
            limits.others,
            Client::parse,
        );
        ClientsElsewhere {
            exchange,
            others,
            limits,
            shown: BTreeMap::new(),
            replaced: BTreeSet::new(),
            parts: BTreeMap::new(),
            arrived: VecDeque::new(),
            has_ended: false,
            warned: LogLimit::new(1),
        }
    }

    /// How this server is shown.
    pub fn own_node(&self) -> Box<str> {
        node_of(self.exchange.borrow().server()).into()
    }

    /// How a server is shown.
    pub fn node<'a>(&'a self, server: &'a str) -> &'a str {
        self.shown.get(server).map_or(server, |node| node)
    }

    /// The server that is shown so, if it is not this one.
    pub fn server(&self, node: &str) -> Option<&Rc<str>> {
        let mut shown = self.shown.iter();
        shown.find_map(|(server, own)| (**own == *node).then_some(server))
    }

    /// Publishes a line, in as many parts as it needs. Returns whether the link accepts it.
    pub fn publish_line(
        &mut self,
        deed: &str,
        headers: &[(&str, &str)],
        line: &str,
        posts: &mut Vec<Post>,
    ) -> bool {
        let mut parts = Vec::new();
        let mut rest = line;
        while rest.len() > self.limits.part {
            let (part, more) = rest.split_at(rest.floor_char_boundary(self.limits.part));
            parts.push(part);
            rest = more;
        }
        parts.push(rest);
        if parts.len() == 1 {
            return self.publish(LINES, deed, headers, line.as_bytes(), posts);
        }
        let mut accepts = true;
        for (at, part) in (1..).zip(&parts) {
            let number = format!("{at}/{}", parts.len());
            let headers = [headers, &[("Loket-Part", &number)]].concat();
            accepts &= self.publish(LINES, deed, &headers, part.as_bytes(), posts);
        }
        accepts
    }

    /// Publishes that a client here has done something.
    pub fn publish(
        &mut self,
        subject: &str,
        deed: &str,
        headers: &[(&str, &str)],
        payload: &[u8],
        posts: &mut Vec<Post>,
    ) -> bool {
        if self.has_ended {
            return false;
        }
        let others = &mut self.others;
        others.publish(subject, deed, headers, payload, posts)
    }

    /// Publishes that this server ends. Nothing follows.
    pub fn say_bye(&mut self, posts: &mut Vec<Post>) {
        self.others.say_bye(posts);
        self.has_ended = true;
    }

    /// The name of this server among the others.
    pub fn own_server(&self) -> String {
        self.exchange.borrow().server().to_owned()
    }

    /// Reads some of what has arrived. Returns whether more waits.
    pub fn read(&mut self, now: u64, inbox: &mut Inbox) -> bool {
        self.others.on_wake(now);
        if self.arrived.is_empty() {
            self.arrived = self.exchange.borrow_mut().take_arrived(Topic::Talk).into();
        }
        for _ in 0..self.limits.batch {
            let Some(message) = self.arrived.pop_front() else {
                return false;
            };
            self.on_message(&message, now, inbox);
            if inbox.happened.len() >= self.limits.batch {
                break;
            }
        }
        !self.arrived.is_empty()
    }

    /// When to call [`ClientsElsewhere::on_time`].
    pub fn next_due(&self) -> Option<u64> {
        let due = self.others.next_due();
        due.filter(|_| !self.has_ended)
    }

    /// Does what is due. `clients` are those of this server.
    pub fn on_time(
        &mut self,
        now: u64,
        clients: impl Iterator<Item = Value>,
        inbox: &mut Inbox,
        posts: &mut Vec<Post>,
    ) {
        if self.next_due().is_some_and(|due| due <= now) {
            let mut news = Vec::new();
            self.others.on_time(now, clients, &mut news, posts);
            self.on_news(news, now, inbox);
        }
    }

    fn on_message(&mut self, message: &Arrived, now: u64, inbox: &mut Inbox) {
        let mut news = Vec::new();
        let heard = self.others.on_message(message, now, &mut news);
        self.on_news(news, now, inbox);
        let Some(Heard { server, deed }) = heard else {
            return;
        };
        let headers = message.headers();
        let client = headers.get("Loket-Client");
        let client = client.and_then(|number| number.parse::<u32>().ok());
        match (deed, client) {
            ("entered", _) => {
                let entry = serde_json::from_slice(&message.payload).ok();
                let Some((number, client)) = entry.and_then(|it| Client::parse(&it, now)) else {
                    return;
                };
                if self.others.enter(server, number, client.clone()) {
                    let (id, quiet) = (self.id(server, number), false);
                    let entered = Happened::Entered { id, client, quiet };
                    inbox.happened.push_back(entered);
                }
            }
            ("left", Some(number)) => {
                let id = self.id(server, number);
                let left = self.others.leave(server, &number);
                inbox.happened.extend(left.map(|_| Happened::Left { id }));
            }
            ("said" | "all" | "to" | "kick", _) => {
                let line = self.whole_line(server, client, message);
                if let Some(line) = line.filter(|it| deed == "kick" || !it.trim().is_empty()) {
                    self.on_line(
                        server,
                        deed,
                        (headers.get("Loket-To"), client),
                        &line,
                        inbox,
                    );
                }
            }
            // Of a later version.
            _ => {}
        }
    }

    /// The line of which this message is the last part.
    fn whole_line(
        &mut self,
        server: &str,
        client: Option<u32>,
        message: &Arrived,
    ) -> Option<String> {
        let before = self.parts.remove(server);
        let line = text::clean(&message.payload);
        let part = message.headers().get("Loket-Part");
        let part = part.and_then(|part| part.split_once('/'));
        let Some((part, parts)) = part else {
            return Some(line);
        };
        let (part, parts): (u32, u32) = (part.parse().ok()?, parts.parse().ok()?);
        let line = match before {
            _ if part == 1 => line,
            Some((whose, next, begun)) if (whose, next) == (client, part) => begun + &line,
            _ => return None,
        };
        if part == parts {
            return Some(line);
        }
        if line.len() <= self.limits.line {
            let next = part.saturating_add(1);
            self.parts.insert(server.into(), (client, next, line));
        }
        None
    }

    /// A client or an operator of a server has said or done something.
    fn on_line(
        &mut self,
        server: &str,
        deed: &str,
        to: (Option<&str>, Option<u32>),
        line: &str,
        inbox: &mut Inbox,
    ) {
        let node = self.node(server);
        let (shown, order) = match (deed, to) {
            ("said", (_, Some(number))) => {
                if let Some(client) = self.others.entry(server, &number) {
                    client.set_last(line);
                }
                (format!("Client {}: {line}", self.id(server, number)), None)
            }
            ("all", _) => (format!("{node}> {line}"), Some(Order::All(line.into()))),
            (_, (Some(at), Some(number))) => {
                let is_here = self.exchange.borrow().server() == at;
                let id = match is_here {
                    true => format!("{}.{number}", self.own_node()),
                    false if self.shown.contains_key(at) => self.id(at, number),
                    false => return,
                };
                let (shown, order) = match deed {
                    "to" => (
                        format!("{node}> /to {id} {line}"),
                        Order::To(number, line.into()),
                    ),
                    _ => (format!("{node}> /kick {id}"), Order::Kick(number)),
                };
                (shown, Some(order).filter(|_| is_here))
            }
            _ => return,
        };
        inbox.happened.push_back(Happened::Line(shown.into()));
        inbox.orders.extend(order);
    }

    fn on_news(&mut self, news: Vec<News<u32, Client>>, now: u64, inbox: &mut Inbox) {
        for news in news {
            let happened = match news {
                News::Appeared(server) => {
                    self.name(server, now, inbox);
                    continue;
                }
                News::Gone(server) => {
                    self.shown.remove(&server);
                    self.parts.remove(&server);
                    continue;
                }
                News::Entered {
                    server,
                    key,
                    entry: client,
                    quiet,
                } => {
                    let id = self.id(&server, key);
                    Happened::Entered { id, client, quiet }
                }
                News::Left { server, key, .. } => {
                    let id = self.id(&server, key);
                    Happened::Left { id }
                }
                News::Lost(count) => Happened::Line(
                    format!("({count} messages from other servers were lost)").into(),
                ),
            };
            inbox.happened.push_back(happened);
        }
    }

    /// Chooses how a new server is shown.
    fn name(&mut self, server: Rc<str>, now: u64, inbox: &mut Inbox) {
        let node = node_of(&server);
        let holder = self.server(node).cloned();
        let is_restarted = holder.as_ref().is_none_or(|it| node_of(it) == node);
        if *node != *self.own_node() && is_restarted && !self.replaced.contains(&server) {
            if let Some(before) = holder {
                let mut news = Vec::new();
                self.others.remove(&before, &mut news);
                self.on_news(news, now, inbox);
                if self.replaced.len() >= self.limits.others.servers {
                    self.replaced.clear();
                }
                self.replaced.insert(before);
            }
            self.shown.insert(server.clone(), node.into());
            return;
        }
        let longer = &server[..server.len().min(node.len() + 5)];
        let is_free = |name: &str| self.server(name).is_none() && *name != *self.own_node();
        let mut name = match is_free(longer) {
            true => longer.to_owned(),
            false => server.to_string(),
        };
        while !is_free(&name) {
            name.push('-');
        }
        if self.warned.pass(now).is_some() {
            let what = "two linked servers have this name";
            log::warn!(
                service = "link";
                "link: {what}: {node}; one is shown as {name}; give each a --node of its own"
            );
        }
        self.shown.insert(server.clone(), name.into());
    }

    /// How a client of another server is shown.
    fn id(&self, server: &str, number: u32) -> String {
        format!("{}.{number}", self.node(server))
    }
}

/// The node in the name of a server.
fn node_of(server: &str) -> &str {
    server.rsplit_once('-').map_or(server, |(node, _)| node)
}
