//! Names of linked rooms in random histories of three hosts with a broker and a server each, in
//! memory: joins, leaves, kills of servers and brokers, partitions, late bytes and lost answers.
//! While there is a quorum, no name has two holders on its side; after all, each has one.
//!
//! `LOKET_HISTORIES` sets their number, `LOKET_SEED` the first seed.

use crate::broker::rooms::{SECOND, World};
use loket::wire::text::name_key;
use std::collections::{BTreeMap, BTreeSet};

const NAMES_USED: [&str; 4] = ["ani", "Budi", "citra", "dewi"];

/// How long a server that is linked again may have a name that it has lost: the time after which a
/// request is repeated, and one second more.
const SETTLED: u64 = 2 * SECOND;

struct History {
    world: World,
    /// Whether the broker of each host runs.
    brokers: [bool; 3],
    /// The side of a partition that each host is on.
    sides: [usize; 3],
    /// The broker that each server is connected to.
    at: [usize; 3],
    /// Whether each server runs.
    runs: [bool; 3],
    /// Since when each server reaches the quorum.
    ready: [Option<u64>; 3],
    /// Since when its connection moves no bytes.
    stalled: [Option<u64>; 3],
    line: u64,
}

impl History {
    fn new(seed: u64) -> History {
        // Its servers keep messages for new members, too.
        let mut world = World::new(0, seed);
        world.history = 5;
        (0..3).for_each(|_| world.add_node());
        let mut history = History {
            world,
            brokers: [true; 3],
            sides: [0; 3],
            at: [0, 1, 2],
            runs: [true; 3],
            ready: [None; 3],
            stalled: [None; 3],
            line: 0,
        };
        history.note();
        history
    }

    /// Links, brokers or sides have changed.
    fn change(&mut self) {
        let hosts = |side| {
            let alive = self.sides.iter().zip(self.brokers);
            alive.filter(|it| *it == (&side, true)).count()
        };
        let quorum = (0..3).find(|&side| hosts(side) >= 2);
        let before = (self.world.broker.has_quorum, self.world.broker.side);
        self.world.broker.has_quorum = quorum.is_some();
        self.world.broker.side = quorum.unwrap_or(0);
        if before != (quorum.is_some(), quorum.unwrap_or(0)) {
            self.ready = [None; 3];
        }
        for node in 0..3 {
            let broker = self.at[node];
            if let Some(client) = &mut self.world.clients[node] {
                client.side = self.sides[broker];
            }
            let is_apart = self.sides[broker] != self.sides[node];
            let was_stalled = self.stalled[node].is_some();
            let has_link = self.world.nodes[node].end.link.is_some() && self.brokers[broker];
            if !has_link || is_apart && !was_stalled && self.world.random.chance(50) {
                self.cut(node);
            } else if is_apart != was_stalled {
                self.stalled[node] = is_apart.then_some(self.world.now);
                self.world.nodes[node].is_stalled = is_apart;
            }
        }
        // What was under way arrives late.
        self.world.settle();
        self.note();
    }

    fn cut(&mut self, node: usize) {
        self.stalled[node] = None;
        self.world.cut(node);
    }

    /// Notes which servers reach the quorum.
    fn note(&mut self) {
        for node in 0..3 {
            let broker = &self.world.broker;
            let client = self.world.clients[node].as_ref();
            let reaches = client.is_some_and(|client| client.side == broker.side);
            let reaches = reaches && broker.has_quorum && self.stalled[node].is_none();
            self.ready[node] = reaches.then(|| self.ready[node].unwrap_or(self.world.now));
        }
    }

    /// Dials a broker that the server reaches.
    fn connect(&mut self, node: usize) {
        let reached = |&broker: &usize| {
            self.brokers[broker] && self.sides[broker] == self.sides[node] && self.runs[node]
        };
        let reached: Vec<usize> = (0..3).filter(reached).collect();
        if reached.is_empty() || self.world.nodes[node].end.link.is_some() {
            return;
        }
        self.at[node] = self.world.random.pick(&reached);
        self.world.connect_to(node, self.sides[node]);
        self.note();
    }

    /// A time in which links that move nothing are given up, and are dialled again.
    fn pass(&mut self, micros: u64) {
        let end = self.world.now + micros;
        while self.world.now < end {
            self.world.pass(SECOND.min(end - self.world.now));
            for node in 0..3 {
                if self.stalled[node].is_some_and(|since| since + 15 * SECOND <= self.world.now) {
                    self.cut(node);
                    self.note();
                }
                if self.world.random.chance(50) {
                    self.connect(node);
                }
            }
            self.check();
        }
    }

    /// A server that has reached the quorum for long enough.
    fn settled(&self) -> Option<usize> {
        let is_settled =
            |&node: &usize| self.ready[node].is_some_and(|since| since + SETTLED <= self.world.now);
        (0..3).find(is_settled)
    }

    #[track_caller]
    fn check(&self) {
        for name in NAMES_USED {
            let mut holders = self.world.holders(name);
            holders.retain(|(node, _)| {
                self.ready[*node].is_some_and(|since| since + SETTLED <= self.world.now)
            });
            assert!(holders.len() <= 1, "{name}: {holders:?}");
        }
    }

    /// A server ends at once, or says so. Its names are free after 30 s, or at once.
    fn end(&mut self, node: usize) {
        let was_settled = self.ready[node].is_some_and(|at| at + SETTLED <= self.world.now);
        let says_so = was_settled && self.world.random.chance(30);
        let names: Vec<String> = self.world.nodes[node].members.values().cloned().collect();
        check_node(&self.world, node);
        if says_so {
            self.world.stop(node);
        }
        self.world.kill(node);
        self.runs[node] = false;
        self.note();
        if !says_so && self.world.random.chance(50) {
            return;
        }
        if !says_so {
            self.pass(30 * SECOND);
        }
        for name in names {
            if let Some(other) = self.settled() {
                let others = self.world.holders(&name);
                self.world.ask(other, &name);
                let holders = self.world.holders(&name);
                assert!(
                    !holders.is_empty(),
                    "{name} of a dead server is free: {others:?}"
                );
            }
        }
    }

    fn name(&self) -> String {
        let name = self.world.random.pick(&NAMES_USED);
        match self.world.random.chance(50) {
            true => name.to_owned(),
            false => name.to_uppercase(),
        }
    }

    fn step(&mut self) {
        let node = self.world.random.below(3);
        match self.world.random.below(16) {
            0..=3 if self.runs[node] => {
                let name = self.name();
                self.world.ask(node, &name);
            }
            4 => {
                let ports: Vec<u16> = self.world.nodes[node].members.keys().copied().collect();
                if !ports.is_empty() {
                    let port = self.world.random.pick(&ports);
                    self.world.leave(node, port);
                }
            }
            5 | 6 => {
                let ports: Vec<u16> = self.world.nodes[node].members.keys().copied().collect();
                for port in ports {
                    self.line += 1;
                    let line = format!("line {}", self.line);
                    self.world.nodes[node].say(port, &line, self.world.now);
                }
                self.world.settle();
            }
            // A link breaks while something is under way.
            7 if self.runs[node] => {
                let name = self.name();
                self.world.ask_and_move(node, &name);
                self.cut(node);
                self.note();
            }
            8 if self.runs.iter().filter(|runs| **runs).count() > 1 && self.runs[node] => {
                self.end(node);
            }
            8 | 9 => {
                self.runs[node] = true;
                self.connect(node);
            }
            10 => {
                self.brokers[node] = !self.brokers[node];
                self.change();
            }
            11 => {
                let parts = [[0; 3], [0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 1, 2]];
                self.sides = self.world.random.pick(&parts);
                self.world.broker.part(self.world.random.chance(50));
                self.change();
            }
            // Another leader is elected.
            12 => {
                let had = std::mem::take(&mut self.world.broker.has_quorum);
                self.ready = [None; 3];
                let micros = self.world.random.below(5) as u64 * SECOND;
                self.world.pass(micros);
                self.world.broker.has_quorum = had;
                self.note();
            }
            _ => {
                let micros = self.world.random.below(40) as u64 * SECOND / 2;
                self.pass(micros);
            }
        }
        self.check();
    }

    /// All is healed: each name has one holder, and all servers know the same members.
    fn heal(&mut self) {
        (self.brokers, self.sides, self.runs) = ([true; 3], [0; 3], [true; 3]);
        self.world.broker.part(false);
        self.change();
        self.pass(32 * SECOND);
        for node in 0..3 {
            self.connect(node);
        }
        self.pass(32 * SECOND);
        for name in NAMES_USED {
            let before = self.world.holders(name);
            assert!(before.len() <= 1, "{name} after healing: {before:?}");
            let node = self.world.random.below(3);
            self.world.ask(node, name);
            let holders = self.world.holders(name);
            assert_eq!(holders.len(), 1, "{name}: {before:?}");
        }
        self.pass(2 * SECOND);
        let nodes = self.world.nodes.iter();
        let members = nodes.flat_map(|node| node.members.values());
        let mut members: Vec<String> = members.map(|name| name_key(name)).collect();
        members.sort_unstable();
        for node in 0..3 {
            let view = self.world.nodes[node].room.view();
            let view = view.borrow();
            let mut names: Vec<String> = view.names.iter().map(|name| name_key(name)).collect();
            names.sort_unstable();
            assert_eq!(names, members, "what server {node} shows");
            check_node(&self.world, node);
        }
    }
}

/// The lines of each member arrive once and in order, at each client of a server.
#[track_caller]
fn check_node(world: &World, node: usize) {
    world.nodes[node]
        .got
        .values()
        .for_each(|got| check_order(got));
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
fn names_are_unique_in_random_histories_of_kills_and_partitions() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse().expect("a number"))
    };
    let (first, count) = (number("LOKET_SEED").unwrap_or(0), number("LOKET_HISTORIES"));
    for seed in first..first + count.unwrap_or(100) {
        let result = std::panic::catch_unwind(|| {
            let mut history = History::new(seed);
            for _ in 0..60 {
                history.step();
            }
            history.heal();
        });
        assert!(result.is_ok(), "LOKET_SEED={seed}");
    }
}
