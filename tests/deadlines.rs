//! Whoever holds a place without using it loses it, and nobody else does, in virtual time.
//! On a simulated kernel: that time passes at all is shown by the tests with real processes.

mod memory;
mod sim;

use loket::config::reactor::{IDLE_SECONDS, REACTOR};
use loket::session::close_reason::CloseReason;
use memory::Service;
use memory::store::{Faults, Files};
use sim::by_hand::{Peer, Seen, Simulation, limits};
use sim::sim_socket::Call;

const SECOND: u64 = 1_000_000;
const COLD_MICROS: u64 = REACTOR.cold_millis * 1_000;
const BIG: usize = 4_000_000;
const BOTH_WAYS: [bool; 2] = [true, false];

fn big_files() -> Files {
    let content = (0..BIG).map(|at| (at % 251) as u8).collect();
    [("big".to_owned(), content)].into()
}

/// A server with the limits of the real one.
fn server(direct: bool) -> Simulation {
    Simulation::with(limits(), &big_files(), &Faults::default(), direct)
}

/// A server with the limits of the real one but for the idle deadline.
fn impatient(idle_seconds: u32) -> Simulation {
    let mut limits = limits();
    limits.idle_seconds = Some(idle_seconds);
    Simulation::with(limits, &big_files(), &Faults::default(), true)
}

/// A peer that has asked for the big file and takes only so much of it.
fn reader(simulation: &mut Simulation, room: usize) -> Peer {
    let peer = simulation.accept(Service::Files, room);
    simulation.say(&peer, "download big\n");
    simulation.run();
    peer
}

/// Does something once a second until the peer is closed; says when and why that was.
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
fn a_command_that_is_never_finished_is_closed_although_bytes_come() {
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
        let (seconds, reason) = ended.expect("its deadline comes");
        assert_eq!(reason, CloseReason::Unfinished, "{first:?}");
        assert!(
            seconds >= REACTOR.command_seconds,
            "{first:?} after {seconds} s"
        );
    }
}

#[test]
fn an_undecided_peer_cannot_buy_time_byte_by_byte() {
    let mut simulation = server(true);
    // A command that is typed, and that only its line end completes.
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
fn whole_commands_with_a_cut_one_behind_them_go_on() {
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
    let (seconds, reason) = closed_within(&mut simulation, &peer, 100, |_| ()).expect("in the end");
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
            let [dragging, going] = [slow, fast].map(|rate| {
                let peer = simulation.connect(Service::Files);
                simulation.say(&peer, head);
                simulation.pass(SECOND / 2);
                (peer, rate)
            });
            let mut ended = None;
            for second in 0..10 * REACTOR.rate_seconds {
                for (peer, rate) in [&dragging, &going] {
                    simulation.say(peer, vec![7; *rate]);
                }
                simulation.pass(SECOND);
                ended = ended.or_else(|| Some((second, simulation.closed(&dragging.0)?)));
            }
            let (second, reason) = ended.expect("below the rate");
            assert_eq!(reason, CloseReason::TooSlow, "{head:?} {direct}");
            assert!(
                second >= REACTOR.rate_seconds - 2,
                "judged after {second} s"
            );
            assert_eq!(simulation.closed(&going.0), None, "{head:?} {direct}");
            assert_eq!(simulation.store.uploads(), 1, "the other one is given up");
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
fn a_reader_whose_kernel_took_much_at_once_is_left_alone_until_the_idle_deadline() {
    let mut simulation = server(true);
    let peer = reader(&mut simulation, 2_500_000);
    let ended = closed_within(&mut simulation, &peer, 120, |_| ());
    assert_eq!(ended, None, "the peer may be reading what its kernel holds");
    let rest = IDLE_SECONDS - 120;
    let (seconds, reason) = closed_within(&mut simulation, &peer, 400, |_| ()).expect("idle");
    assert_eq!(reason, CloseReason::Idle);
    assert!(
        (rest..=rest + 2).contains(&seconds),
        "{seconds} s after 120"
    );
}

#[test]
fn who_has_read_much_may_not_trickle_for_ever() {
    let mut limits = limits();
    limits.rate_surplus = 4 * REACTOR.min_rate * u64::from(REACTOR.rate_seconds);
    let mut simulation = Simulation::with(limits, &big_files(), &Faults::default(), true);
    let peer = reader(&mut simulation, 2_500_000);
    let ended = closed_within(
        &mut simulation,
        &peer,
        10 * REACTOR.rate_seconds,
        |simulation| {
            simulation.make_room(&peer, 1);
        },
    );
    let (seconds, reason) = ended.expect("what it had taken is used up");
    assert_eq!(reason, CloseReason::TooSlow);
    assert!(seconds >= 5 * REACTOR.rate_seconds, "it was {seconds} s");
}

#[test]
fn an_idle_deadline_shorter_than_the_others_ends_everybody_who_does_nothing() {
    let mut simulation = impatient(3);
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
fn who_waits_for_our_disk_is_closed_by_no_deadline() {
    let faults = Faults {
        waits: true,
        ..Faults::default()
    };
    let mut simulation = Simulation::with(limits(), &big_files(), &faults, true);
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
    // From here on it is the peer's turn again.
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

#[test]
fn a_cold_file_is_asked_for_again_after_its_delay_and_nothing_spins_meanwhile() {
    const COLD: usize = 5;
    let mut simulation = server(true);
    let cold = simulation.accept(Service::Files, usize::MAX / 2);
    cold.socket.borrow_mut().cold = COLD;
    let other = simulation.connect(Service::Files);
    simulation.say(&cold, "download big\n");
    simulation.run();
    for asked in 1..=COLD {
        assert_eq!(sends(&cold), asked);
        let before = turns(&simulation);
        simulation.pass(COLD_MICROS / 2);
        assert_eq!(turns(&simulation), before, "nobody has anything to do");
        simulation.say(&other, "size big\n");
        // An edge of its own is no reason to ask the disk.
        simulation.make_room(&cold, 1);
        simulation.say(&cold, "size big\n");
        simulation.run();
        assert_eq!(other.text().matches("OK 4000000 ").count(), asked);
        simulation.pass(COLD_MICROS - COLD_MICROS / 2 - 1);
        assert_eq!(sends(&cold), asked, "not before its time");
        simulation.pass(1);
    }
    assert!(cold.got().len() > BIG, "and then all of it leaves");
    assert!(
        cold.text().ends_with("MB\n"),
        "and what was asked behind it"
    );
    let before = turns(&simulation);
    simulation.pass(SECOND);
    assert_eq!(turns(&simulation), before);
}

#[test]
fn a_peer_that_goes_while_its_file_is_cold_leaves_nothing_behind() {
    let mut simulation = server(true);
    let peer = simulation.accept(Service::Files, usize::MAX / 2);
    peer.socket.borrow_mut().cold = 12;
    simulation.say(&peer, "download big\n");
    simulation.pass(10 * COLD_MICROS);
    simulation.reset(&peer);
    simulation.pass(10 * COLD_MICROS);
    assert_eq!(simulation.closed(&peer), Some(CloseReason::PeerReset));
    let next = simulation.connect(Service::Echo);
    assert_eq!(next.key.slot, peer.key.slot);
    let before = turns(&simulation);
    simulation.pass(SECOND);
    assert_eq!(turns(&simulation), before);
    assert_eq!(simulation.dispatcher.connections(), 1);
}
