//! The messages that a new member is shown, on the clock of the test, with a broker in memory.

use crate::broker::rooms::{SECOND, World};

/// Servers that show new members five messages.
fn world(nodes: usize, seed: u64) -> World {
    let mut world = World::new(0, seed);
    world.history = 5;
    (0..nodes).for_each(|_| world.add_node());
    world
}

/// What a member is shown that asks with this number of bytes.
fn shown_for(world: &mut World, node: usize, port: u16, length: usize) -> Vec<String> {
    let at = &mut world.nodes[node];
    let request = format!("USERNAME {}", at.members[&port]);
    let before = at.got[&port].len();
    at.say(port, &format!("{request:length$}"), world.now);
    let mut got = at.got[&port][before..].to_vec();
    assert_eq!(got.pop().as_deref(), Some("USERNAME OK"));
    got
}

/// What a new member is shown.
fn shown(world: &mut World, node: usize, name: &str) -> Vec<String> {
    let port = world.ask(node, name);
    shown_for(world, node, port, 1_024)
}

fn say(world: &mut World, node: usize, port: u16, text: &str) {
    world.nodes[node].say(port, text, world.now);
    world.settle();
}

#[test]
fn a_new_member_is_shown_the_last_messages_of_all_servers_in_their_order() {
    let mut world = world(2, 1);
    let (ani, budi) = (world.ask(0, "ani"), world.ask(1, "budi"));
    for number in 0..4 {
        say(&mut world, 0, ani, &format!("a{number}"));
        say(&mut world, 1, budi, &format!("b{number}"));
    }
    let wanted = ["budi: b1", "ani: a2", "budi: b2", "ani: a3", "budi: b3"];
    for (node, name) in [(0, "citra"), (1, "dewi")] {
        assert_eq!(shown(&mut world, node, name), wanted, "{name}");
    }
    // Those of before it joined.
    assert_eq!(shown_for(&mut world, 0, ani, 1_024), [""; 0]);
}

#[test]
fn a_server_that_starts_has_the_messages_of_those_before_it() {
    let mut world = world(1, 2);
    let ani = world.ask(0, "ani");
    for number in 0..7 {
        say(&mut world, 0, ani, &format!("a{number}"));
    }
    let wanted = ["ani: a2", "ani: a3", "ani: a4", "ani: a5", "ani: a6"];
    world.add_node();
    assert_eq!(shown(&mut world, 1, "budi"), wanted);
    world.kill(0);
    world.connect(0);
    assert_eq!(shown(&mut world, 0, "citra"), wanted);
}

#[test]
fn messages_of_before_and_of_during_an_outage_are_shown_on_all_servers_once() {
    let mut world = world(2, 3);
    let (ani, budi) = (world.ask(0, "ani"), world.ask(1, "budi"));
    say(&mut world, 0, ani, "first");
    world.cut(0);
    say(&mut world, 0, ani, "alone");
    say(&mut world, 1, budi, "too");
    world.connect(0);
    say(&mut world, 0, ani, "again");
    let mut got = shown(&mut world, 0, "citra");
    assert_eq!((&*got[0], &*got[3]), ("ani: first", "ani: again"));
    got.sort();
    let wanted = ["ani: again", "ani: alone", "ani: first", "budi: too"];
    assert_eq!(got, wanted);
    // One that starts now finds them in the stream, and the other one sees that it lacks some.
    world.add_node();
    world.pass(3 * SECOND);
    for (node, name) in [(1, "dewi"), (2, "eka")] {
        let mut got = shown(&mut world, node, name);
        got.sort();
        assert_eq!(got, wanted, "{node}");
    }
}

#[test]
fn a_broker_that_does_not_answer_delays_no_member_and_is_asked_again() {
    let mut world = world(2, 4);
    let ani = world.ask(0, "ani");
    say(&mut world, 0, ani, "stored");
    world.cut(1);
    world.kill(1);
    world.broker.has_quorum = false;
    world.connect(1);
    say(&mut world, 0, ani, "not stored");
    // A member that is in asks at once.
    assert_eq!(shown_for(&mut world, 0, ani, 1_024), [""; 0]);
    world.pass(5 * SECOND);
    world.broker.has_quorum = true;
    world.pass(2 * SECOND);
    let wanted = ["ani: stored", "ani: not stored"];
    assert_eq!(shown(&mut world, 1, "budi"), wanted);
}

#[test]
fn a_request_about_the_messages_that_is_not_answered_is_repeated() {
    for ignored in [
        "$JS.API.STREAM.CREATE.",
        "$JS.API.STREAM.INFO.",
        "$JS.API.STREAM.MSG.GET.",
    ] {
        let mut world = world(1, 9);
        let ani = world.ask(0, "ani");
        say(&mut world, 0, ani, "stored");
        world.broker.ignored = Some(ignored);
        world.add_node();
        world.pass(5 * SECOND);
        world.broker.ignored = None;
        world.pass(3 * SECOND);
        assert_eq!(shown(&mut world, 1, "budi"), ["ani: stored"], "{ignored}");
    }
}

#[test]
fn the_answer_is_not_longer_than_the_request() {
    const HEADERS: usize = 48;
    let mut world = world(1, 5);
    let ani = world.ask(0, "ani");
    for length in [1, 30, 200, 900] {
        say(&mut world, 0, ani, &"x".repeat(length));
    }
    let budi = world.ask(0, "budi");
    let mut most = 0;
    for length in 0..1_024 {
        let got = shown_for(&mut world, 0, budi, length);
        let answer: usize = got.iter().map(|line| line.len() + HEADERS).sum();
        assert!(answer <= length, "{length}: {got:?}");
        most = most.max(got.len());
    }
    assert_eq!(most, 1, "the last line is the longest");
    // A textbook client sends its name without blanks.
    assert_eq!(shown_for(&mut world, 0, budi, 0), [""; 0]);
}

#[test]
fn lines_in_the_stream_that_are_no_messages_of_a_member_are_not_shown() {
    let mut world = world(1, 6);
    let ani = world.ask(0, "ani");
    say(&mut world, 0, ani, "hi");
    let lines = world.broker.lines.as_mut().expect("a stream");
    let forged = |headers: &str, payload: &[u8]| {
        let mut stored = lines[0].clone();
        stored.headers = format!("NATS/1.0\r\n{headers}\r\n");
        stored.payload = payload.to_vec();
        stored
    };
    let mut forged = [
        forged("", b"no name"),
        forged("Loket-Name: a b\r\n", b"a blank"),
        forged("Loket-Name: budi\r\n", b"two\nlines\xff"),
        forged("Loket-Name: budi\r\n", &[b'x'; 2_000]),
    ];
    (2..)
        .zip(&mut forged)
        .for_each(|(seq, stored)| stored.seq = seq);
    lines.extend(forged);
    world.add_node();
    let got = shown(&mut world, 1, "citra");
    assert_eq!(got, [""; 0], "the last one fills the request");
    let view = world.nodes[1].room.view();
    let view = view.borrow();
    let kept = view.history.before(u64::MAX);
    let kept: Vec<_> = kept
        .map(|line| String::from_utf8_lossy(&line.bytes))
        .collect();
    assert_eq!(kept[..2], ["ani: hi", "budi: two lines\u{fffd}"]);
    assert_eq!((kept.len(), kept[2].len()), (3, 1_024));
}

/// What a new member is shown after its server was connected while a member of another one spoke.
fn shown_after_connecting(seed: u64) -> Vec<String> {
    let mut world = world(2, seed);
    world.ask(0, "ani");
    let budi = world.ask(1, "budi");
    world.cut(0);
    world.begin_to_connect(0, 0);
    let mut said = 1..5;
    for _ in 0..400 {
        match world.random.below(60) {
            0..12 => drop(world.nodes[0].deliver(world.now)),
            12..30 => drop(world.feed(0)),
            30..40 => drop(world.send(0)),
            40 => {
                let text = said.next().map(|number| format!("b{number}"));
                text.iter()
                    .for_each(|text| world.nodes[1].say(budi, text, world.now));
            }
            _ => {
                world.nodes[1].deliver(world.now);
                world.send(1);
            }
        }
    }
    world.settle();
    shown(&mut world, 0, "citra")
}

#[test]
fn a_message_that_arrives_while_the_last_ones_are_read_is_shown_once() {
    for seed in 0..100 {
        let got = shown_after_connecting(seed);
        let mut once = got.clone();
        once.dedup();
        assert_eq!(got, once, "{seed}");
    }
}

#[test]
fn messages_of_an_outage_are_kept_if_the_link_breaks_behind_the_answer_about_the_stream() {
    let mut world = world(1, 7);
    let ani = world.ask(0, "ani");
    world.cut(0);
    say(&mut world, 0, ani, "alone");
    world.broker.lines = None;
    world.begin_to_connect(0, 0);
    while world.broker.lines.is_none() {
        world.nodes[0].deliver(world.now);
        world.feed(0);
        world.send(0);
    }
    // The room sees the answer once the link is down.
    while world.feed(0) {}
    world.cut(0);
    world.connect(0);
    world.add_node();
    assert_eq!(shown(&mut world, 1, "budi"), ["ani: alone"]);
}

#[test]
fn messages_of_before_the_stream_is_there_are_stored_once_it_is() {
    let mut world = world(1, 7);
    let ani = world.ask(0, "ani");
    world.cut(0);
    (world.broker.lines, world.broker.has_quorum) = (None, false);
    world.connect(0);
    say(&mut world, 0, ani, "waits");
    world.broker.has_quorum = true;
    world.pass(2 * SECOND);
    world.add_node();
    assert_eq!(shown(&mut world, 1, "budi"), ["ani: waits"]);
}

#[test]
fn messages_of_before_that_a_new_stream_lacks_are_older_than_those_in_it() {
    let mut world = world(2, 8);
    let (ani, budi) = (world.ask(0, "ani"), world.ask(1, "budi"));
    say(&mut world, 0, ani, "first");
    (0..2).for_each(|node| world.cut(node));
    world.broker.lines = None;
    world.connect(1);
    say(&mut world, 1, budi, "x");
    world.connect(0);
    assert_eq!(shown(&mut world, 0, "citra"), ["ani: first", "budi: x"]);
}
