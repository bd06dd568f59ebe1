//! Requests that arrive too slowly are answered with 408; idle connections are closed silently.
//! Runs on a simulated kernel in virtual time.

use crate::memory::Service;
use crate::memory::store::Faults;
use crate::sim::by_hand::{Peer, Simulation, big_file, limits};
use loket::config::reactor::{IDLE_SECONDS, REACTOR};
use loket::session::close_reason::CloseReason;

const SECOND: u64 = 1_000_000;
const BOTH_WAYS: [bool; 2] = [true, false];
const CHUNKED: &str = "PUT /new HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
const KNOWN: &str = "PUT /new HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n";
const TOO_LATE: &str = "HTTP/1.1 408 Request Timeout\r\n";

/// A server with the limits of the real one.
fn server(direct: bool) -> Simulation {
    Simulation::with(limits(), &big_file(4_000_000), &Faults::default(), direct)
}

/// Sends `piece` once a second until the peer is closed; returns after which second, and why.
fn drip(
    simulation: &mut Simulation,
    peer: &Peer,
    seconds: u32,
    piece: &[u8],
) -> Option<(u32, CloseReason)> {
    for second in 0..seconds {
        simulation.say(peer, piece);
        simulation.pass(SECOND);
        if let Some(reason) = simulation.closed(peer) {
            return Some((second, reason));
        }
    }
    None
}

#[test]
fn a_head_that_is_not_complete_in_time_is_408() {
    let mut simulation = server(true);
    for first in [
        "GET /big HTTP/1.1\r\nX: ",
        "GET /-/health HTTP/1.1\r\nHost: localhost\r\n\r\nG",
    ] {
        let peer = simulation.connect(Service::Http);
        simulation.say(&peer, first);
        let ended = drip(&mut simulation, &peer, 100, b"x");
        let (second, reason) = ended.expect("it is closed");
        assert_eq!(reason, CloseReason::Unfinished, "{first:?}");
        assert!(second + 1 >= REACTOR.command_seconds, "{first:?}: {second}");
        let text = peer.text();
        let (_, answer) = text.split_once(TOO_LATE).expect("the reason");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{text}");
        assert!(answer.ends_with("did not arrive in time\n"), "{text}");
    }
}

#[test]
fn a_body_below_the_minimum_rate_is_408_also_in_chunks() {
    let slow = REACTOR.min_rate as usize * 9 / 10;
    let chunk = [
        format!("{slow:x}\r\n").into_bytes(),
        vec![7; slow],
        b"\r\n".to_vec(),
    ]
    .concat();
    for direct in BOTH_WAYS {
        for (head, piece) in [
            (KNOWN, vec![7; slow]),
            (CHUNKED, chunk.clone()),
            (CHUNKED, b"1\r\nx\r\n".to_vec()),
            (CHUNKED, b"".to_vec()),
        ] {
            let mut simulation = server(direct);
            let peer = simulation.connect(Service::Http);
            simulation.say(&peer, head);
            let ended = drip(&mut simulation, &peer, 10 * REACTOR.rate_seconds, &piece);
            assert_eq!(ended.expect("it is closed").1, CloseReason::TooSlow);
            assert!(peer.text().starts_with(TOO_LATE), "{}", peer.text());
            assert_eq!(simulation.store.uploads(), 0);
            assert!(!simulation.store.files().contains_key("new"));
        }
    }
}

#[test]
fn a_body_above_the_minimum_rate_is_not_closed() {
    let fast = REACTOR.min_rate as usize * 11 / 10;
    let chunk = [
        format!("{fast:x}\r\n").into_bytes(),
        vec![7; fast],
        b"\r\n".to_vec(),
    ]
    .concat();
    for (head, piece) in [(KNOWN, vec![7; fast]), (CHUNKED, chunk)] {
        let mut simulation = server(true);
        let peer = simulation.connect(Service::Http);
        simulation.say(&peer, head);
        let ended = drip(&mut simulation, &peer, 10 * REACTOR.rate_seconds, &piece);
        assert_eq!(ended, None);
        assert_eq!(simulation.store.uploads(), 1);
    }
}

#[test]
fn a_kept_connection_without_a_request_is_closed_without_an_answer() {
    let mut simulation = server(true);
    let peer = simulation.connect(Service::Http);
    simulation.say(&peer, "GET /-/health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    simulation.run();
    let text = peer.text();
    assert!(text.ends_with("\r\n\r\nok\n"), "{text}");
    for _ in 0..IDLE_SECONDS + 2 {
        simulation.pass(SECOND);
    }
    assert_eq!(simulation.closed(&peer), Some(CloseReason::Idle));
    assert_eq!(peer.text(), text);
}

#[test]
fn an_answer_that_is_not_read_gets_no_second_one() {
    let mut simulation = server(true);
    let peer = simulation.accept(Service::Http, 1_000);
    let get = "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n";
    simulation.say(&peer, format!("{get}{get}GET"));
    for _ in 0..IDLE_SECONDS + 2 {
        simulation.pass(SECOND);
    }
    assert!(simulation.closed(&peer).is_some());
    assert_eq!(peer.text().matches("HTTP/1.1 ").count(), 1);
}
