//! Turns lose no event, starve no connection and close at the deadlines, whatever the sockets do.
//! Runs on a simulated kernel in virtual time.

use crate::memory::Service;
use crate::memory::store::{Fault, Faults, Files, Memory};
use crate::sim::by_hand::{Peer, Probe, Seen, Shown, Simulation, big_file, limits, socket};
use crate::sim::io::SimIo;
use crate::sim::sim_socket::Call;
use loket::config::reactor::{OUTBOX_HIGH_WATER, REACTOR};
use loket::config::services::SERVICES;
use loket::reactor::clock::Moment;
use loket::reactor::connection::{Connection, Phase};
use loket::reactor::turn::{Scratch, Turn};
use loket::services::operator::Operator;
use loket::session::close_reason::CloseReason;
use loket::session::observer::TurnEnd;
use loket::session::session::Session;
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::wire::follows::{Follows, Timer};
use std::rc::Rc;

const SECOND: u64 = 1_000_000;
const SETTLE: u64 = 50_000;
const BIG: usize = 1_000_000;

fn reads(peer: &Peer) -> Vec<Option<usize>> {
    let calls = peer.calls().into_iter();
    calls
        .filter_map(|call| match call {
            Call::Read { got, .. } => Some(got),
            _ => None,
        })
        .collect()
}

fn probe(simulation: &mut Simulation, awaits: Option<Timer>) -> (Peer, Shown) {
    let shown = Shown::default();
    let probe = Probe {
        shown: shown.clone(),
        awaits,
    };
    let peer = simulation.open(Box::new(probe), usize::MAX / 2);
    simulation.run();
    (peer, shown)
}

fn silences(shown: &Shown, delay: Timer) -> usize {
    let shown = shown.borrow();
    shown
        .iter()
        .filter(|(_, follows)| *follows == Follows::Silence(delay))
        .count()
}

#[test]
fn a_read_that_fills_the_buffer_exactly_is_read_again() {
    for more in [0, 1, REACTOR.read_buffer, REACTOR.read_buffer + 1] {
        let mut simulation = Simulation::new(&Files::new());
        let peer = simulation.connect(Service::Echo);
        simulation.say(&peer, vec![7; REACTOR.read_buffer + more]);
        simulation.run();
        assert_eq!(peer.got().len(), REACTOR.read_buffer + more);
        assert_eq!(peer.unread(), 0);
    }
}

#[test]
fn a_short_read_is_not_followed_by_another() {
    let mut simulation = Simulation::new(&Files::new());
    let peer = simulation.connect(Service::Echo);
    simulation.say(&peer, "hello");
    simulation.run();
    simulation.say(&peer, "again");
    simulation.run();
    assert_eq!(reads(&peer), [None, Some(5), Some(5)]);
}

#[test]
fn an_end_of_stream_that_came_with_the_last_bytes_is_seen() {
    for length in [0, 1, 5, REACTOR.read_buffer, REACTOR.read_buffer + 1] {
        let mut simulation = Simulation::new(&Files::new());
        let peer = simulation.connect(Service::Echo);
        simulation.say_and_finish(&peer, vec![7; length]);
        simulation.run();
        assert_eq!(peer.got().len(), length);
        assert_eq!(
            simulation.closed(&peer),
            Some(CloseReason::PeerFinished),
            "{length}"
        );
        assert!(peer.is_closed());
    }
}

#[test]
fn bytes_that_arrived_before_registration_are_read() {
    let mut simulation = Simulation::new(&Files::new());
    let peer = simulation.accept(Service::Echo, 100);
    peer.sends("early");
    simulation.run();
    assert_eq!(peer.text(), "early");
}

#[test]
fn a_visit_that_ends_in_its_first_turn_is_never_registered() {
    let mut simulation = Simulation::new(&Files::new());
    let is_registered = |peer: &Peer| peer.socket.borrow().id.is_some();
    let visit = simulation.accept(Service::Echo, 100);
    visit.sends("early");
    visit.socket.borrow_mut().end_arrived = true;
    let stays = simulation.accept(Service::Echo, 100);
    simulation.run();
    assert_eq!(visit.text(), "early");
    assert_eq!(simulation.closed(&visit), Some(CloseReason::PeerFinished));
    assert!(!is_registered(&visit) && is_registered(&stays));
}

#[test]
fn an_interrupted_call_is_repeated() {
    let mut simulation = Simulation::new(&Files::new());
    let peer = simulation.connect(Service::Echo);
    for interrupts in 1..4 {
        peer.socket.borrow_mut().interrupts = interrupts;
        simulation.say(&peer, "x");
        simulation.run();
    }
    assert_eq!(peer.text(), "xxx");
}

#[test]
fn output_that_did_not_fit_is_sent_when_there_is_room() {
    let mut simulation = Simulation::new(&Files::new());
    let peer = simulation.accept(Service::Echo, 2);
    simulation.say(&peer, "0123456789");
    simulation.run();
    assert_eq!(peer.text(), "01");
    simulation.make_room(&peer, 3);
    simulation.run();
    assert_eq!(peer.text(), "01234");
    simulation.make_room(&peer, 100);
    simulation.run();
    assert_eq!(peer.text(), "0123456789");
}

#[test]
fn a_spent_budget_goes_to_the_back_of_the_queue() {
    let mut simulation = Simulation::new(&Files::new());
    let peers: Vec<Peer> = (0..3).map(|_| simulation.connect(Service::Echo)).collect();
    for peer in &peers {
        simulation.say(peer, vec![7; BIG]);
    }
    let before = simulation.seen().len();
    simulation.round();
    // A turn ends after the step that uses up its budget: a read and a write of a whole buffer.
    let most = REACTOR.turn_bytes + 2 * REACTOR.read_buffer;
    for peer in &peers {
        let moved = peer.got().len() + BIG - peer.unread();
        assert!(
            (REACTOR.turn_bytes..=2 * most).contains(&moved),
            "{moved} bytes in one turn"
        );
    }
    simulation.run();
    let seen = simulation.seen().split_off(before);
    let turns: Vec<u32> = seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Turn(serial) => Some(*serial),
            _ => None,
        })
        .collect();
    let in_turn: Vec<u32> = peers.iter().map(|peer| peer.id.serial()).collect();
    assert!(turns.len() > 6);
    assert!(turns.chunks(3).all(|round| round == in_turn), "{turns:?}");
    assert_eq!(seen[1], Seen::Ended(in_turn[0], TurnEnd::Requeue));
    assert!(peers.iter().all(|peer| peer.got().len() == BIG));
}

/// The number of answers that a peer has received.
type Answers<'a> = &'a dyn Fn(&Peer) -> usize;

#[test]
fn a_connection_with_more_work_yields_to_short_turns() {
    const ASKED: usize = 10 * REACTOR.turn_calls;
    let lines = |peer: &Peer| peer.got().iter().filter(|byte| **byte == b'\n').count();
    let bytes = |peer: &Peer| peer.got().len();
    let answers_by: [Answers; 2] = [&bytes, &lines];
    let rows: [(Service, Vec<u8>, &[u8], usize); 2] = [
        (Service::Echo, vec![7; BIG], b"more", BIG + 9 * 4),
        (
            Service::Files,
            b"size none\n".repeat(ASKED),
            b"size none\n",
            ASKED + 9,
        ),
    ];
    for ((service, first, more, all), answers) in rows.into_iter().zip(answers_by) {
        let mut simulation = Simulation::new(&Files::new());
        let asking: Vec<Peer> = (0..50).map(|_| simulation.connect(service)).collect();
        let small = simulation.connect(Service::Echo);
        for peer in &asking {
            simulation.say(peer, &first);
        }
        simulation.round();
        for echoed in 1..10 {
            let before: Vec<usize> = asking.iter().map(answers).collect();
            simulation.say(&small, "x");
            // New input does not move a connection to the front.
            for peer in &asking {
                simulation.say(peer, more);
            }
            simulation.round();
            assert_eq!(small.got().len(), echoed);
            let served = asking.iter().zip(before);
            let served = served.filter(|(peer, before)| answers(peer) != *before);
            assert!(
                served.count() <= 1,
                "one bulk turn in a round with a short one"
            );
        }
        simulation.run();
        assert!(asking.iter().all(|peer| answers(peer) == all));
    }
}

#[test]
fn a_stale_id_finds_no_connection() {
    let mut simulation = Simulation::new(&Files::new());
    let old = simulation.connect(Service::Echo);
    simulation.say_and_finish(&old, "");
    simulation.run();
    assert!(simulation.closed(&old).is_some());
    let (new, shown) = probe(&mut simulation, None);
    assert_eq!(
        (old.id.slot(), old.id.serial() + 1),
        (new.id.slot(), new.id.serial())
    );
    let before = (simulation.seen(), reads(&new));
    simulation.say_and_finish(&old, "late");
    simulation.reset(&old);
    simulation.run();
    assert_eq!(before, (simulation.seen(), reads(&new)));
    assert!(shown.borrow().is_empty());
}

#[test]
fn a_timer_of_a_closed_connection_does_not_reach_the_next_one_in_its_slot() {
    let mut simulation = Simulation::new(&Files::new());
    let (old, _) = probe(&mut simulation, Some(Timer::Settle));
    simulation.reset(&old);
    simulation.run();
    simulation.pass(SETTLE / 2);
    let (new, shown) = probe(&mut simulation, Some(Timer::Settle));
    assert_eq!(old.id.slot(), new.id.slot());
    simulation.pass(SETTLE - 1);
    assert_eq!(silences(&shown, Timer::Settle), 0);
    simulation.pass(1);
    assert_eq!(silences(&shown, Timer::Settle), 1);
}

#[test]
fn an_idle_session_holds_no_buffers() {
    let socket = socket(100);
    let say_hello = || {
        socket.borrow_mut().script.say("hello");
        socket.borrow_mut().arrive(5);
    };
    let session = Session::new(Service::Echo.protocol(&Memory::default()), SessionId(1));
    let mut connection = Connection::new(socket.clone(), session, 0, Moment(0));
    let mut shared = Shared::new(OUTBOX_HIGH_WATER);
    let (mut scratch, limits) = (Scratch::new(REACTOR.read_buffer), limits());
    let mut serve = |connection: &mut Connection<_>| {
        let mut turn = Turn {
            io: &mut SimIo {
                direct: true,
                ..SimIo::default()
            },
            shared: &mut shared,
            scratch: &mut scratch,
            limits: &limits,
            now: Moment(0),
            bulk: false,
            calls: usize::MAX,
            spent: 0,
        };
        turn.serve(connection)
    };
    say_hello();
    assert_eq!(serve(&mut connection), TurnEnd::Parked);
    assert!(
        connection.session.outbox().is_none(),
        "all is sent: no outbox is kept"
    );

    (socket.borrow_mut().window, connection.ready.readable) = (5, true);
    say_hello();
    assert_eq!(serve(&mut connection), TurnEnd::Parked);
    assert!(connection.session.has_unsent(), "unsent output is kept");

    (socket.borrow_mut().window, connection.ready.writable) = (100, true);
    assert_eq!(serve(&mut connection), TurnEnd::Parked);
    assert!(
        connection.session.outbox().is_none(),
        "and freed when it is sent"
    );
    assert_eq!(connection.phase, Phase::Open);
}

#[test]
fn high_water_stops_reading() {
    let mut simulation = Simulation::new(&Files::new());
    let peer = simulation.accept(Service::Echo, 0);
    simulation.say(&peer, vec![7; BIG]);
    simulation.run();
    let taken = BIG - peer.unread();
    assert!(
        taken < OUTBOX_HIGH_WATER + REACTOR.read_buffer,
        "{taken} bytes are held"
    );
    simulation.make_room(&peer, 2 * BIG);
    simulation.run();
    assert_eq!(
        peer.got().len(),
        BIG,
        "reading continues when the peer reads"
    );
}

#[test]
fn a_silence_is_reported_once() {
    let mut simulation = Simulation::new(&Files::new());
    let (peer, shown) = probe(&mut simulation, Some(Timer::Settle));
    simulation.say(&peer, "x");
    simulation.pass(SETTLE - 1);
    assert_eq!(silences(&shown, Timer::Settle), 0);
    simulation.pass(1);
    assert_eq!(silences(&shown, Timer::Settle), 1);
    simulation.pass(10 * SECOND);
    assert_eq!(
        silences(&shown, Timer::Settle),
        1,
        "nothing has arrived since"
    );
    simulation.say(&peer, "y");
    simulation.pass(10 * SECOND);
    assert_eq!(
        silences(&shown, Timer::Settle),
        2,
        "a new byte starts a new silence"
    );
}

#[test]
fn a_silence_is_measured_from_the_last_byte() {
    let mut simulation = Simulation::new(&Files::new());
    let (peer, shown) = probe(&mut simulation, Some(Timer::Settle));
    for _ in 0..10 {
        simulation.say(&peer, "x");
        simulation.pass(SETTLE - 1);
    }
    assert_eq!(silences(&shown, Timer::Settle), 0);
    simulation.pass(1);
    assert_eq!(silences(&shown, Timer::Settle), 1);
}

#[test]
fn a_late_byte_voids_a_silence() {
    let mut simulation = Simulation::new(&Files::new());
    let (peer, shown) = probe(&mut simulation, Some(Timer::Settle));
    simulation.say(&peer, "x");
    simulation.run();
    // The timer has expired and the byte has arrived: both before the turn.
    simulation.now = simulation.now.after(SETTLE);
    simulation.dispatcher.on_time(simulation.now);
    simulation.say(&peer, "y");
    simulation.run();
    assert_eq!(silences(&shown, Timer::Settle), 0);
    assert_eq!(shown.borrow().last(), Some(&(b"y".to_vec(), Follows::More)));
}

#[test]
fn lingering_ends_after_its_bytes_or_its_time() {
    let refused = |simulation: &mut Simulation| {
        let peer = simulation.connect(Service::Files);
        simulation.say(&peer, "nonsense\n");
        simulation.run();
        assert!(peer.text().starts_with("ERROR "));
        assert_eq!(peer.calls().last(), Some(&Call::FinishWriting));
        assert_eq!(simulation.closed(&peer), None);
        peer
    };
    let mut simulation = Simulation::new(&Files::new());
    let talks = refused(&mut simulation);
    simulation.say(&talks, vec![7; REACTOR.linger_bytes - 1]);
    simulation.run();
    assert_eq!((talks.unread(), simulation.closed(&talks)), (0, None));
    simulation.say(&talks, vec![7; REACTOR.linger_bytes]);
    simulation.run();
    assert_eq!(simulation.closed(&talks), Some(CloseReason::Refused));
    assert!(
        talks.unread() >= REACTOR.linger_bytes - REACTOR.read_buffer,
        "no more than the limit is read"
    );

    let silent = refused(&mut simulation);
    simulation.pass(2 * SECOND - 1);
    assert_eq!(simulation.closed(&silent), None);
    simulation.pass(1);
    assert_eq!(simulation.closed(&silent), Some(CloseReason::Refused));

    let trickles = refused(&mut simulation);
    for _ in 0..20 {
        simulation.say(&trickles, "x");
        simulation.pass(SECOND / 10);
    }
    assert_eq!(
        simulation.closed(&trickles),
        Some(CloseReason::Refused),
        "bytes do not extend it"
    );

    let finishes = refused(&mut simulation);
    simulation.say_and_finish(&finishes, "x");
    simulation.run();
    assert_eq!(simulation.closed(&finishes), Some(CloseReason::Refused));
}

#[test]
fn deadlines_close_idle_connections() {
    let mut simulation = Simulation::new(&Files::new());
    let idle = simulation.connect(Service::Echo);
    let busy = simulation.connect(Service::Echo);
    for _ in 0..302 {
        simulation.say(&busy, "x");
        simulation.pass(SECOND);
    }
    assert_eq!(simulation.closed(&idle), Some(CloseReason::Idle));
    assert_eq!(simulation.closed(&busy), None);
    let mut endless = limits();
    endless.idle_seconds = None;
    let mut simulation = Simulation::with(endless, &Files::new(), &Faults::default(), true);
    let idle = simulation.connect(Service::Echo);
    simulation.pass(1_000_000 * SECOND);
    assert_eq!(simulation.closed(&idle), None);
}

#[test]
fn a_command_completed_by_silence_is_not_closed_as_unfinished() {
    let mut simulation = Simulation::new(&big_file(BIG));
    let peer = simulation.accept(Service::Files, 0);
    simulation.say(&peer, "size big");
    simulation.pass(290 * SECOND);
    assert_eq!(simulation.closed(&peer), None, "its answer is not read yet");
    simulation.pass(20 * SECOND);
    assert_eq!(simulation.closed(&peer), Some(CloseReason::Idle));
}

#[test]
fn bytes_that_a_full_disk_refused_count_as_progress() {
    for direct in [false, true] {
        let faults = Faults {
            every: Some(Fault::Full(0)),
            ..Faults::default()
        };
        let mut simulation = Simulation::with(limits(), &Files::new(), &faults, direct);
        let peer = simulation.accept(Service::Files, "OK\n".len());
        simulation.say(&peer, "upload a 100000\n");
        simulation.pass(20 * SECOND);
        simulation.say(&peer, vec![7; 50_000]);
        simulation.pass(290 * SECOND);
        assert_eq!(simulation.closed(&peer), None, "its answer is not read yet");
        simulation.pass(20 * SECOND);
        assert_eq!(simulation.closed(&peer), Some(CloseReason::Idle));
    }
}

#[test]
fn an_empty_body_ends_after_a_wait_for_the_disk() {
    for direct in [false, true] {
        let faults = Faults {
            waits: true,
            ..Faults::default()
        };
        let mut simulation = Simulation::with(limits(), &Files::new(), &faults, direct);
        let peer = simulation.connect(Service::Files);
        simulation.say(&peer, "upload a 0\n");
        simulation.run();
        assert_eq!(peer.text(), "OK\nOK File Berhasil Dibuat\n");
    }
}

#[test]
fn an_operator_with_a_stopped_screen_is_not_closed_as_too_slow() {
    let mut simulation = Simulation::new(&Files::new());
    let limits = Rc::new(SERVICES);
    let operator = simulation.open(Box::new(Operator::new(limits, None, None)), 0);
    let unknown = format!("/{}\n", "x".repeat(4_000));
    simulation.say(&operator, unknown.repeat(OUTBOX_HIGH_WATER / 4_000 + 1));
    simulation.pass(600 * SECOND);
    assert_eq!(simulation.closed(&operator), None);
    simulation.make_room(&operator, BIG);
    simulation.run();
    assert_eq!(operator.unread(), 0, "it continues when the screen is read");
}

#[test]
fn a_tab_gets_a_heartbeat_in_each_silence_and_is_closed_if_it_reads_none() {
    let mut simulation = Simulation::new(&Files::new());
    let request = "GET /-/events?client HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let tab = simulation.connect(Service::Http);
    simulation.say(&tab, request);
    simulation.run();
    let length = tab.got().len();
    simulation.pass(600 * SECOND);
    let beats = ": \n\n".repeat(600 / 15);
    assert_eq!(tab.text()[length..], beats, "and no deadline closes it");
    let stalled = simulation.accept(Service::Http, length);
    simulation.say(&stalled, request);
    simulation.pass(14 * SECOND);
    // What it sends has no meaning.
    simulation.say(&stalled, request);
    simulation.pass(31 * SECOND);
    assert_eq!(simulation.closed(&stalled), None);
    simulation.pass(2 * SECOND);
    assert_eq!(simulation.closed(&stalled), Some(CloseReason::SlowReader));
}

#[test]
fn a_deadline_is_never_early() {
    let mut simulation = Simulation::new(&Files::new());
    simulation.pass(SECOND / 2);
    let peer = simulation.connect(Service::Echo);
    simulation.pass(300 * SECOND - 1);
    assert_eq!(simulation.closed(&peer), None);
    simulation.pass(SECOND);
    assert_eq!(simulation.closed(&peer), Some(CloseReason::Idle));
}

#[test]
fn a_partial_command_is_acknowledged_at_once() {
    let mut simulation = Simulation::new(&big_file(BIG));
    let peer = simulation.connect(Service::Files);
    simulation.say(&peer, "size ");
    simulation.run();
    assert!(peer.calls().contains(&Call::Acknowledge));
    simulation.say(&peer, "big\n");
    simulation.run();
    peer.socket.borrow_mut().calls.clear();
    simulation.say(&peer, "size ");
    simulation.run();
    assert!(
        !peer.calls().contains(&Call::Acknowledge),
        "a line client needs no quick ACK"
    );
}

#[test]
fn draining_completes_transfers_and_closes_idle_connections() {
    let mut simulation = Simulation::new(&big_file(BIG));
    let idle = simulation.connect(Service::Files);
    // The first request of a new connection may be in flight.
    simulation.pass(SECOND);
    let busy = simulation.accept(Service::Files, 0);
    simulation.say(&busy, "download big\n");
    simulation.run();
    simulation.dispatcher.drain(simulation.now);
    simulation.run();
    assert_eq!(simulation.closed(&idle), Some(CloseReason::Shutdown));
    assert_eq!(simulation.closed(&busy), None);
    simulation.make_room(&busy, 2 * BIG);
    simulation.run();
    assert_eq!(busy.got().len(), "OK 1000000\n".len() + BIG);
    assert_eq!(simulation.closed(&busy), Some(CloseReason::Shutdown));
    assert_eq!(simulation.dispatcher.connections(), 0);
}

#[test]
fn a_drain_waits_for_a_first_request_and_leaves_the_operator() {
    let mut simulation = Simulation::new(&Files::new());
    let operator = Operator::new(Rc::new(SERVICES), None, None);
    let operator = simulation.operator(Box::new(operator), BIG);
    let [speaks, silent] = [Service::Echo; 2].map(|service| simulation.connect(service));
    simulation.dispatcher.drain(simulation.now);
    simulation.run();
    simulation.say(&speaks, "hello");
    simulation.run();
    assert_eq!(speaks.text(), "hello", "its request was in flight");
    simulation.pass(3 * SECOND);
    for peer in [&speaks, &silent] {
        assert_eq!(simulation.closed(peer), Some(CloseReason::Shutdown));
    }
    assert_eq!(simulation.closed(&operator), None);
}
