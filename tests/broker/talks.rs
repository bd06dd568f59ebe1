//! Talk on several servers, in memory, on the clock of a test.

use super::{Broker, Client, LinkEnd};
use crate::memory::random::Random;
use loket::config::link::TALK;
use loket::config::reactor::OUTBOX_HIGH_WATER;
use loket::config::services::SERVICES;
use loket::services::link::exchange::{Exchange, Topic};
use loket::services::operator_commands::{Executed, OperatorCommands};
use loket::services::roster::Roster;
use loket::services::roster::elsewhere::{
    CLIENTS, ClientsElsewhere, ClientsElsewhereLimits, LINES,
};
use loket::services::talk::Talk;
use loket::session::close_reason::CloseReason;
use loket::session::notice::{Audience, Notice};
use loket::session::outbox::{Front, Outbox};
use loket::session::session::Session;
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::wire::follows::Follows;
use loket::wire::nats::publish;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

pub const SECOND: u64 = 1_000_000;

/// The session of the link in each server.
pub const LINK_SERIAL: u32 = 1 << 20;

/// One server.
pub struct Node {
    pub roster: Rc<RefCell<Roster>>,
    pub exchange: Rc<RefCell<Exchange>>,
    pub commands: OperatorCommands,
    pub shared: Shared,
    pub end: LinkEnd,
    pub sessions: BTreeMap<u64, Session>,
    /// What operators have been shown, in this order.
    pub shown: Vec<String>,
    /// What each client got.
    pub got: BTreeMap<u64, String>,
    /// When to call its roster again.
    pub due: Option<u64>,
}

pub struct World {
    pub now: u64,
    pub nodes: Vec<Node>,
    pub clients: Vec<Option<Client>>,
    pub broker: Broker,
    pub random: Random,
    pub serial: u32,
}

impl Node {
    pub fn new(name: &str, limits: ClientsElsewhereLimits) -> Node {
        let exchange = Rc::new(RefCell::new(Exchange::new(name.to_owned())));
        let mut roster = Roster::default();
        roster.set_link(ClientsElsewhere::new(exchange.clone(), limits));
        let roster = Rc::new(RefCell::new(roster));
        Node {
            commands: OperatorCommands::new(Rc::new(SERVICES), Some(roster.clone())),
            roster,
            exchange,
            shared: Shared::new(OUTBOX_HIGH_WATER),
            end: LinkEnd::default(),
            sessions: BTreeMap::new(),
            shown: Vec::new(),
            got: BTreeMap::new(),
            due: None,
        }
    }

    /// Delivers posts. Returns whether there was one.
    pub fn deliver(&mut self) -> bool {
        let posts = std::mem::take(&mut self.shared.posts);
        let any = !posts.is_empty();
        for post in posts {
            match (post.to, post.notice) {
                (Audience::Operator, Notice::Line(line)) => self.shown.push(line.to_string()),
                (Audience::One(id), notice) if id.serial() >= LINK_SERIAL => {
                    self.end.notify(&notice, &mut self.shared);
                }
                (Audience::One(id), notice) => {
                    let Some(session) = self.sessions.get_mut(&id.0) else {
                        continue;
                    };
                    let ends = session.notify(&notice, &mut self.shared).is_some()
                        || matches!(notice, Notice::Close(_));
                    let got = self.got.entry(id.0).or_default();
                    let outbox = session.outbox().expect("an outbox");
                    while let Some(Front::Bytes(bytes)) = outbox.front() {
                        *got += str::from_utf8(bytes).expect("text");
                        let count = bytes.len();
                        outbox.advance(count);
                    }
                    if ends {
                        self.leave(id.0);
                    }
                }
                _ => {}
            }
        }
        any
    }

    pub fn leave(&mut self, client: u64) {
        let mut session = self.sessions.remove(&client).expect("a client");
        session.end(CloseReason::PeerFinished, &mut self.shared);
    }
}

impl World {
    pub fn new(names: &[&str]) -> World {
        World::with(names, TALK)
    }

    /// With other limits.
    pub fn with(names: &[&str], limits: ClientsElsewhereLimits) -> World {
        let mut world = World {
            now: SECOND,
            nodes: Vec::new(),
            clients: Vec::new(),
            broker: Broker::new(),
            random: Random::new(1),
            serial: 0,
        };
        for name in names {
            world.start(name, limits);
        }
        world
    }

    /// Starts one more server.
    pub fn start(&mut self, name: &str, limits: ClientsElsewhereLimits) {
        self.nodes.push(Node::new(name, limits));
        self.clients.push(None);
        self.connect(self.nodes.len() - 1);
    }

    pub fn connect(&mut self, node: usize) {
        self.serial += 1;
        let it = &mut self.nodes[node];
        let subjects = [LINES, CLIENTS].map(|subject| (subject.into(), Topic::Talk));
        let serial = LINK_SERIAL + self.serial;
        it.end
            .connect(&it.exchange, subjects.into(), serial, &mut it.shared);
        self.clients[node] = Some(Client::default());
        self.settle();
    }

    pub fn cut(&mut self, node: usize) {
        self.clients[node] = None;
        let it = &mut self.nodes[node];
        it.end.cut(&mut it.shared);
        self.settle();
    }

    /// Moves bytes and posts until nothing moves.
    pub fn settle(&mut self) {
        loop {
            let mut moved = false;
            for number in 0..self.nodes.len() {
                let it = &mut self.nodes[number];
                moved |= it.deliver();
                moved |= it.end.feed(&mut self.random, &mut it.shared);
                moved |= self.send(number);
                moved |= self.end_round(number);
            }
            if !moved {
                return;
            }
        }
    }

    /// The broker gets what the link has sent.
    pub fn send(&mut self, number: usize) -> bool {
        let bytes = self.nodes[number].end.take_sent();
        if bytes.is_empty() {
            return false;
        }
        let clients = &mut self.clients;
        let copies = self.broker.receive(clients, number, &bytes, self.now);
        for (node, copy) in self.nodes.iter_mut().zip(copies) {
            node.end.arriving.extend(copy);
        }
        true
    }

    /// Returns whether the roster has more to do at once.
    pub fn end_round(&mut self, number: usize) -> bool {
        let it = &mut self.nodes[number];
        let posts = &mut it.shared.posts;
        let before = posts.len();
        let mut roster = it.roster.borrow_mut();
        it.due = roster.end_round(self.now, self.now / SECOND, 2, posts);
        let most = 2 * TALK.batch + 10;
        assert!(posts.len() <= before + most, "a round is bounded");
        it.due.is_some_and(|due| due <= self.now)
    }

    pub fn pass(&mut self, micros: u64) {
        let end = self.now + micros;
        while let Some(next) = self.nodes.iter().filter_map(|node| node.due).min()
            && next <= end
        {
            self.now = self.now.max(next);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    /// A new client. Returns its session.
    pub fn join(&mut self, node: usize) -> u64 {
        self.serial += 1;
        let it = &mut self.nodes[node];
        let id = SessionId::new(self.serial, self.serial);
        let talk = Talk::new(
            Rc::new(SERVICES),
            it.roster.clone(),
            ([10, 0, 0, 1], 7).into(),
        );
        let mut session = Session::new(Box::new(talk), id);
        (it.shared.now, it.shared.micros) = ((self.now / SECOND) as u32, self.now);
        session.open(&mut it.shared);
        it.sessions.insert(id.0, session);
        self.settle();
        id.0
    }

    pub fn say(&mut self, node: usize, client: u64, text: &str) {
        self.say_bytes(node, client, text.as_bytes());
    }

    pub fn say_bytes(&mut self, node: usize, client: u64, bytes: &[u8]) {
        let it = &mut self.nodes[node];
        it.shared.now = (self.now / SECOND) as u32;
        let session = it.sessions.get_mut(&client).expect("a client");
        let input = [&session.take_inbox()[..], bytes].concat();
        let mut calls = usize::MAX;
        session.feed(&input, Follows::More, &mut calls, &mut it.shared);
        self.settle();
    }

    /// The operator writes a line. Returns the answers.
    pub fn operate(&mut self, node: usize, line: &str) -> Vec<String> {
        let it = &mut self.nodes[node];
        it.shared.now = (self.now / SECOND) as u32;
        let (mut answers, mut out) = (Vec::new(), Outbox::default());
        let mut cx = it.shared.context(&mut out, SessionId(0));
        if let Executed::Shared(line) = it.commands.execute(line, &mut answers, &mut cx) {
            it.shown.push(line.to_string());
        }
        while it.commands.is_busy() {
            it.commands.step(&mut answers, &mut cx);
        }
        self.settle();
        answers
    }

    pub fn got(&self, node: usize, client: u64) -> &str {
        self.nodes[node].got.get(&client).map_or("", |got| got)
    }

    /// What operators have been shown since the last call.
    pub fn shown(&mut self, node: usize) -> Vec<String> {
        std::mem::take(&mut self.nodes[node].shown)
    }

    /// A message of any program at the broker, to the first server.
    pub fn forge(&mut self, subject: &str, headers: &[(&str, &str)], text: &[u8]) {
        self.queue(subject, headers, text);
        self.settle();
    }

    /// The same, to be read later.
    pub fn queue(&mut self, subject: &str, headers: &[(&str, &str)], text: &[u8]) {
        let sent = publish(subject, None, headers, text);
        let rest = &sent[b"HPUB ".len() + subject.len() + 1..];
        let number = if subject == LINES { 1 } else { 2 };
        let message = [format!("HMSG {subject} {number} ").as_bytes(), rest].concat();
        self.nodes[0].end.arriving.extend(message);
    }
}
