//! The rules of the room, without a socket and with a clock of the test. Each rule is checked for
//! UDP clients and for sessions.

use crate::room_driver::{RoomDriver, SECOND, Transport, at, host, rooms, rooms_within};
use loket::config::room::ROOM;
use loket::services::room::limits::RoomLimits;

#[test]
fn the_answer_is_sent_before_the_notice_and_the_new_member_gets_both() {
    for mut room in rooms(20) {
        for port in 1..=9 {
            room.join(at(port), &format!("m{port}"));
        }
        room.answer(at(10), "PASSWORD sesame");
        let sent = room.deliver(at(10), "USERNAME last");
        assert_eq!(sent[0], (10, "USERNAME OK".to_owned()));
        let mut ports: Vec<_> = sent[1..].iter().map(|(port, _)| *port).collect();
        ports.sort_unstable();
        assert_eq!(ports, (1..=10).collect::<Vec<_>>());
        assert!(
            sent[1..]
                .iter()
                .all(|(_, text)| text == "last bergabung ke chatroom.")
        );
    }
}

#[test]
fn names_have_1_to_32_characters_without_blanks_and_control_characters() {
    for mut room in rooms(20) {
        for (port, good) in (1..).zip(["x", &"é".repeat(32), "a.b-c_d", "名前", "x:"]) {
            room.join(at(port), good);
        }
        let stranger = at(100);
        room.answer(stranger, "PASSWORD sesame");
        for bad in [
            "",
            " ",
            "a b",
            "a\tb",
            "a\u{a0}b",
            "a\0",
            "\x1b[31m",
            "a\u{85}b",
            "a\u{9b}b",
            "evil\u{202e}live",
            &"é".repeat(33),
            &"x".repeat(1_000),
        ] {
            let reply = room.answer(stranger, format!("USERNAME {bad}"));
            assert_eq!(reply, "USERNAME TAKEN", "{bad:?}");
        }
        assert_eq!(room.deliver(stranger, "USERNAME").len(), 0);
        room.join(stranger, "good");
    }
}

#[test]
fn blanks_around_a_name_or_a_password_are_ignored() {
    for mut room in rooms(20) {
        for (port, given) in (1..).zip(["sesame", " sesame", "sesame \t", "  sesame  \r\n"]) {
            let answer = room.answer(at(port), format!("PASSWORD {given}"));
            assert_eq!(answer, "PASSWORD OK", "{given:?}");
            let sent = room.deliver(at(port), format!("USERNAME  n{port} \n"));
            assert_eq!(sent[0].1, "USERNAME OK");
            assert_eq!(sent[1].1, format!("n{port} bergabung ke chatroom."));
            assert_eq!(
                room.answer(at(port), format!("USERNAME n{port} ")),
                "USERNAME OK"
            );
        }
        assert_eq!(room.answer(at(9), "PASSWORD ses ame"), "PASSWORD INCORRECT");
    }
}

#[test]
fn names_are_unique_ignoring_case() {
    for (owner, taken) in [
        ("Ani", "aNI"),
        ("ÉVA", "éva"),
        ("straße", "STRASSE"),
        ("ΟΔΟΣ", "οδοσ"),
        ("οδος", "ΟΔΟΣ"),
        ("Kim", "\u{212a}im"),
    ] {
        for mut room in rooms(20) {
            room.join(at(1), owner);
            room.answer(at(2), "PASSWORD sesame");
            let mut sent = room.deliver(at(2), format!("USERNAME {taken}"));
            sent.extend(room.pass(SECOND));
            let answer = (2, "USERNAME TAKEN".to_owned());
            assert_eq!(sent.last(), Some(&answer), "{owner} and {taken}");
            room.deliver(at(1), "exit");
            room.join(at(2), taken);
        }
    }
}

#[test]
fn no_message_appears_under_the_name_of_another_member() {
    for mut room in rooms(1_000) {
        room.join(at(1), "Ani");
        room.join(at(2), "Ani2");
        for (sent_text, relayed) in [
            ("Ani2: x", "Ani: Ani2: x"),
            ("\x1bAni2: x", "Ani: Ani2: x"),
            ("Ani : x", "Ani: Ani : x"),
            (" Ani: x", "Ani:  Ani: x"),
            ("Ani: Ani2: x", "Ani: Ani2: x"),
            ("A\x07ni: x", "Ani: x"),
            ("USERNAME Ani2", "Ani: USERNAME Ani2"),
            ("x\nAni2: y", "Ani: x Ani2: y"),
            ("Ani: hello", "Ani: hello"),
            ("hello", "Ani: hello"),
            ("ANI: hello", "Ani: ANI: hello"),
            ("Ani:hello", "Ani: Ani:hello"),
            ("Ani: a\tb  ", "Ani: a\tb  "),
            (
                "Ani2 telah keluar dari chatroom.",
                "Ani: Ani2 telah keluar dari chatroom.",
            ),
            ("line\n", "Ani: line"),
            ("two\nlines\r\n", "Ani: two lines"),
            ("two\r\nlines", "Ani: two lines"),
            ("a\x1b[2J\x07\u{9b}b\u{202e}c", "Ani: a[2Jbc"),
            ("exit now", "Ani: exit now"),
            ("x\u{2028}Ani2: y\u{202e}", "Ani: xAni2: y"),
        ] {
            let sent = room.deliver(at(1), sent_text);
            assert_eq!(sent.len(), 2, "{sent_text:?}");
            assert!(sent.iter().all(|(_, text)| text == relayed), "{sent:?}");
        }
        let sent = room.deliver(at(1), b"broken \xff");
        assert_eq!(sent[0].1, "Ani: broken \u{fffd}");
    }
}

#[test]
fn exit_is_recognised_in_any_case_and_with_blanks() {
    for mut room in rooms(1_000) {
        room.join(at(1), "staying");
        for word in ["exit", "EXIT", "Exit", "  exit \t", "eXiT\n", "exit\r\n"] {
            room.join(at(2), "leaving");
            let sent = room.leave(at(2), word);
            assert_eq!(
                sent,
                [(1, "leaving telah keluar dari chatroom.".to_owned())]
            );
            assert!(!room.relays(at(2)), "{word:?}");
        }
    }
}

#[test]
fn a_member_has_20_messages_a_second_and_40_at_once() {
    for mut room in rooms(ROOM.rate) {
        room.join(at(1), "Ani");
        room.join(at(2), "Budi");
        let burst = (0..100).filter(|_| room.relays(at(1))).count();
        assert_eq!(burst, 40);
        assert_eq!(room.out.take_dropped(), 60, "dropped messages are counted");
        let is_notified = room.transport == Transport::Session;
        assert_eq!(room.empty, if is_notified { 60 } else { 0 });
        assert!(room.relays(at(2)), "each member has its own bucket");
        // The refill does not depend on the number of calls.
        let mut relayed = 0;
        for _ in 0..1_000 {
            room.now += SECOND / 100;
            relayed += usize::from(room.relays(at(1)));
        }
        assert_eq!(relayed, 200);
        room.now += 3_600 * SECOND;
        assert_eq!((0..100).filter(|_| room.relays(at(1))).count(), 40);
    }
}

#[test]
fn leaving_is_free_and_joining_again_needs_the_password() {
    for mut room in rooms(1) {
        room.join(at(1), "Ani");
        room.join(at(2), "Budi");
        while room.relays(at(1)) {}
        let sent = room.leave(at(1), " EXIT ");
        assert_eq!(sent, [(2, "Ani telah keluar dari chatroom.".to_owned())]);
        assert_eq!(room.answer(at(1), "USERNAME Ani"), "PASSWORD INCORRECT");
    }
}

#[test]
fn ten_wrong_passwords_within_a_minute_block_an_address_for_a_minute() {
    for mut room in rooms(20) {
        for port in 1..=10 {
            room.now += SECOND;
            assert_eq!(room.answer(at(port), "PASSWORD x"), "PASSWORD INCORRECT");
        }
        // A textbook client waits for an answer: one request a second is answered.
        for word in ["PASSWORD x", "PASSWORD sesame", "USERNAME a"] {
            room.now += SECOND;
            assert_eq!(room.answer(at(11), word), "PASSWORD INCORRECT");
            // The address of a session is not forged: each of its requests is answered.
            let answers = usize::from(room.transport == Transport::Session);
            assert_eq!(room.deliver(at(11), word).len(), answers);
            assert_eq!(room.deliver(at(12), "PASSWORD sesame").len(), answers);
        }
        room.now += 57 * SECOND - 1;
        assert_eq!(room.answer(at(11), "PASSWORD sesame"), "PASSWORD INCORRECT");
        assert_eq!(room.answer(host(2, 11), "PASSWORD sesame"), "PASSWORD OK");
        room.now += 1;
        assert_eq!(room.answer(at(11), "PASSWORD sesame"), "PASSWORD OK");
    }
}

#[test]
fn wrong_passwords_older_than_a_minute_do_not_count() {
    for mut room in rooms(20) {
        for _ in 0..5 {
            for _ in 0..9 {
                assert_eq!(room.answer(at(1), "PASSWORD x"), "PASSWORD INCORRECT");
            }
            room.now += 60 * SECOND;
        }
        assert_eq!(room.answer(at(1), "PASSWORD sesame"), "PASSWORD OK");
    }
}

#[test]
fn members_at_a_blocked_address_are_not_affected() {
    for mut room in rooms(20) {
        room.join(at(1), "Ani");
        for port in 10..30 {
            room.deliver(at(port), "PASSWORD x");
        }
        assert!(room.relays(at(1)));
        assert_eq!(room.leave(at(1), "exit"), []);
    }
}

#[test]
fn an_accepted_password_is_valid_for_60_seconds() {
    for mut room in rooms(20) {
        room.answer(at(1), "PASSWORD sesame");
        room.answer(at(2), "PASSWORD sesame");
        room.now += 60 * SECOND - 1;
        assert_eq!(room.deliver(at(1), "USERNAME Ani").len(), 2);
        room.now += 1;
        assert_eq!(room.answer(at(2), "USERNAME Budi"), "PASSWORD INCORRECT");
        room.deliver(at(1), "hello");
        room.pass(899 * SECOND);
        assert!(room.relays(at(1)), "a member needs no new password");
    }
}

#[test]
fn many_accepted_passwords_push_no_earlier_one_out() {
    for mut room in rooms(20) {
        room.answer(at(1), "PASSWORD sesame");
        room.answer(host(2, 1), "PASSWORD sesame");
        // One network has a limited share of the table, and many networks evict no other address.
        for port in 2..=5_000 {
            room.deliver(at(port), "PASSWORD sesame");
        }
        for port in 0..20_000_u32 {
            let crowd = [10, 0, (port >> 8) as u8, port as u8];
            room.deliver((crowd, 9).into(), "PASSWORD sesame");
        }
        for early in [at(1), host(2, 1)] {
            let sent = room.deliver(early, format!("USERNAME n{}", early.ip()));
            assert_eq!(sent[0].1, "USERNAME OK");
        }
    }
}

#[test]
fn a_request_of_a_stranger_gets_one_short_reply() {
    for mut room in rooms(20) {
        let texts = [
            "PASSWORD ",
            "PASSWORD sesame",
            "USERNAME ",
            "USERNAME a",
            "USERNAME a b",
        ];
        for port in 1..=8 {
            for text in texts.into_iter().take(usize::from(port)) {
                let sent = room.deliver(host(port as u8, port), text);
                let reply = &sent[0].1;
                assert!(reply.len() <= text.len() + 20, "{text:?}: {reply:?}");
            }
        }
        for ignored in [
            "",
            " ",
            "x",
            "exit",
            "PASSWORD",
            "password sesame",
            "username a",
            "\n\n",
        ] {
            assert_eq!(room.deliver(host(99, 99), ignored).len(), 0, "{ignored:?}");
        }
        assert_eq!(room.deliver(host(99, 99), [0xff; 1_024]).len(), 0);
        // The same after the password, and before a name.
        room.answer(host(99, 99), "PASSWORD sesame");
        for ignored in ["hello", "exit", "budi: hello"] {
            assert_eq!(room.deliver(host(99, 99), ignored).len(), 0, "{ignored:?}");
        }
    }
}

#[test]
fn a_repeated_request_of_a_member_is_answered_and_not_relayed() {
    for mut room in rooms(20) {
        room.join(at(1), "Ani");
        room.join(at(2), "Budi");
        assert_eq!(room.answer(at(1), "PASSWORD sesame"), "PASSWORD OK");
        assert_eq!(room.answer(at(1), "USERNAME Ani"), "USERNAME OK");
    }
}

#[test]
fn the_operator_sees_joins_messages_and_leaves_but_no_strangers() {
    for mut room in rooms(20) {
        room.deliver(at(9), "PASSWORD wrong");
        room.deliver(at(9), "USERNAME Ani");
        room.deliver(at(9), "hello");
        room.join(at(1), "Ani");
        room.join(at(2), "Budi");
        room.deliver(at(1), "halo");
        room.deliver(at(1), "exit");
        room.lose(at(2));
        room.lose(at(3));
        let lines = [
            "Ani bergabung ke chatroom.",
            "Budi bergabung ke chatroom.",
            "Ani: halo",
            "Ani telah keluar dari chatroom.",
            "Budi telah keluar dari chatroom.",
        ];
        assert_eq!(room.printed(), lines);
    }
}

#[test]
fn joining_costs_as_many_tokens_as_a_message() {
    for mut room in rooms(2) {
        let join = |room: &mut RoomDriver| {
            room.deliver(at(1), "PASSWORD sesame");
            room.deliver(at(1), "USERNAME amy")
        };
        assert!(!join(&mut room).is_empty());
        for _ in 0..4 {
            room.deliver(at(1), "exit");
            assert!(!join(&mut room).is_empty(), "a burst is allowed");
        }
        assert!(
            room.deliver(at(1), "hello").is_empty(),
            "leaving refills no token"
        );
        room.deliver(at(1), "exit");
        room.answer(at(1), "PASSWORD sesame");
        assert_eq!(room.answer(at(1), "USERNAME amy"), "USERNAME TAKEN");
        room.now += SECOND;
        assert!(!join(&mut room).is_empty());
        assert!(!room.deliver(at(1), "hello").is_empty());
        assert!(room.deliver(at(1), "hello").is_empty());
    }
}

#[test]
fn the_members_of_one_network_are_limited() {
    for mut room in rooms_within(RoomLimits {
        per_address: 3,
        ..ROOM
    }) {
        for port in 1..=3 {
            room.join(at(port), &format!("n{port}"));
        }
        room.answer(at(4), "PASSWORD sesame");
        assert_eq!(room.answer(at(4), "USERNAME n4"), "USERNAME TAKEN");
        room.join(host(2, 4), "n4");
        room.deliver(at(1), "exit");
        assert_eq!(room.deliver(at(4), "USERNAME n1").len(), 5);
    }
}

#[test]
fn addresses_of_one_ipv6_network_share_its_limit() {
    for mut room in rooms_within(RoomLimits {
        per_address: 2,
        ..ROOM
    }) {
        let of = |text: &str| text.parse().expect("an address");
        room.join(of("[2001:db8::1]:1"), "n1");
        room.join(of("[2001:db8::2]:2"), "n2");
        room.answer(of("[2001:db8::3]:3"), "PASSWORD sesame");
        let answer = room.answer(of("[2001:db8::3]:3"), "USERNAME n3");
        assert_eq!(answer, "USERNAME TAKEN");
        room.join(of("[2001:db8:0:1::3]:3"), "n3");
    }
}

#[test]
fn joins_from_many_ports_of_one_address_are_limited() {
    for mut room in rooms(20) {
        room.join(host(2, 1), "witness");
        room.deliver(host(2, 1), "hello");
        let mut notices = 0;
        for number in 0..6_000_u16 {
            // 6,000 joins within ten seconds.
            room.now += SECOND / 600;
            let from = at(10_000 + number);
            let mut sent = room.deliver(from, "PASSWORD sesame");
            sent.extend(room.deliver(from, format!("USERNAME n{number}")));
            sent.extend(room.deliver(from, "exit"));
            notices += sent.iter().filter(|copy| copy.0 == 1).count();
        }
        // A burst of 64 and 20 a second, each with a join notice and a leave notice.
        assert!((2 * 64..=2 * 266).contains(&notices), "{notices}");
    }
}

#[test]
fn the_members_of_a_network_share_a_rate_and_others_have_their_own() {
    for mut room in rooms(20) {
        for port in 1..=10 {
            room.join(at(port), &format!("n{port}"));
        }
        room.join(host(2, 11), "other");
        let relayed = (0..400).filter(|number| room.relays(at(1 + number % 10)));
        assert_eq!(
            relayed.count(),
            160,
            "four times 20 a second, and a burst of two seconds"
        );
        assert!(room.relays(host(2, 11)));
        room.now += SECOND;
        let relayed = (0..400).filter(|number| room.relays(at(1 + number % 10)));
        assert_eq!(relayed.count(), 80);
    }
}

#[test]
fn an_answer_to_a_member_costs_as_many_tokens_as_a_message() {
    for mut room in rooms(2) {
        room.join(at(1), "Ani");
        let words = ["PASSWORD x", "USERNAME Ani"];
        let answered = (0..100).filter(|number| !room.deliver(at(1), words[number % 2]).is_empty());
        assert_eq!(answered.count(), 4);
        assert!(!room.relays(at(1)));
    }
}

#[test]
fn password_guesses_from_any_number_of_addresses_are_limited() {
    let mut room = RoomDriver::open(20);
    room.answer(host(2, 1), "PASSWORD x");
    let mut answered = 0;
    for round in 0..20_u32 {
        for number in 0..10_000_u32 {
            let [_, a, b, c] = (number + 1).to_be_bytes();
            let from = ([10 + a, b, c, 1], 1 + round as u16);
            room.now += 10;
            answered += room.deliver(from.into(), "PASSWORD guess").len();
        }
    }
    // Ten of each of 4,096 addresses, a hundred of all others together, and then one a second each.
    let counted = 4_095 * 10 + 100;
    assert!(
        (counted..counted + 3 * 4_096).contains(&answered),
        "{answered}"
    );
    // The first address is still counted, and a right guess of another one is not accepted.
    for _ in 0..9 {
        room.answer(host(2, 1), "PASSWORD x");
    }
    room.now += SECOND;
    assert_eq!(
        room.answer(host(2, 1), "PASSWORD sesame"),
        "PASSWORD INCORRECT"
    );
    room.deliver(([99, 0, 0, 1], 1).into(), "PASSWORD x");
    assert!(
        room.deliver(([99, 0, 0, 1], 1).into(), "PASSWORD sesame")
            .is_empty()
    );
}
