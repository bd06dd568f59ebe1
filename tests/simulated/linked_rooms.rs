//! Rooms of several servers on the clock of the test, with a broker in memory: names are unique on
//! all of them, lines keep their order, and what is lost is shown.

use crate::broker::rooms::{SECOND, World};

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

#[test]
fn a_line_is_shown_once_and_missed_lines_are_counted() {
    let mut world = World::new(1, 5);
    let ani = world.ask(0, "ani");
    world.broker.claim("zoe", "z", world.now);
    let mut show = |seq: &str, text: &str| {
        let headers = [
            ("Loket-Server", "z"),
            ("Loket-Name", "zoe"),
            ("Loket-Seq", seq),
        ];
        world.arrive(&headers, text);
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
    let wanted = [
        "zoe: five",
        "zoe: six",
        "zoe: nine",
        "(2 messages from other servers were lost)",
    ];
    assert_eq!(world.nodes[0].got[&ani][3..], wanted);
}

#[test]
fn a_program_without_numbers_speaks_only_under_names_that_it_owns() {
    let mut world = World::new(2, 8);
    let ani = world.ask(0, "ani");
    world.ask(1, "Budi");
    let shows = |world: &mut World, headers: &[(&str, &str)]| {
        let before = world.nodes[0].got[&ani].len();
        world.arrive(headers, "hi\x1b[2J\nall");
        world.pass(2 * SECOND);
        let got = &world.nodes[0].got[&ani][before..];
        assert!(got.len() <= 1, "{got:?}");
        got.first().cloned().unwrap_or_default()
    };
    // A name of a member here, of a member elsewhere, and one without an owner.
    for name in ["ANI", "budi", "bot"] {
        for more in [
            &[][..],
            &[("Loket-Server", "s1")],
            &[("Loket-Server", "robot")],
            &[("Loket-Server", "robot"), ("Loket-Seq", "7")],
            &[("Loket-Server", "s0"), ("Loket-Seq", "7")],
        ] {
            let headers = [more, &[("Loket-Name", name)]].concat();
            assert_eq!(shows(&mut world, &headers), "", "{headers:?}");
        }
    }
    world.broker.claim("bot", "robot", world.now);
    let by = |server| [("Loket-Server", server), ("Loket-Name", "Bot")];
    assert_eq!(shows(&mut world, &by("robot")[1..]), "Bot: hi[2J all");
    assert_eq!(shows(&mut world, &by("robot")), "Bot: hi[2J all");
    assert_eq!(shows(&mut world, &by("other")), "");
    // A program has no members, and a claim ends.
    let entered = [&by("robot")[..], &[("Loket-Deed", "entered")]].concat();
    assert_eq!(shows(&mut world, &entered), "");
    world.pass(30 * SECOND);
    assert_eq!(shows(&mut world, &by("robot")), "");
    world.broker.claim("bot", "robot", world.now);
    world.broker.free("bot");
    assert_eq!(shows(&mut world, &by("robot")), "");
    // Without an answer, nothing is shown.
    world.broker.claim("bot", "robot", world.now);
    world.broker.has_quorum = false;
    assert_eq!(shows(&mut world, &by("robot")), "");
}

#[test]
fn a_server_speaks_for_no_member_of_another_one() {
    let mut world = World::new(2, 9);
    let ani = world.ask(0, "ani");
    let budi = world.ask(1, "budi");
    let forged = [("Loket-Server", "evil"), ("Loket-Name", "budi")];
    for (seq, deed) in [("1", "entered"), ("2", "said"), ("3", "left")] {
        let numbers = [("Loket-Seq", seq), ("Loket-Deed", deed)];
        world.arrive(&[&forged[..], &numbers].concat(), "hi");
    }
    let list = [
        ("Loket-Server", "evil"),
        ("Loket-Deed", "here"),
        ("Loket-Seq", "3"),
        ("Loket-Part", "1/1"),
    ];
    world.arrive(&list, "[\"budi\"]");
    let said = [("Loket-Seq", "4"), ("Loket-Deed", "said")];
    world.arrive(&[&forged[..], &said].concat(), "hi");
    world.arrive(&[("Loket-Server", "evil"), ("Loket-Deed", "bye")], "");
    assert_eq!(world.last(0, ani), "budi bergabung ke chatroom.");
    world.nodes[1].say(budi, "true", world.now);
    world.settle();
    assert_eq!(world.last(0, ani), "budi: true");
    // Without a quorum the members of both go on.
    world.broker.has_quorum = false;
    world.nodes[1].say(budi, "alone", world.now);
    world.pass(SECOND);
    assert_eq!(world.last(0, ani), "budi: alone");
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
