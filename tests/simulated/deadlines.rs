//! Inactive and slow connections are closed at their deadlines, and no others.
//! Runs on a simulated kernel in virtual time.

use crate::memory::Service;
use crate::memory::store::Faults;
use crate::sim::by_hand::{Peer, Seen, Simulation, big_file, limits};
use crate::sim::sim_socket::Call;
use loket::config::PROXY_HEADER;
use loket::config::reactor::{IDLE_SECONDS, REACTOR};
use loket::services::proxied::Proxied;
use loket::session::close_reason::CloseReason;
use loket::session::notice::Notice;
use loket::session::protocol::{Context, Intake, Protocol, Reaction};
use loket::session::proxies::{self, Proxies};
use loket::wire::follows::Follows;
use loket::wire::proxy_header::SIGNATURE;
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

const SECOND: u64 = 1_000_000;
const BIG: usize = 4_000_000;
const BOTH_WAYS: [bool; 2] = [true, false];

/// A server with the limits of the real one.
fn server(direct: bool) -> Simulation {
    Simulation::with(limits(), &big_file(BIG), &Faults::default(), direct)
}

/// A server with another idle deadline than the real one.
fn with_idle_deadline(idle_seconds: u32) -> Simulation {
    let mut limits = limits();
    limits.idle_seconds = Some(idle_seconds);
    Simulation::with(limits, &big_file(BIG), &Faults::default(), true)
}

/// A peer that has requested the big file and has `room` bytes of receive buffer.
fn reader(simulation: &mut Simulation, room: usize) -> Peer {
    let peer = simulation.accept(Service::Files, room);
    simulation.say(&peer, "download big\n");
    simulation.run();
    peer
}

/// Calls `act` once a second until the peer is closed; returns when that was, and why.
fn closed_within(
    simulation: &mut Simulation,
    peer: &Peer,
    seconds: u32,
    mut act: impl FnMut(&mut Simulation),
) -> Option<(u32, CloseReason)> {
    let start = simulation.now.seconds();
    for _ in 0..seconds {
        act(simulation);
        simulation.pass(SECOND);
        if let Some(reason) = simulation.closed(peer) {
            return Some((simulation.now.seconds() - start, reason));
        }
    }
    None
}

#[test]
fn an_unfinished_command_is_closed_although_bytes_arrive() {
    for (service, first, endless) in [
        (Service::Files, "ls\nsize ", "x"),
        (Service::Transfer, "SEND\n", "x"),
        (Service::Transfer, "SEND\nn\nn<SEPARATOR>", "0"),
    ] {
        let mut simulation = server(true);
        let peer = simulation.connect(service);
        simulation.say(&peer, first);
        let ended = closed_within(&mut simulation, &peer, 100, |simulation| {
            simulation.say(&peer, endless);
        });
        let (seconds, reason) = ended.expect("it is closed");
        assert_eq!(reason, CloseReason::Unfinished, "{first:?}");
        assert!(
            seconds >= REACTOR.command_seconds,
            "{first:?} after {seconds} s"
        );
    }
}

#[test]
fn single_bytes_do_not_extend_the_command_deadline() {
    let mut simulation = server(true);
    // A typed command, which only its line end completes.
    let peer = simulation.connect(Service::Files);
    simulation.say(&peer, "rm ");
    simulation.pass(SECOND / 2);
    for _ in 0..2 * REACTOR.command_seconds {
        simulation.say(&peer, "x");
        simulation.pass(SECOND / 2);
    }
    assert_eq!(simulation.closed(&peer), None);
    simulation.say(&peer, "x");
    simulation.pass(SECOND);
    assert_eq!(simulation.closed(&peer), Some(CloseReason::Unfinished));
}

#[test]
fn complete_commands_restart_the_deadline_of_a_partial_one() {
    let mut simulation = server(true);
    let peer = simulation.connect(Service::Files);
    simulation.say(&peer, "ls\nsi");
    let ended = closed_within(
        &mut simulation,
        &peer,
        10 * REACTOR.command_seconds,
        |simulation| {
            simulation.say(&peer, "ze big\nsi");
        },
    );
    assert_eq!(ended, None);
    let answers = peer.text().matches("OK 4000000 ").count();
    assert_eq!(answers, 10 * REACTOR.command_seconds as usize);
    let (seconds, reason) =
        closed_within(&mut simulation, &peer, 100, |_| ()).expect("it is closed");
    assert_eq!(reason, CloseReason::Unfinished);
    assert!(seconds <= REACTOR.command_seconds + 2, "{seconds} s");
}

#[test]
fn an_upload_below_the_minimum_rate_is_closed_and_one_above_it_is_not() {
    for direct in BOTH_WAYS {
        for head in ["upload new 4000000\n", "upload new"] {
            let slow = REACTOR.min_rate as usize * 9 / 10;
            let fast = REACTOR.min_rate as usize * 11 / 10;
            let mut simulation = server(direct);
            let [slow, fast] = [slow, fast].map(|rate| {
                let peer = simulation.connect(Service::Files);
                simulation.say(&peer, head);
                simulation.pass(SECOND / 2);
                (peer, rate)
            });
            let mut ended = None;
            for second in 0..10 * REACTOR.rate_seconds {
                for (peer, rate) in [&slow, &fast] {
                    simulation.say(peer, vec![7; *rate]);
                }
                simulation.pass(SECOND);
                ended = ended.or_else(|| Some((second, simulation.closed(&slow.0)?)));
            }
            let (second, reason) = ended.expect("below the rate");
            assert_eq!(reason, CloseReason::TooSlow, "{head:?} {direct}");
            assert!(
                second >= REACTOR.rate_seconds - 2,
                "closed after {second} s"
            );
            assert_eq!(simulation.closed(&fast.0), None, "{head:?} {direct}");
            assert_eq!(simulation.store.uploads(), 1, "the slow one is discarded");
            assert!(!simulation.store.files().contains_key("new"));
        }
    }
}

#[test]
fn a_download_below_the_minimum_rate_is_closed_and_one_above_it_is_not() {
    for direct in BOTH_WAYS {
        for (rate, reason) in [
            (
                REACTOR.min_rate as usize * 9 / 10,
                Some(CloseReason::TooSlow),
            ),
            (REACTOR.min_rate as usize * 11 / 10, None),
        ] {
            let mut simulation = server(direct);
            let peer = reader(&mut simulation, 0);
            let ended = closed_within(
                &mut simulation,
                &peer,
                10 * REACTOR.rate_seconds,
                |simulation| {
                    simulation.make_room(&peer, rate);
                },
            );
            assert_eq!(ended.map(|(_, reason)| reason), reason, "{rate} B/s");
            assert!(ended.is_none_or(|(seconds, _)| seconds >= REACTOR.rate_seconds));
        }
    }
}

#[test]
fn a_download_in_the_clients_buffers_is_kept_until_the_idle_deadline() {
    let mut simulation = server(true);
    let peer = reader(&mut simulation, 2_500_000);
    let ended = closed_within(&mut simulation, &peer, 120, |_| ());
    assert_eq!(ended, None, "the peer may be reading its receive buffer");
    let rest = IDLE_SECONDS - 120;
    let (seconds, reason) = closed_within(&mut simulation, &peer, 400, |_| ()).expect("idle");
    assert_eq!(reason, CloseReason::Idle);
    assert!(
        (rest..=rest + 2).contains(&seconds),
        "{seconds} s after 120"
    );
}

#[test]
fn a_fast_start_does_not_allow_a_slow_rest() {
    let mut limits = limits();
    limits.rate_surplus = 4 * REACTOR.min_rate * u64::from(REACTOR.rate_seconds);
    let mut simulation = Simulation::with(limits, &big_file(BIG), &Faults::default(), true);
    let peer = reader(&mut simulation, 2_500_000);
    let ended = closed_within(
        &mut simulation,
        &peer,
        10 * REACTOR.rate_seconds,
        |simulation| {
            simulation.make_room(&peer, 1);
        },
    );
    let (seconds, reason) = ended.expect("the surplus is used up");
    assert_eq!(reason, CloseReason::TooSlow);
    assert!(seconds >= 5 * REACTOR.rate_seconds, "it was {seconds} s");
}

#[test]
fn a_short_idle_deadline_closes_every_inactive_connection() {
    let mut simulation = with_idle_deadline(3);
    let half_a_command = simulation.connect(Service::Files);
    simulation.say(&half_a_command, "ls\nsi");
    let half_a_body = simulation.connect(Service::Files);
    simulation.say(&half_a_body, "upload new 100\nhalf");
    let reads_nothing = reader(&mut simulation, 100);
    let works = simulation.connect(Service::Files);
    simulation.say(&works, "upload other 100000\n");
    for second in 0..6 {
        if second < 3 {
            for peer in [&half_a_command, &half_a_body, &reads_nothing] {
                assert_eq!(simulation.closed(peer), None, "after {second} s");
            }
        }
        simulation.say(&works, vec![7; 2_000]);
        simulation.pass(SECOND);
    }
    for peer in [&half_a_command, &half_a_body, &reads_nothing] {
        assert_eq!(simulation.closed(peer), Some(CloseReason::Idle));
    }
    assert_eq!(simulation.closed(&works), None);
    let trickles = reader(&mut simulation, 0);
    let ended = closed_within(&mut simulation, &trickles, 100, |simulation| {
        simulation.make_room(&trickles, 1);
    });
    assert_eq!(ended.expect("it is too slow").1, CloseReason::TooSlow);
}

#[test]
fn a_connection_that_waits_for_the_disk_is_closed_by_no_other_deadline() {
    let faults = Faults {
        waits: true,
        ..Faults::default()
    };
    let mut limits = limits();
    limits.disk_seconds = 1_000 * IDLE_SECONDS;
    let mut simulation = Simulation::with(limits, &big_file(BIG), &faults, true);
    let asks = [
        (Service::Files, "upload new 3\n", "new", "OK\n"),
        (Service::Files, "upload new 3\n", "newsi", "OK\n"),
        (Service::Files, "", "rm big\n", ""),
        (Service::Files, "", "ls\n", ""),
        (Service::Transfer, "SEND\nn\nn<SEPARATOR>3\n", "new", "OK\n"),
    ];
    let peers = asks.map(|(service, before, ..)| {
        let peer = simulation.connect(service);
        simulation.say(&peer, before);
        peer
    });
    simulation.run();
    simulation.disk_hangs = true;
    for (peer, (_, _, words, answered)) in peers.iter().zip(asks) {
        simulation.say(peer, words);
        simulation.run();
        assert_eq!(peer.text(), answered, "{words:?}");
    }
    let idle = simulation.connect(Service::Files);
    simulation.pass(100 * u64::from(IDLE_SECONDS) * SECOND);
    assert_eq!(simulation.closed(&idle), Some(CloseReason::Idle));
    for (peer, (_, _, words, _)) in peers.iter().zip(asks) {
        assert_eq!(simulation.closed(peer), None, "{words:?}");
    }
    simulation.disk_hangs = false;
    simulation.dispatcher.end_waits(simulation.store.finished());
    simulation.run();
    for (peer, (_, _, words, answered)) in peers.iter().zip(asks) {
        assert!(peer.text().len() > answered.len(), "{words:?} is answered");
    }
    // The disk is done: the deadlines of the peer apply again.
    simulation.pass(u64::from(IDLE_SECONDS + 2) * SECOND);
    for (peer, (_, _, words, _)) in peers.iter().zip(asks) {
        assert!(simulation.closed(peer).is_some(), "{words:?}");
    }
}

fn sends(peer: &Peer) -> usize {
    let calls = peer.calls().into_iter();
    calls
        .filter(|call| matches!(call, Call::SendBody { .. }))
        .count()
}

fn turns(simulation: &Simulation) -> usize {
    let seen = simulation.seen().into_iter();
    seen.filter(|seen| matches!(seen, Seen::Turn(_))).count()
}

/// A server on whose disk every piece of a file waits until the test finishes it.
fn with_cold_files() -> Simulation {
    let faults = Faults {
        pieces_wait: true,
        ..Faults::default()
    };
    let mut simulation = Simulation::with(limits(), &big_file(BIG), &faults, true);
    simulation.disk_hangs = true;
    simulation
}

#[test]
fn a_file_that_is_not_in_memory_is_asked_for_once_a_piece() {
    let mut simulation = with_cold_files();
    let cold = simulation.accept(Service::Files, usize::MAX / 2);
    let other = simulation.connect(Service::Files);
    simulation.say(&cold, "download big\n");
    simulation.run();
    let mut pieces = 0;
    while cold.got().len() < BIG {
        pieces += 1;
        assert_eq!(sends(&cold), 2 * pieces - 1, "one call for the job");
        let before = turns(&simulation);
        simulation.pass(SECOND);
        assert_eq!(turns(&simulation), before, "no connection has work");
        simulation.say(&other, "size big\n");
        // A readiness event does not ask again.
        simulation.make_room(&cold, 1);
        simulation.say(&cold, "size big\n");
        simulation.run();
        assert_eq!(other.text().matches("OK 4000000 ").count(), pieces);
        assert_eq!(sends(&cold), 2 * pieces - 1);
        assert!(simulation.store.finish_next(), "a piece is read");
        simulation.dispatcher.end_waits(simulation.store.finished());
        simulation.run();
    }
    assert!(pieces > 1);
    assert!(
        cold.text().ends_with("MB\n"),
        "and the replies to the commands after it"
    );
}

#[test]
fn a_peer_that_disconnects_while_its_file_is_read_leaks_nothing() {
    let mut simulation = with_cold_files();
    let peer = simulation.accept(Service::Files, usize::MAX / 2);
    simulation.say(&peer, "download big\n");
    simulation.pass(SECOND);
    simulation.reset(&peer);
    simulation.run();
    assert_eq!(simulation.closed(&peer), Some(CloseReason::PeerReset));
    assert_eq!(simulation.store.blobs(), 0);
    let next = simulation.connect(Service::Echo);
    assert_eq!(next.id.slot(), peer.id.slot());
    let before = turns(&simulation);
    assert!(
        simulation.store.finish_next(),
        "the job ends without a peer"
    );
    simulation.dispatcher.end_waits(simulation.store.finished());
    simulation.pass(SECOND);
    assert_eq!(turns(&simulation), before);
    assert_eq!(simulation.dispatcher.connections(), 1);
}

#[test]
fn a_disk_that_does_not_answer_ends_a_wait_after_its_deadline() {
    let mut simulation = with_cold_files();
    simulation.disk_hangs = true;
    let seconds = REACTOR.disk_seconds;
    let peer = reader(&mut simulation, usize::MAX / 2);
    let closed = closed_within(&mut simulation, &peer, seconds + 10, |_| {});
    let (after, reason) = closed.expect("it is closed");
    assert_eq!(reason, CloseReason::DiskStalled);
    assert!((seconds..=seconds + 2).contains(&after), "{after} s");
}

#[test]
fn the_minimum_rate_applies_to_a_reader_beside_its_waits_for_the_disk() {
    let mut simulation = with_cold_files();
    let peer = reader(&mut simulation, 100);
    let closed = closed_within(&mut simulation, &peer, 200, |simulation| {
        // Each second the disk reads a piece, and the peer takes a few bytes of it.
        simulation.make_room(&peer, 10);
        simulation.run();
        simulation.store.finish_next();
        simulation.dispatcher.end_waits(simulation.store.finished());
        simulation.run();
    });
    let (after, reason) = closed.expect("it is closed");
    assert_eq!(reason, CloseReason::TooSlow);
    assert!(after <= 2 * REACTOR.rate_seconds + 2, "{after} s");
}

#[test]
fn a_broken_connection_with_unread_input_waits_only_a_moment_for_the_disk() {
    let faults = Faults {
        waits: true,
        ..Faults::default()
    };
    let mut simulation = Simulation::with(limits(), &big_file(BIG), &faults, true);
    simulation.disk_hangs = true;
    let (idle, busy) = (
        simulation.connect(Service::Files),
        simulation.connect(Service::Files),
    );
    for peer in [&idle, &busy] {
        simulation.say(peer, "upload new 1\n");
        simulation.run();
    }
    simulation.say(&busy, "x");
    simulation.run();
    for peer in [&idle, &busy] {
        simulation.reset(peer);
    }
    simulation.run();
    assert_eq!(simulation.closed(&idle), Some(CloseReason::PeerReset));
    assert_eq!(simulation.closed(&busy), None, "its upload may be whole");
    simulation.pass(2 * REACTOR.linger_millis * 1_000);
    assert_eq!(simulation.closed(&busy), Some(CloseReason::PeerReset));
}

/// Passes all calls on to the protocol, and keeps the lines that it logs at a deadline.
struct Logged(Box<dyn Protocol>, Rc<RefCell<Vec<String>>>);

impl Protocol for Logged {
    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        self.0.on_bytes(input, follows, cx)
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut Context<'_>) -> Reaction {
        let before = cx.posts.len();
        let reaction = self.0.on_notice(notice, cx);
        for post in &cx.posts[before..] {
            if let Notice::Log(entry) = &post.notice {
                self.1.borrow_mut().push(entry.line.clone());
            }
        }
        reaction
    }

    fn must_begin(&self) -> bool {
        self.0.must_begin()
    }
}

#[test]
fn the_header_of_a_proxy_must_begin_and_end_in_the_time_of_a_command() {
    let proxy = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 9), 5));
    let network = proxies::network("127.0.0.9").expect("an address");
    let header = [&SIGNATURE[..], b"\x21\x11\0\x0c", &[1; 12]].concat();
    // Silence, and a byte every two seconds.
    for sent in [0, 14] {
        let mut simulation = server(true);
        let store = simulation.store.clone();
        let service = Rc::new(Proxied {
            name: "files",
            proxies: Rc::new(Proxies::new(vec![network])),
            make: Box::new(move |_| Service::Files.protocol(&store)),
            refusal: None,
            longest: PROXY_HEADER,
        });
        let logged = Rc::new(RefCell::new(Vec::new()));
        let greeting = Box::new(Logged(service.greet(proxy), logged.clone()));
        let peer = simulation.open(greeting, usize::MAX / 2);
        for byte in header.chunks(1).take(sent) {
            simulation.say(&peer, byte);
            simulation.pass(2 * SECOND);
        }
        let before = simulation.now.seconds();
        assert_eq!(simulation.closed(&peer), None, "after {before} s");
        let ended = closed_within(&mut simulation, &peer, 100, |_| ());
        let (seconds, reason) = ended.expect("it is closed");
        assert_eq!(reason, CloseReason::Unfinished);
        let seconds = before + seconds;
        let allowed = REACTOR.command_seconds..=REACTOR.command_seconds + 2;
        assert!(allowed.contains(&seconds), "{sent} bytes: {seconds} s");
        let wanted = format!("files: {proxy} rejected: its PROXY header did not arrive in time");
        assert_eq!(*logged.borrow(), [wanted]);
        assert_eq!(peer.text(), "");
    }
}
