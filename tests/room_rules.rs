//! The room's table, line by line, against a clock that the test makes up.
//! Opens no socket: what a server does with the same rules is in `room.rs`.

use loket::config;
use loket::services::room::Room;
use loket::session::datagram::{Copies, DatagramCx, DatagramProtocol};
use loket::session::notice::{Audience, Notice, Post};
use std::net::SocketAddr;

const SECOND: u64 = 1_000_000;

/// A room without a socket.
struct Hall {
    room: Room,
    out: Copies,
    posts: Vec<Post>,
    now: u64,
}

fn host(last: u8, port: u16) -> SocketAddr {
    ([127, 0, 0, last], port).into()
}

fn at(port: u16) -> SocketAddr {
    host(1, port)
}

impl Hall {
    fn open(rate: u32) -> Hall {
        Hall {
            room: Room::new("sesame", config::room_limits(rate)),
            out: Copies::new(config::ROOM_DATAGRAMS.copies),
            posts: Vec::new(),
            now: 5 * SECOND,
        }
    }

    /// What a datagram sets in motion, in the order of sending.
    fn hear(&mut self, from: SocketAddr, bytes: impl AsRef<[u8]>) -> Vec<(u16, String)> {
        let mut cx = DatagramCx {
            out: &mut self.out,
            posts: &mut self.posts,
            now: self.now,
        };
        self.room.on_datagram(from.into(), bytes.as_ref(), &mut cx);
        self.sent()
    }

    fn refuse(&mut self, to: SocketAddr) -> Vec<(u16, String)> {
        let mut cx = DatagramCx {
            out: &mut self.out,
            posts: &mut self.posts,
            now: self.now,
        };
        self.room.on_refused(to, &mut cx);
        self.sent()
    }

    fn sent(&mut self) -> Vec<(u16, String)> {
        let mut sent = Vec::new();
        while let Some((bytes, to)) = self.out.front() {
            sent.push((
                to.peer.port(),
                String::from_utf8(bytes.to_vec()).expect("text"),
            ));
            self.out.advance();
        }
        sent
    }

    /// The one answer to a stranger.
    #[track_caller]
    fn answer(&mut self, from: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
        let mut sent = self.hear(from, bytes);
        assert_eq!(sent.len(), 1, "{sent:?}");
        let (port, text) = sent.remove(0);
        assert_eq!(port, from.port());
        text
    }

    #[track_caller]
    fn join(&mut self, from: SocketAddr, name: &str) {
        assert_eq!(self.answer(from, "PASSWORD sesame"), "PASSWORD OK");
        let sent = self.hear(from, format!("USERNAME {name}"));
        assert_eq!(sent[0], (from.port(), "USERNAME OK".to_owned()), "{name:?}");
    }

    /// Whether a message of a member is relayed.
    fn relays(&mut self, from: SocketAddr) -> bool {
        !self.hear(from, "hello").is_empty()
    }

    /// The lines for the operator since the last look.
    fn printed(&mut self) -> Vec<String> {
        let line = |post: Post| match (post.to, post.notice) {
            (Audience::Operator, Notice::Printed(line)) => line.to_string(),
            _ => panic!("the room speaks to the operator alone"),
        };
        self.posts.drain(..).map(line).collect()
    }
}

#[test]
fn the_answer_leaves_before_the_notice_and_the_new_one_gets_both() {
    let mut hall = Hall::open(20);
    for port in 1..=9 {
        hall.join(at(port), &format!("m{port}"));
    }
    hall.answer(at(10), "PASSWORD sesame");
    let sent = hall.hear(at(10), "USERNAME last");
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

#[test]
fn names_are_1_to_32_characters_without_blanks_and_controls() {
    let mut hall = Hall::open(20);
    for (port, good) in (1..).zip(["x", &"é".repeat(32), "a.b-c_d", "名前", "x:"]) {
        hall.join(at(port), good);
    }
    let stranger = at(100);
    hall.answer(stranger, "PASSWORD sesame");
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
        let reply = hall.answer(stranger, format!("USERNAME {bad}"));
        assert_eq!(reply, "USERNAME TAKEN", "{bad:?}");
    }
    assert_eq!(hall.hear(stranger, "USERNAME").len(), 0);
    hall.join(stranger, "good");
}

#[test]
fn blanks_around_a_name_or_a_password_are_no_part_of_it() {
    let mut hall = Hall::open(20);
    for (port, given) in (1..).zip(["sesame", " sesame", "sesame \t", "  sesame  \r\n"]) {
        let answer = hall.answer(at(port), format!("PASSWORD {given}"));
        assert_eq!(answer, "PASSWORD OK", "{given:?}");
        let sent = hall.hear(at(port), format!("USERNAME  n{port} \n"));
        assert_eq!(sent[0].1, "USERNAME OK");
        assert_eq!(sent[1].1, format!("n{port} bergabung ke chatroom."));
        assert_eq!(
            hall.answer(at(port), format!("USERNAME n{port} ")),
            "USERNAME OK"
        );
    }
    assert_eq!(hall.answer(at(9), "PASSWORD ses ame"), "PASSWORD INCORRECT");
}

#[test]
fn names_are_unique_without_regard_to_case() {
    for (owner, taken) in [
        ("Ani", "aNI"),
        ("ÉVA", "éva"),
        ("straße", "STRASSE"),
        ("ΟΔΟΣ", "οδοσ"),
        ("οδος", "ΟΔΟΣ"),
        ("Kim", "\u{212a}im"),
    ] {
        let mut hall = Hall::open(20);
        hall.join(at(1), owner);
        hall.answer(at(2), "PASSWORD sesame");
        let reply = hall.answer(at(2), format!("USERNAME {taken}"));
        assert_eq!(reply, "USERNAME TAKEN", "{owner} and {taken}");
        assert_eq!(hall.refuse(at(1)).len(), 0, "nobody is left to be told");
        hall.join(at(2), taken);
    }
}

#[test]
fn nobody_speaks_under_the_name_of_another() {
    let mut hall = Hall::open(1_000);
    hall.join(at(1), "Ani");
    hall.join(at(2), "Ani2");
    for (said, relayed) in [
        ("Ani2: x", "Ani: Ani2: x"),
        ("\x1bAni2: x", "Ani: Ani2: x"),
        ("Ani : x", "Ani: Ani : x"),
        (" Ani: x", "Ani:  Ani: x"),
        ("Ani: Ani2: x", "Ani: Ani2: x"),
        ("A\x07ni: x", "Ani: x"),
        ("USERNAME Ani2", "Ani: USERNAME Ani2"),
        ("x\nAni2: y", "Ani: x Ani2: y"),
        ("x\u{2028}Ani2: y\u{202e}", "Ani: xAni2: y"),
    ] {
        let sent = hall.hear(at(1), said);
        assert_eq!(sent.len(), 2, "{said:?}");
        assert!(sent.iter().all(|(_, text)| text == relayed), "{sent:?}");
    }
}

#[test]
fn a_member_has_20_messages_a_second_and_40_at_once() {
    let mut hall = Hall::open(config::ROOM_RATE);
    hall.join(at(1), "Ani");
    hall.join(at(2), "Budi");
    let burst = (0..100).filter(|_| hall.relays(at(1))).count();
    assert_eq!(burst, 40);
    assert_eq!(hall.out.take_dropped(), 60, "what is over is counted");
    assert!(hall.relays(at(2)), "each has a credit of its own");
    // In any number of steps.
    let mut relayed = 0;
    for _ in 0..1_000 {
        hall.now += SECOND / 100;
        relayed += usize::from(hall.relays(at(1)));
    }
    assert_eq!(relayed, 200);
    hall.now += 3_600 * SECOND;
    assert_eq!((0..100).filter(|_| hall.relays(at(1))).count(), 40);
}

#[test]
fn leaving_costs_nothing_and_coming_back_is_not_free_of_the_door() {
    let mut hall = Hall::open(1);
    hall.join(at(1), "Ani");
    hall.join(at(2), "Budi");
    while hall.relays(at(1)) {}
    let sent = hall.hear(at(1), " EXIT ");
    assert_eq!(sent, [(2, "Ani telah keluar dari chatroom.".to_owned())]);
    assert_eq!(hall.answer(at(1), "USERNAME Ani"), "PASSWORD INCORRECT");
}

#[test]
fn ten_wrong_passwords_within_a_minute_close_the_door_to_a_host_for_a_minute() {
    let mut hall = Hall::open(20);
    for port in 1..=10 {
        hall.now += SECOND;
        assert_eq!(hall.answer(at(port), "PASSWORD x"), "PASSWORD INCORRECT");
    }
    hall.now += 60 * SECOND - 1;
    assert_eq!(hall.hear(at(11), "PASSWORD x").len(), 0);
    assert_eq!(hall.hear(at(11), "PASSWORD sesame").len(), 0);
    assert_eq!(hall.answer(host(2, 11), "PASSWORD sesame"), "PASSWORD OK");
    hall.now += 1;
    assert_eq!(hall.answer(at(11), "PASSWORD sesame"), "PASSWORD OK");
}

#[test]
fn failures_that_are_a_minute_old_do_not_count() {
    let mut hall = Hall::open(20);
    for _ in 0..5 {
        for _ in 0..9 {
            assert_eq!(hall.answer(at(1), "PASSWORD x"), "PASSWORD INCORRECT");
        }
        hall.now += 60 * SECOND;
    }
    assert_eq!(hall.answer(at(1), "PASSWORD sesame"), "PASSWORD OK");
}

#[test]
fn members_on_a_host_that_is_ignored_notice_nothing() {
    let mut hall = Hall::open(20);
    hall.join(at(1), "Ani");
    for port in 10..30 {
        hall.hear(at(port), "PASSWORD x");
    }
    assert!(hall.relays(at(1)));
    assert_eq!(hall.hear(at(1), "exit").len(), 0);
}

#[test]
fn the_password_is_good_for_a_name_for_60_seconds() {
    let mut hall = Hall::open(20);
    hall.answer(at(1), "PASSWORD sesame");
    hall.answer(at(2), "PASSWORD sesame");
    hall.now += 60 * SECOND - 1;
    assert_eq!(hall.hear(at(1), "USERNAME Ani").len(), 2);
    hall.now += 1;
    assert_eq!(hall.answer(at(2), "USERNAME Budi"), "PASSWORD INCORRECT");
    hall.now += 3_600 * SECOND;
    assert!(hall.relays(at(1)), "members may keep silent");
}

#[test]
fn the_table_of_the_admitted_is_bounded_and_the_oldest_goes_first() {
    let mut hall = Hall::open(20);
    let most = config::ROOM_GUESTS.admitted as u16;
    for port in 1..=most + 1 {
        hall.answer(at(port), "PASSWORD sesame");
    }
    assert_eq!(hall.answer(at(1), "USERNAME first"), "PASSWORD INCORRECT");
    hall.join(at(2), "second");
}

#[test]
fn replies_to_strangers_are_one_each_and_short() {
    let mut hall = Hall::open(20);
    let texts = [
        "PASSWORD ",
        "PASSWORD sesame",
        "USERNAME ",
        "USERNAME a",
        "USERNAME a b",
    ];
    for port in 1..=8 {
        for text in texts.into_iter().take(usize::from(port)) {
            let sent = hall.hear(host(port as u8, port), text);
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
        assert_eq!(hall.hear(host(99, 99), ignored).len(), 0, "{ignored:?}");
    }
    assert_eq!(hall.hear(host(99, 99), [0xff; 1_024]).len(), 0);
}

#[test]
fn a_question_whose_answer_was_lost_is_answered_again_and_not_relayed() {
    let mut hall = Hall::open(20);
    hall.join(at(1), "Ani");
    hall.join(at(2), "Budi");
    assert_eq!(hall.answer(at(1), "PASSWORD sesame"), "PASSWORD OK");
    assert_eq!(hall.answer(at(1), "USERNAME Ani"), "USERNAME OK");
}

#[test]
fn the_operator_sees_joins_messages_and_leaves_and_nothing_of_strangers() {
    let mut hall = Hall::open(20);
    hall.hear(at(9), "PASSWORD wrong");
    hall.hear(at(9), "USERNAME Ani");
    hall.hear(at(9), "hello");
    hall.join(at(1), "Ani");
    hall.join(at(2), "Budi");
    hall.hear(at(1), "halo");
    hall.hear(at(1), "exit");
    hall.refuse(at(2));
    hall.refuse(at(3));
    let lines = [
        "Ani bergabung ke chatroom.",
        "Budi bergabung ke chatroom.",
        "Ani: halo",
        "Ani telah keluar dari chatroom.",
        "Budi telah keluar dari chatroom.",
    ];
    assert_eq!(hall.printed(), lines);
}

#[test]
fn coming_and_going_costs_what_talking_does() {
    let mut hall = Hall::open(2);
    let comes = |hall: &mut Hall| {
        hall.hear(at(1), "PASSWORD sesame");
        hall.hear(at(1), "USERNAME amy")
    };
    assert!(!comes(&mut hall).is_empty());
    for _ in 0..4 {
        hall.hear(at(1), "exit");
        assert!(!comes(&mut hall).is_empty(), "that much at once is well");
    }
    assert!(hall.hear(at(1), "hello").is_empty(), "the rate stays spent");
    hall.hear(at(1), "exit");
    assert!(comes(&mut hall).is_empty());
    hall.now += SECOND;
    assert!(!comes(&mut hall).is_empty());
    assert!(!hall.hear(at(1), "hello").is_empty());
    assert!(hall.hear(at(1), "hello").is_empty());
}
