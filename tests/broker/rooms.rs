//! Rooms of several servers on the clock of a test, and their links to the broker in memory.

use super::{Broker, Client, LinkEnd};
use crate::memory::random::Random;
use loket::config::link::{ELSEWHERE, NAME_TIMEOUT, NAMES, PROOF, STORED_LINES};
use loket::config::room::{DATAGRAMS, ROOM};
use loket::services::link::exchange::{Exchange, Topic};
use loket::services::link::names::Names;
use loket::services::room::Room;
use loket::services::room::elsewhere::MembersElsewhere;
use loket::services::room::history::HistoryLimits;
use loket::services::room::limits::RoomLimits;
use loket::services::room::linked::LinkedRoom;
use loket::services::room::stored_lines::StoredLines;
use loket::session::datagram::{DatagramContext, DatagramProtocol, SendQueue};
use loket::session::notice::{Audience, Notice, Post};
use loket::session::shared::Shared;
use loket::wire::nats::publish;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;

pub const SECOND: u64 = 1_000_000;

pub fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// One server.
pub struct Node {
    pub room: Room,
    pub exchange: Rc<RefCell<Exchange>>,
    pub out: SendQueue,
    pub posts: Vec<Post>,
    pub end: LinkEnd,
    pub shared: Shared,
    /// Whether the connection moves no bytes.
    pub is_stalled: bool,
    /// What clients got, by port.
    pub got: HashMap<u16, Vec<String>>,
    /// The member of each port.
    pub members: BTreeMap<u16, String>,
    /// The name that each port has asked for.
    pub asked: BTreeMap<u16, String>,
}

pub struct World {
    pub now: u64,
    pub nodes: Vec<Node>,
    pub clients: Vec<Option<Client>>,
    pub broker: Broker,
    pub random: Random,
    pub ports: u16,
    pub serial: u32,
    /// Messages that new members are shown.
    pub history: usize,
}

impl Node {
    pub fn new(id: String, history: usize) -> Node {
        let limits = RoomLimits {
            idle: None,
            newcomer_idle: u64::MAX,
            rate: 1_000,
            per_address: 1_000,
            history: HistoryLimits {
                lines: history,
                ..ROOM.history
            },
            ..ROOM
        };
        let exchange = Rc::new(RefCell::new(Exchange::new(id)));
        let elsewhere =
            MembersElsewhere::new(exchange.clone(), "loket.room.x".into(), ELSEWHERE, PROOF);
        let names = Names::new(exchange.clone(), NAMES);
        let stored =
            (history > 0).then(|| StoredLines::new(exchange.clone(), "x", history, STORED_LINES));
        let linked = LinkedRoom::new(elsewhere, names, stored, NAME_TIMEOUT);
        Node {
            room: Room::new("sesame", limits).with_link(linked),
            exchange,
            out: SendQueue::new(DATAGRAMS.copies),
            posts: Vec::new(),
            end: LinkEnd::default(),
            is_stalled: false,
            shared: Shared::new(usize::MAX),
            got: HashMap::new(),
            members: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    pub fn call(&mut self, now: u64, call: impl FnOnce(&mut Room, &mut DatagramContext<'_>)) {
        let (out, posts) = (&mut self.out, &mut self.posts);
        call(&mut self.room, &mut DatagramContext { out, posts, now });
        while let Some((text, to)) = self.out.front() {
            let text = String::from_utf8_lossy(&text.bytes).into_owned();
            let port = to.peer.address().port();
            if text == "USERNAME OK" {
                let asked = self.asked.remove(&port);
                self.members.extend(asked.map(|name| (port, name)));
            } else if text == "USERNAME TAKEN" {
                self.asked.remove(&port);
            } else if text.starts_with('(') && text.contains(" is taken: ") {
                self.members.remove(&port);
            }
            self.got.entry(port).or_default().push(text);
            self.out.advance();
        }
    }

    pub fn say(&mut self, port: u16, text: &str, now: u64) {
        self.call(now, |room, cx| {
            room.on_datagram(at(port).into(), text.as_bytes(), cx)
        });
    }

    /// Asks for a name with a new client.
    pub fn ask(&mut self, port: u16, name: &str, now: u64) {
        self.asked.insert(port, name.to_owned());
        self.say(port, "PASSWORD sesame", now);
        self.say(port, &format!("USERNAME {name}"), now);
    }

    /// Delivers the posts of the room and of the link. Returns whether there was one.
    pub fn deliver(&mut self, now: u64) -> bool {
        let posts = [
            std::mem::take(&mut self.posts),
            std::mem::take(&mut self.shared.posts),
        ];
        let mut any = false;
        for post in posts.concat() {
            any = true;
            match (post.to, post.notice) {
                (Audience::Room(_), Notice::Wake) => self.call(now, |room, cx| room.on_wake(cx)),
                (Audience::One(_), notice) => self.end.notify(&notice, &mut self.shared),
                _ => {}
            }
        }
        any
    }
}

impl World {
    pub fn new(nodes: usize, seed: u64) -> World {
        let mut world = World {
            now: SECOND,
            nodes: Vec::new(),
            clients: Vec::new(),
            broker: Broker::new(),
            random: Random::new(seed),
            ports: 1_000,
            serial: 0,
            history: 0,
        };
        for _ in 0..nodes {
            world.add_node();
        }
        world
    }

    pub fn add_node(&mut self) {
        let number = self.nodes.len();
        self.nodes
            .push(Node::new(format!("s{number}"), self.history));
        self.clients.push(None);
        self.connect(number);
    }

    pub fn connect(&mut self, node: usize) {
        self.connect_to(node, 0);
    }

    /// Connects a server to a broker on this side of a partition.
    pub fn connect_to(&mut self, node: usize, side: usize) {
        self.begin_to_connect(node, side);
        self.settle();
    }

    /// The same, and nothing moves yet.
    pub fn begin_to_connect(&mut self, node: usize, side: usize) {
        self.serial += 1;
        let it = &mut self.nodes[node];
        let subjects = [("loket.room.x".into(), Topic::Room)].into();
        it.end
            .connect(&it.exchange, subjects, self.serial, &mut it.shared);
        it.is_stalled = false;
        self.clients[node] = Some(Client {
            side,
            ..Client::default()
        });
    }

    /// Breaks a connection. What is under way in either direction is lost.
    pub fn cut(&mut self, node: usize) {
        self.clients[node] = None;
        let it = &mut self.nodes[node];
        it.end.cut(&mut it.shared);
        it.is_stalled = false;
        self.settle();
    }

    /// Ends a server at once. One with another name is in its place, without a link.
    pub fn kill(&mut self, node: usize) {
        self.cut(node);
        self.serial += 1;
        self.nodes[node] = Node::new(format!("s{node}-{}", self.serial), self.history);
    }

    /// Moves bytes and posts until nothing moves.
    pub fn settle(&mut self) {
        loop {
            let mut moved = false;
            for number in 0..self.nodes.len() {
                moved |= self.nodes[number].deliver(self.now);
                if !self.nodes[number].is_stalled {
                    moved |= self.feed(number);
                    moved |= self.send(number);
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// The link gets a piece of what has arrived.
    pub fn feed(&mut self, number: usize) -> bool {
        let it = &mut self.nodes[number];
        it.end.feed(&mut self.random, &mut it.shared)
    }

    /// The broker gets what the link has sent.
    pub fn send(&mut self, number: usize) -> bool {
        let bytes = self.nodes[number].end.take_sent();
        if bytes.is_empty() {
            return false;
        }
        let now = self.now;
        let copies = self.broker.receive(&mut self.clients, number, &bytes, now);
        for (node, copy) in self.nodes.iter_mut().zip(copies) {
            node.end.arriving.extend(copy);
        }
        true
    }

    /// A message to the subject of the room arrives at the first node.
    pub fn arrive(&mut self, headers: &[(&str, &str)], text: &str) {
        self.nodes[0].end.arriving.extend(message(headers, text));
        self.settle();
    }

    pub fn pass(&mut self, micros: u64) {
        let end = self.now + micros;
        loop {
            let due = |node: &Node| node.room.next_due().filter(|due| *due <= end);
            let Some(next) = self.nodes.iter().filter_map(due).min() else {
                break;
            };
            self.now = self.now.max(next);
            for node in &mut self.nodes {
                if node.room.next_due().is_some_and(|due| due <= self.now) {
                    node.call(self.now, |room, cx| room.on_time(cx));
                }
            }
            self.settle();
        }
        self.now = end;
    }

    pub fn new_port(&mut self) -> u16 {
        self.ports += 1;
        self.ports
    }

    /// A new client asks for a name. Returns its port.
    pub fn ask(&mut self, node: usize, name: &str) -> u16 {
        let port = self.new_port();
        self.nodes[node].ask(port, name, self.now);
        self.settle();
        port
    }

    /// A new client asks for a name, and only a part of what follows from that happens.
    pub fn ask_and_move(&mut self, node: usize, name: &str) {
        let port = self.new_port();
        self.nodes[node].ask(port, name, self.now);
        for _ in 0..self.random.below(6) {
            self.nodes[node].deliver(self.now);
            if !self.nodes[node].is_stalled {
                match self.random.chance(50) {
                    true => self.feed(node),
                    false => self.send(node),
                };
            }
        }
    }

    /// The server says that it ends.
    pub fn stop(&mut self, node: usize) {
        self.nodes[node].call(self.now, |room, cx| room.on_stop(cx));
        self.settle();
    }

    pub fn leave(&mut self, node: usize, port: u16) {
        self.nodes[node].members.remove(&port);
        self.nodes[node].say(port, "exit", self.now);
        self.settle();
    }

    #[track_caller]
    pub fn last(&self, node: usize, port: u16) -> &str {
        let got = self.nodes[node].got.get(&port).and_then(|got| got.last());
        got.map_or("", |text| text)
    }

    /// The nodes and ports of the members with this name.
    pub fn holders(&self, name: &str) -> Vec<(usize, u16)> {
        let nodes = self.nodes.iter().enumerate();
        let members = nodes.flat_map(|(node, it)| it.members.iter().map(move |it| (node, it)));
        let same = members.filter(|(_, (_, it))| it.eq_ignore_ascii_case(name));
        same.map(|(node, (port, _))| (node, *port)).collect()
    }
}

/// A message of another server, as the broker sends it.
fn message(headers: &[(&str, &str)], text: &str) -> Vec<u8> {
    let sent = publish("loket.room.x", None, headers, text.as_bytes());
    let rest = &sent[b"HPUB loket.room.x ".len()..];
    [b"HMSG loket.room.x 1 ", rest].concat()
}
