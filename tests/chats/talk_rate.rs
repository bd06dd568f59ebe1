//! The rate limit of talk clients: it bounds what they make the server print, and loses no line.
//! `talk.rs` tests what is printed.

use crate::support::Server;
use loket::config::reactor::OUTBOX_HIGH_WATER;
use loket::config::services::SERVICES;
use loket::services::roster::Roster;
use loket::services::talk::Talk;
use loket::session::close_reason::CloseReason;
use loket::session::notice::Notice;
use loket::session::session::{Next, Session};
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::wire::follows::{Follows, Timer};
use std::cell::RefCell;
use std::rc::Rc;

const LINE: usize = 1_000;

/// A talk client that sends as much as it can.
struct Flood {
    session: Session,
    shared: Shared,
    /// The number of lines shown to the operator, and the last one.
    shown_lines: usize,
    last_line: String,
}

impl Flood {
    fn new() -> Flood {
        Flood::among(&Rc::default())
    }

    fn among(roster: &Rc<RefCell<Roster>>) -> Flood {
        let limits = Rc::new(SERVICES);
        let talk = Talk::new(limits, roster.clone(), ([127, 0, 0, 1], 9).into());
        let mut flood = Flood {
            session: Session::new(Box::new(talk), SessionId(1)),
            shared: Shared::new(OUTBOX_HIGH_WATER),
            shown_lines: 0,
            last_line: String::new(),
        };
        flood.session.open(&mut flood.shared);
        flood.shared.posts.clear();
        flood
    }

    /// Feeds the session as the reactor does. Returns the number of bytes shown.
    fn feed(&mut self, more: &[u8], follows: Follows) -> usize {
        let input = [&*self.session.take_inbox(), more].concat();
        let mut calls = usize::MAX;
        self.session
            .feed(&input, follows, &mut calls, &mut self.shared);
        let mut shown = 0;
        for post in std::mem::take(&mut self.shared.posts) {
            if let Notice::Line(line) = post.notice {
                let (_, text) = line.split_once(": ").expect("Client ID: TEXT");
                shown += text.len();
                self.shown_lines += 1;
                self.last_line = text.to_owned();
            }
        }
        shown
    }

    /// What the session does when its peer sends more.
    fn next(&self) -> Next {
        self.session.next(true, false, None, OUTBOX_HIGH_WATER)
    }
}

fn lines(count: usize) -> Vec<u8> {
    let lines = (0..count).map(|number| format!("{number:0width$}\n", width = LINE - 1));
    lines.collect::<String>().into()
}

#[test]
fn a_client_over_its_rate_is_not_read_until_it_has_tokens_again() {
    let mut flood = Flood::new();
    let first = flood.feed(&lines(10_000), Follows::More);
    assert!(first > SERVICES.talk_rate.initial - 2 * LINE && first <= SERVICES.talk_rate.initial);
    assert_eq!(flood.next(), Next::Wait);
    assert_eq!(flood.session.awaited(), Some(Timer::Pace));
    // The same second: no new tokens.
    assert_eq!(flood.feed(b"", Follows::Silence(Timer::Pace)), 0);
    assert_eq!(flood.session.awaited(), Some(Timer::Pace));
    for second in [1, 2, 3] {
        flood.shared.now = second;
        let shown = flood.feed(b"", Follows::Silence(Timer::Pace));
        let rate = SERVICES.talk_rate.per_second - 100 * SERVICES.talk_rate.per_line
            ..SERVICES.talk_rate.per_second + LINE;
        assert!(
            shown > rate.start - 20 * LINE && shown <= rate.end,
            "{shown}"
        );
        assert_eq!(flood.next(), Next::Wait);
    }
    // After a silence the bucket holds no more than its maximum.
    flood.shared.now = 1_000;
    assert!(flood.feed(b"", Follows::Silence(Timer::Pace)) <= SERVICES.talk_rate.burst);
}

#[test]
fn many_talk_clients_share_the_rate_of_eight() {
    let roster = Rc::default();
    let mut floods: Vec<_> = (0..200).map(|_| Flood::among(&roster)).collect();
    let lines = lines(200);
    for flood in &mut floods {
        flood.feed(&lines, Follows::More);
    }
    for second in 1..=4 {
        let mut shown = Vec::new();
        for flood in &mut floods {
            flood.shared.now = second;
            shown.push(flood.feed(b"", Follows::Silence(Timer::Pace)));
        }
        let (all, least) = (shown.iter().sum::<usize>(), shown.iter().min());
        assert!(
            all <= SERVICES.talk_rate.per_second_all + 200 * LINE,
            "{all}"
        );
        assert!(
            least > Some(&(SERVICES.talk_rate.per_second_all / 200 - 2 * LINE)),
            "{least:?}"
        );
    }
}

#[test]
fn short_talk_connections_share_a_rate_too() {
    let roster = Rc::default();
    let input = lines(8);
    let newcomer = |second| {
        let mut flood = Flood::among(&roster);
        flood.shared.now = second;
        flood.feed(&input, Follows::More)
    };
    for second in [3, 4] {
        let shown: usize = (0..2_000).map(|_| newcomer(second)).sum();
        assert!(
            shown <= SERVICES.talk_rate.per_second_all
                && shown > SERVICES.talk_rate.per_second_all * 9 / 10
        );
    }
    // A client that got no tokens gets its share a second later.
    assert!((0..2_000).any(|_| newcomer(5) == 0));
    let mut late = Flood::among(&roster);
    late.shared.now = 5;
    assert_eq!(late.feed(&input, Follows::More), 0);
    late.shared.now = 6;
    assert!(late.feed(b"", Follows::Silence(Timer::Pace)) > 7 * LINE);
}

#[test]
fn lines_over_the_rate_are_shown_after_the_client_has_closed() {
    let mut flood = Flood::new();
    let mut input = lines(3_000);
    input.extend_from_slice("half a line".as_bytes());
    flood.feed(&input, Follows::Eof);
    for second in 1..=3 {
        assert_eq!(flood.next(), Next::Wait);
        flood.shared.now = second;
        flood.feed(b"", Follows::Silence(Timer::Pace));
    }
    assert_eq!(
        (flood.shown_lines, flood.last_line.as_str()),
        (3_001, "half a line")
    );
    assert_eq!(flood.next(), Next::End(CloseReason::PeerFinished));
}

#[test]
fn a_client_waits_while_the_operator_is_behind() {
    let mut flood = Flood::new();
    flood.shared.operator_behind = true;
    assert_eq!(flood.feed(b"one\ntwo\n", Follows::More), 0);
    assert_eq!(flood.next(), Next::Wait);
    assert_eq!(flood.feed(b"", Follows::Silence(Timer::Pace)), 0);
    flood.shared.operator_behind = false;
    assert_eq!(flood.feed(b"", Follows::Silence(Timer::Pace)), 6);
    assert_eq!(flood.next(), Next::Read(0));
}

#[test]
fn a_client_within_its_rate_never_waits() {
    let mut flood = Flood::new();
    for second in 0..100 {
        flood.shared.now = second;
        flood.feed(&lines(5), Follows::More);
        assert_eq!(flood.next(), Next::Read(0));
    }
    assert_eq!(flood.shown_lines, 500);
}

#[test]
fn the_operator_sees_a_flood_in_order_or_the_number_of_lost_lines() {
    let (mut server, _keys) = Server::operated(&[]);
    let mut client = server.connect("talk");
    server.shown_until("Client 1 connected");
    let writer = std::thread::spawn(move || {
        client.send(lines(2_000)).send("the end\n");
        client
    });
    let mut number = 0;
    while number < 2_000 {
        let shown = server.shown();
        // On a busy machine this test may read more slowly than the rate.
        if let Some(lost) = shown.strip_prefix('(') {
            let lost = lost.split(' ').next().expect("a number");
            number += lost.parse::<usize>().expect("a number");
        } else {
            let text = format!("Client 1: {number:0width$}", width = LINE - 1);
            assert_eq!(shown, text);
            number += 1;
        }
    }
    assert_eq!(server.shown(), "Client 1: the end");
    drop(writer.join().expect("all taken"));
}

#[test]
fn a_reset_connection_over_its_rate_closes_before_its_lines_are_shown() {
    let (mut server, _keys) = Server::operated(&[]);
    // If a second begins at the moment of the reset, all lines are shown: another client then
    // tries.
    for id in 1..=20 {
        let mut client = server.connect("talk");
        client.send(lines(40));
        server.shown_until(&format!("Client {id}: {:0width$}", 0, width = LINE - 1));
        client.reset();
        let mut shown = 1;
        while !server.shown().ends_with("disconnected") {
            shown += 1;
        }
        if shown < 40 {
            return;
        }
    }
    panic!("each connection stayed open until all lines were shown");
}
