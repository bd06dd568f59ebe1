//! Talk on several servers on the clock of the test, with a broker in memory: operators see and
//! reach the clients of all servers, and what is lost, forged or too much costs nothing else.

use crate::broker::talks::{SECOND, World};
use loket::config::link::{LINK, TALK};
use loket::services::roster::Roster;
use loket::services::roster::elsewhere::{CLIENTS, LINES};
use loket::session::session_id::SessionId;

#[test]
fn operators_see_and_reach_the_clients_of_all_servers() {
    let mut world = World::new(&["web1-0a", "web2-0b", "web3-0c"]);
    let (ani, budi) = (world.join(0), world.join(1));
    world.say(0, ani, "halo\n");
    let wanted = [
        "Client web1.1 connected from 10.0.0.1:7",
        "Client web2.1 connected from 10.0.0.1:7",
        "Client web1.1: halo",
    ];
    for node in 0..3 {
        assert_eq!(world.shown(node), wanted, "{node}");
    }
    assert_eq!(world.operate(2, "to all"), [""; 0]);
    assert_eq!(world.operate(2, "/to web1.1 a"), [""; 0]);
    assert_eq!(world.operate(0, "/to web1.1 b"), [""; 0]);
    assert_eq!(world.operate(0, "/to 1 c"), [""; 0]);
    assert_eq!(world.got(0, ani), "to all\na\nb\nc\n");
    assert_eq!(world.got(1, budi), "to all\n");
    assert_eq!(world.operate(0, "/kick web2.1"), [""; 0]);
    assert!(world.nodes[1].sessions.is_empty());
    let wanted = [
        "web3> to all",
        "web3> /to web1.1 a",
        "web1> /to web1.1 b",
        "web1> /to web1.1 c",
        "web1> /kick web2.1",
        "Client web2.1 disconnected",
    ];
    assert_eq!(world.shown(1), wanted);
    let list = world.operate(2, "/list");
    assert_eq!(
        list,
        ["web1.1  10.0.0.1:7  connected for 0 s  last message: \"halo\""]
    );
    for unknown in ["web2.1", "web1.2", "web4.1", "web1", ".1", "1", "web1.1.1"] {
        let answer = world.operate(2, &format!("/to {unknown} x"));
        let wanted = format!("there is no client {unknown}; /list shows the clients");
        assert_eq!(answer, [wanted]);
    }
}

#[test]
fn a_server_that_starts_later_knows_the_clients_and_shows_no_old_joins() {
    let mut world = World::new(&["web1-0a"]);
    for _ in 0..300 {
        world.join(0);
    }
    world.pass(100 * SECOND);
    world.start("web2-0b", TALK);
    world.pass(2 * SECOND);
    assert_eq!(world.shown(1), [""; 0]);
    let list = world.operate(1, "/list");
    assert_eq!(list.len(), 300);
    assert!(list[299].starts_with("web1.300  10.0.0.1:7  connected for 102 s"));
}

#[test]
fn the_clients_of_a_dead_server_leave_after_30_seconds_and_at_once_if_it_ends_or_starts_again() {
    let mut world = World::new(&["web1-0a", "web2-0b", "web3-0c"]);
    for node in 0..3 {
        world.join(node);
    }
    world.shown(1);
    let ends = &mut world.nodes[2];
    ends.roster.borrow_mut().stop(&mut ends.shared.posts);
    world.settle();
    assert_eq!(world.shown(1), ["Client web3.1 disconnected"]);
    // The first server is dead. It starts again, with another random name.
    world.cut(0);
    world.pass(29 * SECOND);
    assert_eq!(world.shown(1), [""; 0]);
    world.start("web1-0d", TALK);
    assert_eq!(world.shown(1), ["Client web1.1 disconnected"]);
    world.join(3);
    let wanted = ["Client web1.1 connected from 10.0.0.1:7"];
    assert_eq!(world.shown(1), wanted);
    world.cut(3);
    world.pass(31 * SECOND);
    assert_eq!(world.shown(1), ["Client web1.1 disconnected"]);
}

#[test]
fn two_servers_with_one_node_are_shown_with_different_names() {
    let mut world = World::new(&["web1-0a0a0a", "web1-0b0b0b", "web2-0c0c0c"]);
    let (ani, budi) = (world.join(0), world.join(1));
    world.pass(20 * SECOND);
    let list = |world: &mut World, node| {
        let list = world.operate(node, "/list");
        let ids = list
            .iter()
            .map(|line| line.split(' ').next().expect("an id").to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(list(&mut world, 0), ["web1.1", "web1-0b0b.1"]);
    assert_eq!(list(&mut world, 1), ["web1.1", "web1-0a0a.1"]);
    let third = list(&mut world, 2);
    assert!(third.contains(&"web1.1".to_owned()), "{third:?}");
    assert_eq!(third.len(), 2);
    world.operate(0, "/to web1-0b0b.1 other");
    world.operate(0, "/to web1.1 own");
    assert_eq!(
        (world.got(0, ani), world.got(1, budi)),
        ("own\n", "other\n")
    );
}

#[test]
fn a_lost_link_is_said_and_afterwards_the_lists_are_right_again() {
    let mut world = World::new(&["web1-0a", "web2-0b"]);
    let (ani, budi) = (world.join(0), world.join(1));
    world.shown(1);
    world.cut(0);
    world.say(0, ani, "one\ntwo\n");
    let answer = world.operate(0, "to all");
    let wanted = "(the link is down: only the clients of this server get this line)";
    assert_eq!(answer, [wanted]);
    let answer = world.operate(0, "/to web2.1 x");
    assert_eq!(
        answer,
        ["the link to the other servers is down: nothing was sent"]
    );
    assert_eq!(world.got(0, ani), "to all\n");
    world.nodes[0].leave(ani);
    world.join(0);
    world.connect(0);
    world.pass(3 * SECOND);
    // Two lines, the operator's two, a leave and a join.
    let mut shown = world.shown(1);
    assert_eq!(shown.remove(0), "(6 messages from other servers were lost)");
    shown.sort();
    assert_eq!(shown, ["Client web1.1 disconnected"]);
    let list = world.operate(1, "/list");
    assert!(list[1].starts_with("web1.2 "), "{list:?}");
    assert_eq!(world.got(1, budi), "");
    // After a longer time its clients have left, and come back.
    world.cut(1);
    world.pass(40 * SECOND);
    world.connect(1);
    world.pass(2 * SECOND);
    let wanted = [
        "Client web1.2 disconnected",
        "Client web1.2 connected from 10.0.0.1:7",
    ];
    assert_eq!(world.shown(1), wanted);
}

#[test]
fn long_lines_arrive_whole_and_lines_of_one_client_once_and_in_order() {
    let mut world = World::new(&["web1-0a", "web2-0b"]);
    let ani = world.join(0);
    world.shown(1);
    let long = "\u{e9}x".repeat(1_300);
    world.say(0, ani, &format!("{long}\n"));
    let broken = vec![0xff; 4_000];
    world.say_bytes(0, ani, &[&broken[..], b"\n"].concat());
    let wanted = [
        format!("Client web1.1: {long}"),
        format!("Client web1.1: {}", "\u{fffd}".repeat(4_000)),
    ];
    assert_eq!(world.shown(1), wanted);
    // Its rate holds where it is.
    world.pass(SECOND);
    let lines: String = (0..1_000).map(|number| format!("{number}\n")).collect();
    for part in lines.as_bytes().chunks(1_000) {
        world.say(0, ani, str::from_utf8(part).expect("ASCII"));
        world.pass(SECOND);
    }
    let wanted: Vec<_> = (0..1_000)
        .map(|number| format!("Client web1.1: {number}"))
        .collect();
    assert_eq!(world.shown(1), wanted);
}

#[test]
fn forged_and_broken_messages_show_nothing_that_is_not_theirs() {
    let mut world = World::new(&["web1-0a"]);
    let ani = world.join(0);
    world.shown(0);
    let (long, digits) = ("x".repeat(88), "9".repeat(500));
    let said = |server, client| {
        [
            ("Loket-Server", server),
            ("Loket-Deed", "said"),
            ("Loket-Client", client),
        ]
    };
    // This server, names that are none, numbers that are none.
    for server in ["web1-0a", "", "a b", "\u{202e}x-1", "a.b-1", &long] {
        world.forge(LINES, &said(server, "1"), b"forged");
    }
    for number in ["", "-1", "+", "4294967296", &digits, "1 2"] {
        world.forge(LINES, &said("z-1", number), b"forged");
    }
    for payload in ["", "[]", "[1]", "[1,\"x\",2]", "[-1,\"1.1.1.1:1\",2]", "{"] {
        let headers = [("Loket-Server", "z-1"), ("Loket-Deed", "entered")];
        world.forge(CLIENTS, &headers, payload.as_bytes());
    }
    for part in ["0/0", "2/1", "3/2", "a/b", "4294967295/4294967295"] {
        let headers = [&said("z-1", "1")[..], &[("Loket-Part", part)]].concat();
        world.forge(LINES, &headers, b"forged");
    }
    world.forge(LINES, &[("Loket-Deed", "all")], b"forged");
    assert_eq!(world.shown(0), [""; 0]);
    assert_eq!(world.got(0, ani), "");
    // What claims to be this node gets another name, and controls no terminal.
    for server in ["web1", "web1-", "web1-0a0b0c"] {
        world.forge(LINES, &said(server, "1"), b"\x1b[2J\xff\nx");
    }
    let wanted =
        ["web1-", "web1--", "web1-0a0b"].map(|name| format!("Client {name}.1: [2J\u{fffd}x"));
    assert_eq!(world.shown(0), wanted);
    // An order for another server, or for a client that is not here.
    for (to, client) in [("z-1", "1"), ("web1-0a", "7"), ("web1-0a", "")] {
        let headers = [
            ("Loket-Server", "z-2"),
            ("Loket-Deed", "kick"),
            ("Loket-To", to),
            ("Loket-Client", client),
        ];
        world.forge(LINES, &headers, b"");
    }
    assert_eq!(world.nodes[0].sessions.len(), 1);
}

#[test]
fn announced_clients_take_bounded_memory_and_the_rest_works() {
    let mut limits = TALK;
    (limits.others.entries, limits.others.all_entries) = (200, 1_000);
    let mut world = World::with(&["web1-0a", "web2-0b"], limits);
    let budi = world.join(1);
    for server in 0..10 {
        let server = format!("evil{server}-x");
        for first in (0..2_000).step_by(40) {
            let list = (first..first + 40).map(|it| format!("[{it},\"1.1.1.1:1\",5]"));
            let list = format!("[{}]", list.collect::<Vec<_>>().join(","));
            let part = format!("{}/50", first / 40 + 1);
            let headers = [
                ("Loket-Server", &*server),
                ("Loket-Deed", "here"),
                ("Loket-Part", &part),
            ];
            world.queue(CLIENTS, &headers, list.as_bytes());
        }
    }
    world.settle();
    for number in 0..6_000 {
        let client = format!("[{number},\"1.1.1.1:1\",5]");
        let server = format!("sly{}-x", number % 6);
        let headers = [("Loket-Server", &*server), ("Loket-Deed", "entered")];
        world.queue(CLIENTS, &headers, client.as_bytes());
        if number % 1_000 == 0 {
            world.settle();
        }
    }
    world.settle();
    let list = world.operate(0, "/list").len();
    assert!(list <= limits.others.all_entries + 1, "{list}");
    world.shown(0);
    world.say(1, budi, "halo\n");
    assert_eq!(world.shown(0), ["Client web2.1: halo"]);
    world.pass(31 * SECOND);
    assert_eq!(world.operate(0, "/list").len(), 1);
}

#[test]
fn a_flood_of_messages_is_cut_and_counted() {
    let mut world = World::new(&["web1-0a", "web2-0b"]);
    let ani = world.join(0);
    for seq in 1..=10_000 {
        let seq = seq.to_string();
        let headers = [
            ("Loket-Server", "z-1"),
            ("Loket-Deed", "all"),
            ("Loket-Seq", &seq),
        ];
        world.queue(LINES, &headers, &[b'x'; 2_000]);
        // The link reads faster than the roster.
        let it = &mut world.nodes[0];
        it.end.feed(&mut world.random, &mut it.shared);
    }
    world.settle();
    world.pass(3 * SECOND);
    let shown = world.shown(0);
    let lines = shown.iter().filter(|line| line.starts_with("z> x")).count();
    // What waits before and while the roster reads.
    assert!(lines <= 2 * LINK.arrived / 2_000, "{lines}");
    let lost = shown.iter().filter(|line| line.ends_with("were lost)"));
    assert!(lost.count() >= 1, "{:?}", shown.last());
    assert!(!world.got(0, ani).is_empty());
}

#[test]
fn a_flood_of_talk_leaves_room_on_the_link_for_the_names_of_the_room() {
    let mut world = World::new(&["web1-0a"]);
    let it = &mut world.nodes[0];
    for _ in 0..1_000 {
        let posts = &mut it.shared.posts;
        it.roster
            .borrow_mut()
            .publish_line(1, &"x".repeat(2_000), posts);
        it.exchange
            .borrow_mut()
            .request("names", 7, &[], &[b'y'; 100], posts);
        it.deliver();
    }
    let sent = it.end.take_sent();
    assert!(sent.len() <= LINK.outbox, "{}", sent.len());
    let requests = sent.windows(9).filter(|part| part == b"PUB names");
    assert_eq!(requests.count(), 1_000);
}

#[test]
fn without_a_link_and_for_servers_without_talk_nothing_is_published() {
    let mut roster = Roster::default();
    let mut posts = Vec::new();
    let id = roster.join(SessionId(1), ([10, 0, 0, 1], 7).into(), 0);
    roster.announce_joined(id, 0, 0, &mut posts);
    roster.publish_line(id, "halo", &mut posts);
    roster.announce_left(id, &mut posts);
    roster.stop(&mut posts);
    assert!(roster.publish_all("x", &mut posts));
    assert_eq!(roster.end_round(SECOND, 0, 1, &mut posts), None);
    assert_eq!(posts, []);
    assert_eq!(
        (roster.shown(id), roster.own_json_id(id)),
        ("1".to_owned(), 1.into())
    );
}
