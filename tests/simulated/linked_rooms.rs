//! Rooms of several servers on the clock of the test, with a broker in memory: names are unique on
//! all of them, lines keep their order, and what is lost is shown.

use crate::broker::{Broker, Client, INFO};
use crate::memory::random::Random;
use loket::config::link::{ELSEWHERE, LINK, NAME_TIMEOUT, NAMES};
use loket::config::room::{DATAGRAMS, ROOM};
use loket::services::link::Link;
use loket::services::link::exchange::{Exchange, Topic};
use loket::services::link::names::Names;
use loket::services::room::Room;
use loket::services::room::elsewhere::Elsewhere;
use loket::services::room::limits::RoomLimits;
use loket::services::room::linked::Linked;
use loket::session::close_reason::CloseReason;
use loket::session::datagram::{DatagramContext, DatagramProtocol, SendQueue};
use loket::session::notice::{Audience, Notice, Post};
use loket::session::outbox::Front;
use loket::session::session::Session;
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::wire::follows::Follows;
use loket::wire::nats::publish;
use loket::wire::nats::url::NatsUrl;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;

const SECOND: u64 = 1_000_000;
const NAMES_USED: [&str; 4] = ["ani", "Budi", "citra", "dewi"];

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// One server.
struct Node {
    room: Room,
    exchange: Rc<RefCell<Exchange>>,
    out: SendQueue,
    posts: Vec<Post>,
    link: Option<Session>,
    shared: Shared,
    /// Bytes from the broker that the link has not got.
    arriving: Vec<u8>,
    /// What clients got, by port.
    got: HashMap<u16, Vec<String>>,
    /// The member of each port.
    members: BTreeMap<u16, String>,
    /// The name that each port has asked for.
    asked: BTreeMap<u16, String>,
}

struct World {
    now: u64,
    nodes: Vec<Node>,
    clients: Vec<Option<Client>>,
    broker: Broker,
    random: Random,
    ports: u16,
    serial: u32,
    /// Since when links and quorum did not change.
    calm_since: u64,
}

impl Node {
    fn new(id: String) -> Node {
        let limits = RoomLimits {
            idle: None,
            newcomer_idle: u64::MAX,
            rate: 1_000,
            per_address: 1_000,
            ..ROOM
        };
        let exchange = Rc::new(RefCell::new(Exchange::new(id)));
        let elsewhere = Elsewhere::new(exchange.clone(), "loket.room.x".into(), ELSEWHERE);
        let names = Names::new(exchange.clone(), NAMES);
        let linked = Linked::new(elsewhere, names, NAME_TIMEOUT);
        Node {
            room: Room::new("sesame", limits).with_link(linked),
            exchange,
            out: SendQueue::new(DATAGRAMS.copies),
            posts: Vec::new(),
            link: None,
            shared: Shared::new(usize::MAX),
            arriving: Vec::new(),
            got: HashMap::new(),
            members: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    fn call(&mut self, now: u64, call: impl FnOnce(&mut Room, &mut DatagramContext<'_>)) {
        let (out, posts) = (&mut self.out, &mut self.posts);
        call(&mut self.room, &mut DatagramContext { out, posts, now });
        while let Some((text, to)) = self.out.front() {
            let text = String::from_utf8_lossy(&text.bytes).into_owned();
            let port = to.peer.address().port();
            if text == "USERNAME OK" {
                let name = self.asked.remove(&port).expect("it has asked");
                self.members.insert(port, name);
            } else if text == "USERNAME TAKEN" {
                self.asked.remove(&port);
            } else if text.starts_with('(') && text.contains(" is taken: ") {
                self.members.remove(&port);
            }
            self.got.entry(port).or_default().push(text);
            self.out.advance();
        }
    }

    fn say(&mut self, port: u16, text: &str, now: u64) {
        self.call(now, |room, cx| {
            room.on_datagram(at(port).into(), text.as_bytes(), cx)
        });
    }

    /// Asks for a name with a new client.
    fn ask(&mut self, port: u16, name: &str, now: u64) {
        self.asked.insert(port, name.to_owned());
        self.say(port, "PASSWORD sesame", now);
        self.say(port, &format!("USERNAME {name}"), now);
    }

    /// Delivers the posts of the room and of the link. Returns whether there was one.
    fn deliver(&mut self, now: u64) -> bool {
        let posts = [
            std::mem::take(&mut self.posts),
            std::mem::take(&mut self.shared.posts),
        ];
        let mut any = false;
        for post in posts.concat() {
            any = true;
            match (post.to, post.notice) {
                (Audience::Room(_), Notice::Wake) => self.call(now, |room, cx| room.on_wake(cx)),
                (Audience::One(_), notice) => {
                    if let Some(link) = &mut self.link {
                        link.notify(&notice, &mut self.shared);
                    }
                }
                _ => {}
            }
        }
        any
    }
}

impl World {
    fn new(nodes: usize, seed: u64) -> World {
        let mut world = World {
            now: SECOND,
            nodes: Vec::new(),
            clients: Vec::new(),
            broker: Broker::new(),
            random: Random::new(seed),
            ports: 1_000,
            serial: 0,
            calm_since: 0,
        };
        for _ in 0..nodes {
            world.add_node();
        }
        world
    }

    fn add_node(&mut self) {
        let number = self.nodes.len();
        self.nodes.push(Node::new(format!("s{number}")));
        self.clients.push(None);
        self.connect(number);
    }

    fn connect(&mut self, node: usize) {
        self.serial += 1;
        self.calm_since = self.now;
        let url = NatsUrl::parse_list("nats://h").expect("a URL").remove(0);
        let it = &mut self.nodes[node];
        let link = Link::new(
            LINK,
            it.exchange.clone(),
            url,
            at(4222),
            [("loket.room.x".into(), Topic::Room)].into(),
        );
        let mut session = Session::new(Box::new(link), SessionId::new(1, self.serial));
        session.open(&mut it.shared);
        it.link = Some(session);
        it.arriving = INFO.into();
        self.clients[node] = Some(Client::default());
        self.settle();
    }

    /// Breaks a connection. What is under way in either direction is lost.
    fn cut(&mut self, node: usize) {
        self.calm_since = self.now;
        self.clients[node] = None;
        let it = &mut self.nodes[node];
        it.arriving.clear();
        if let Some(mut link) = it.link.take() {
            link.end(CloseReason::PeerReset, &mut it.shared);
        }
        self.settle();
    }

    /// Moves bytes and posts until nothing moves.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for number in 0..self.nodes.len() {
                moved |= self.nodes[number].deliver(self.now);
                moved |= self.feed(number);
                moved |= self.send(number);
            }
            if !moved {
                return;
            }
        }
    }

    /// The link gets a piece of what has arrived.
    fn feed(&mut self, number: usize) -> bool {
        let it = &mut self.nodes[number];
        let Some(link) = it.link.as_mut().filter(|_| !it.arriving.is_empty()) else {
            return false;
        };
        let piece = self.random.within(1..=it.arriving.len());
        let mut input = link.take_inbox().to_vec();
        input.extend(it.arriving.drain(..piece));
        link.feed(&input, Follows::More, &mut 16, &mut it.shared);
        assert!(
            !link.is_closing(),
            "the link does not understand the broker"
        );
        true
    }

    /// The broker gets what the link has sent.
    fn send(&mut self, number: usize) -> bool {
        let Some(outbox) = self.nodes[number].link.as_mut().and_then(Session::outbox) else {
            return false;
        };
        let mut bytes = Vec::new();
        while let Some(Front::Bytes(front)) = outbox.front() {
            bytes.extend_from_slice(front);
            let count = front.len();
            outbox.advance(count);
        }
        if bytes.is_empty() {
            return false;
        }
        let now = self.now;
        let copies = self.broker.receive(&mut self.clients, number, &bytes, now);
        for (node, copy) in self.nodes.iter_mut().zip(copies) {
            node.arriving.extend(copy);
        }
        true
    }

    fn pass(&mut self, micros: u64) {
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

    fn new_port(&mut self) -> u16 {
        self.ports += 1;
        self.ports
    }

    /// A new client asks for a name. Returns its port.
    fn ask(&mut self, node: usize, name: &str) -> u16 {
        let port = self.new_port();
        self.nodes[node].ask(port, name, self.now);
        self.settle();
        port
    }

    fn leave(&mut self, node: usize, port: u16) {
        self.nodes[node].members.remove(&port);
        self.nodes[node].say(port, "exit", self.now);
        self.settle();
    }

    #[track_caller]
    fn last(&self, node: usize, port: u16) -> &str {
        let got = self.nodes[node].got.get(&port).and_then(|got| got.last());
        got.map_or("", |text| text)
    }

    /// The nodes and ports of the members with this name.
    fn holders(&self, name: &str) -> Vec<(usize, u16)> {
        let nodes = self.nodes.iter().enumerate();
        let members = nodes.flat_map(|(node, it)| it.members.iter().map(move |it| (node, it)));
        let same = members.filter(|(_, (_, it))| it.eq_ignore_ascii_case(name));
        same.map(|(node, (port, _))| (node, *port)).collect()
    }
}

#[test]
fn a_name_is_unique_on_all_servers_and_free_when_its_member_leaves() {
    let mut world = World::new(2, 1);
    let ani = world.ask(0, "Ani");
    let other = world.ask(1, "ani");
    assert_eq!(world.last(1, other), "USERNAME TAKEN");
    world.leave(0, ani);
    let other = world.ask(1, "ani");
    assert_eq!(world.last(1, other), "ani bergabung ke chatroom.");
    // It is renewed.
    world.pass(100 * SECOND);
    let late = world.ask(0, "ani");
    assert_eq!(world.last(0, late), "USERNAME TAKEN");
}

#[test]
fn a_dead_server_frees_its_names_within_30_seconds_and_the_others_announce_it() {
    let mut world = World::new(2, 2);
    world.ask(0, "ani");
    let budi = world.ask(1, "budi");
    world.cut(0);
    world.pass(29 * SECOND);
    assert_eq!(world.last(1, budi), "budi bergabung ke chatroom.");
    world.pass(SECOND);
    assert_eq!(world.last(1, budi), "ani telah keluar dari chatroom.");
    let ani = world.ask(1, "ani");
    assert_eq!(world.last(1, ani), "ani bergabung ke chatroom.");
    // The server was not dead: its member has lost the name, is notified, and is out.
    let lost = world.holders("ani")[0].1;
    world.connect(0);
    let got = &world.nodes[0].got[&lost];
    let wanted = [
        "(ani is taken: another server had it while the link was down)",
        "ani telah keluar dari chatroom.",
    ];
    assert_eq!(got[got.len() - 2..], wanted);
    assert_eq!(world.holders("ani"), [(1, ani)]);
}

#[test]
fn without_a_quorum_members_stay_and_a_join_is_refused_after_3_seconds() {
    let mut world = World::new(2, 3);
    let ani = world.ask(0, "ani");
    world.broker.has_quorum = false;
    world.pass(60 * SECOND);
    world.nodes[0].say(ani, "hello", world.now);
    assert_eq!(world.last(0, ani), "ani: hello");
    let budi = world.ask(0, "budi");
    // Nothing that it sends meanwhile is relayed.
    world.nodes[0].say(budi, "early", world.now);
    world.pass(3 * SECOND - 1);
    assert_eq!(world.last(0, budi), "PASSWORD OK");
    world.pass(1);
    assert_eq!(world.last(0, budi), "USERNAME TAKEN");
    assert_eq!(world.last(0, ani), "ani: hello");
    // Its name had expired, and is its own again.
    world.broker.has_quorum = true;
    world.pass(2 * SECOND);
    let other = world.ask(1, "ani");
    assert_eq!(world.last(1, other), "USERNAME TAKEN");
    assert_eq!(world.holders("ani"), [(0, ani)]);
}

#[test]
fn names_are_on_three_brokers_of_a_cluster_that_has_them_within_30_seconds() {
    for (late, wanted) in [(0, 3), (25, 3), (35, 1)] {
        let mut world = World::new(0, 7);
        world.broker.cluster = if late == 0 { 3 } else { 2 };
        // It elects a leader.
        world.broker.has_quorum = false;
        world.add_node();
        world.pass(10 * SECOND);
        world.broker.has_quorum = true;
        world.pass(late * SECOND);
        world.broker.cluster = 3;
        world.pass(5 * SECOND);
        assert_eq!(world.broker.replicas, Some(wanted), "{late} s");
        let ani = world.ask(0, "ani");
        assert_eq!(world.last(0, ani), "ani bergabung ke chatroom.");
    }
}

#[test]
fn a_claim_whose_answer_is_lost_is_granted_with_the_next_attempt() {
    let mut world = World::new(1, 4);
    let port = world.new_port();
    world.nodes[0].ask(port, "ani", world.now);
    // The broker stores the claim, but its answer is lost with the connection.
    world.nodes[0].deliver(world.now);
    world.send(0);
    world.cut(0);
    world.pass(SECOND);
    world.connect(0);
    assert_eq!(world.last(0, port), "ani bergabung ke chatroom.");
}

/// A message of another server, as the broker sends it.
fn message(headers: &[(&str, &str)], text: &str) -> Vec<u8> {
    let sent = publish("loket.room.x", None, headers, text.as_bytes());
    let rest = &sent[b"HPUB loket.room.x ".len()..];
    [b"HMSG loket.room.x 1 ", rest].concat()
}

#[test]
fn a_line_is_shown_once_and_missed_lines_are_counted() {
    let mut world = World::new(1, 5);
    let ani = world.ask(0, "ani");
    let mut show = |seq: &str, text: &str| {
        let headers = [
            ("Loket-Server", "z"),
            ("Loket-Name", "zoe"),
            ("Loket-Seq", seq),
        ];
        world.nodes[0].arriving.extend(message(&headers, text));
        world.settle();
        world.pass(2 * SECOND);
    };
    for (seq, text) in [
        ("5", "five"),
        ("5", "five"),
        ("4", "four"),
        ("6", "six"),
        ("9", "nine"),
    ] {
        show(seq, text);
    }
    // A program without a server has no numbers, and may not use the name of a member.
    for name in ["bot", "ANI"] {
        let bytes = message(&[("Loket-Name", name)], "hi\x1b[2J\nall");
        world.nodes[0].arriving.extend(bytes);
    }
    world.settle();
    let wanted = [
        "zoe: five",
        "zoe: six",
        "zoe: nine",
        "(2 messages from other servers were lost)",
        "bot: hi[2J all",
    ];
    assert_eq!(world.nodes[0].got[&ani][3..], wanted);
}

#[test]
fn a_server_that_starts_later_knows_the_members_of_the_others() {
    let mut world = World::new(2, 6);
    world.cut(1);
    for number in 0..200 {
        world.ask(0, &format!("a-long-name-of-a-member-{number}"));
    }
    world.connect(1);
    world.pass(2 * SECOND);
    let view = world.nodes[1].room.view();
    assert_eq!(view.borrow().names.len(), 200);
    world.cut(0);
    world.pass(31 * SECOND);
    assert_eq!(view.borrow().names.len(), 0);
}

/// Joins, leaves, lines, broken connections and lost quorums, chosen by seed.
fn history(seed: u64) {
    let mut world = World::new(3, seed);
    let mut line = 0;
    for _ in 0..60 {
        let node = world.random.below(3);
        match world.random.below(10) {
            0..=2 => {
                let name = world.random.pick(&NAMES_USED);
                world.ask(node, name);
            }
            3 => {
                let ports: Vec<u16> = world.nodes[node].members.keys().copied().collect();
                if let Some(port) = ports.first() {
                    world.leave(node, *port);
                }
            }
            4 | 5 => {
                let ports: Vec<u16> = world.nodes[node].members.keys().copied().collect();
                for port in ports {
                    line += 1;
                    world.nodes[node].say(port, &format!("line {line}"), world.now);
                }
                world.settle();
            }
            6 => match world.nodes[node].link {
                Some(_) => world.cut(node),
                None => world.connect(node),
            },
            7 if world.random.chance(50) => {
                world.broker.has_quorum = !world.broker.has_quorum;
                world.calm_since = world.now;
            }
            _ => {
                let micros = world.random.below(40) as u64 * SECOND / 2;
                world.pass(micros);
            }
        }
        let is_calm = world.broker.has_quorum && world.now >= world.calm_since + 2 * SECOND;
        for name in NAMES_USED {
            let mut holders = world.holders(name);
            holders.retain(|(node, _)| world.nodes[*node].link.is_some());
            assert!(!is_calm || holders.len() <= 1, "{name}: {holders:?}");
        }
    }
    world.broker.has_quorum = true;
    for node in 0..3 {
        if world.nodes[node].link.is_none() {
            world.connect(node);
        }
    }
    world.pass(32 * SECOND);
    for name in NAMES_USED {
        let before = world.holders(name);
        assert!(before.len() <= 1, "{name} after healing: {before:?}");
        let port = world.ask(world.random.below(3), name);
        let holders = world.holders(name);
        assert_eq!(holders.len(), 1, "{name} for {port}: {before:?}");
    }
    for node in &world.nodes {
        for got in node.got.values() {
            check_order(got);
        }
    }
}

/// The lines of each member arrive once and in order.
fn check_order(got: &[String]) {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut all = BTreeSet::new();
    for text in got {
        if let Some((name, number)) = text.split_once(": line ") {
            let number = number.parse().expect("a number");
            assert!(all.insert(number), "line {number} came twice: {got:?}");
            let before = last.insert(name, number);
            assert!(before.is_none_or(|before| before < number), "{got:?}");
        }
    }
}

#[test]
fn names_are_unique_in_random_histories_of_cuts_and_lost_quorums() {
    for seed in 0..300 {
        let result = std::panic::catch_unwind(|| history(seed));
        assert!(result.is_ok(), "seed {seed}");
    }
}
