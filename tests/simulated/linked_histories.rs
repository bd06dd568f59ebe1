//! Names of linked rooms in random histories, with a broker in memory: they are unique on all
//! servers, whatever fails.

use crate::broker::rooms::{SECOND, World};
use std::collections::{BTreeMap, BTreeSet};

const NAMES_USED: [&str; 4] = ["ani", "Budi", "citra", "dewi"];

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
