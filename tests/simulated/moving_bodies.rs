//! Bodies move by sendfile and splice in fair steps, to their exact end; cut ones are discarded.
//! Runs on a simulated kernel in virtual time.

use crate::memory::Service;
use crate::memory::counting::{Bodies, Counting};
use crate::memory::store::{Fault, Faults, Files};
use crate::sim::by_hand::{Peer, Simulation, big_file, limits};
use crate::sim::sim_socket::Call;
use loket::config::reactor::REACTOR;
use loket::config::store::SMALL_BODY;
use loket::session::close_reason::CloseReason;

const SECOND: u64 = 1_000_000;
const BIG: usize = 1_000_000;

#[test]
fn one_bulk_step_a_round() {
    let mut simulation = Simulation::new(&big_file(BIG));
    let peers: Vec<Peer> = (0..3).map(|_| simulation.connect(Service::Files)).collect();
    let echo = simulation.connect(Service::Echo);
    for peer in &peers {
        simulation.say(peer, "download big\n");
    }
    let steps = |peers: &[Peer]| -> Vec<usize> {
        let big = |call: &Call| matches!(call, Call::SendBody { most, .. } if *most > SMALL_BODY);
        peers
            .iter()
            .map(|peer| peer.calls().iter().filter(|call| big(call)).count())
            .collect()
    };
    for round in 1..10 {
        simulation.say(&echo, "x");
        simulation.round();
        let steps = steps(&peers);
        assert!(
            steps.iter().sum::<usize>() <= round,
            "{steps:?} after {round} rounds"
        );
        assert!(steps.iter().max() <= steps.iter().min().map(|least| least + 1).as_ref());
        assert_eq!(
            echo.got().len(),
            round,
            "a small request does not wait for a download"
        );
    }
    simulation.run();
    assert!(
        peers
            .iter()
            .all(|peer| peer.got().len() == "OK 1000000\n".len() + BIG)
    );
}

#[test]
fn a_round_makes_one_bulk_step_when_steps_are_long() {
    for (micros, at_once) in [(0, 2), (REACTOR.bulk_micros + 1, 1)] {
        let mut simulation = Simulation::new(&big_file(BIG));
        let peers: Vec<Peer> = (0..4).map(|_| simulation.connect(Service::Files)).collect();
        for peer in &peers {
            simulation.say(peer, "download big\n");
        }
        // This round parses the commands and makes the first step of one body.
        simulation.round();
        simulation.turn_micros.set(micros);
        let served = |peers: &[Peer]| peers.iter().filter(|peer| peer.got().len() > BIG).count();
        let before = served(&peers);
        simulation.round();
        assert_eq!(served(&peers) - before, at_once, "turns of {micros} us");
    }
}

#[test]
fn a_large_upload_is_served_from_the_bulk_queue() {
    let mut simulation = Simulation::new(&big_file(BIG));
    let down = simulation.connect(Service::Files);
    let up = simulation.connect(Service::Files);
    simulation.say(&down, "download big\n");
    simulation.say(&up, "upload new 1000000\n");
    simulation.run();
    simulation.say(&up, vec![7; BIG]);
    simulation.run();
    assert_eq!(simulation.store.files()["new"].len(), BIG);
    assert_eq!(up.text(), "OK\nOK File Berhasil Dibuat\n");
}

#[test]
fn splice_never_reads_past_the_body() {
    const SIZE: usize = 2_500_000;
    let mut simulation = Simulation::new(&Files::new());
    let peer = simulation.connect(Service::Files);
    simulation.say(&peer, format!("upload new {SIZE}\n"));
    simulation.run();
    let mut wire = vec![7; SIZE];
    wire.extend_from_slice(b"size new\n");
    for piece in wire.chunks(300_007) {
        simulation.say(&peer, piece);
        simulation.run();
    }
    let takes: Vec<(u64, usize)> = peer
        .calls()
        .into_iter()
        .filter_map(|call| match call {
            Call::TakeBody { at, most } => Some((at, most)),
            _ => None,
        })
        .collect();
    assert!(takes.len() > 3);
    assert!(
        takes
            .iter()
            .all(|(at, most)| at + *most as u64 <= SIZE as u64),
        "{takes:?}"
    );
    let size = "OK 2500000 2.38 MB\n";
    assert_eq!(peer.text(), format!("OK\nOK File Berhasil Dibuat\n{size}"));
}

#[test]
fn an_upload_is_discarded_when_its_connection_ends() {
    for direct in [false, true] {
        let files = big_file(BIG);
        let mut simulation = Simulation::with(limits(), &files, &Faults::default(), direct);
        let ends: [fn(&mut Simulation, &Peer); 4] = [
            |simulation, peer| simulation.reset(peer),
            |simulation, peer| simulation.say_and_finish(peer, ""),
            |simulation, _| simulation.pass(400 * SECOND),
            |simulation, _| simulation.dispatcher.close_all(),
        ];
        for end in ends {
            let bodies = Bodies::default();
            let counting =
                Counting::new(Service::Files.protocol(&simulation.store), bodies.clone());
            let peer = simulation.open(Box::new(counting), usize::MAX / 2);
            simulation.say(&peer, "upload big 900000\n");
            simulation.say(&peer, vec![1; 400_000]);
            simulation.run();
            assert_eq!(simulation.store.uploads(), 1);
            end(&mut simulation, &peer);
            simulation.run();
            assert!(simulation.closed(&peer).is_some());
            assert_eq!((bodies.began(), bodies.ended()), (1, 1));
            assert_eq!(simulation.store.uploads(), 0);
            assert_eq!(simulation.store.files(), files);
        }
    }
}

#[test]
fn a_file_that_shrinks_closes_the_connection() {
    let faults = Faults {
        every: Some(Fault::Ends(600_000)),
        ..Faults::default()
    };
    let mut simulation = Simulation::with(limits(), &big_file(BIG), &faults, true);
    let peer = simulation.connect(Service::Files);
    simulation.say(&peer, "download big\nsize big\n");
    simulation.run();
    assert_eq!(simulation.closed(&peer), Some(CloseReason::BodyCut));
    assert_eq!(peer.got().len(), "OK 1000000\n".len() + 600_000);
}

#[test]
fn a_failed_upload_is_answered_and_the_rest_is_discarded() {
    for direct in [false, true] {
        let faults = Faults {
            every: Some(Fault::Full(100_000)),
            ..Faults::default()
        };
        let mut simulation = Simulation::with(limits(), &Files::new(), &faults, direct);
        let peer = simulation.connect(Service::Files);
        simulation.say(&peer, "upload new 900000\n");
        simulation.run();
        simulation.say_and_finish(&peer, vec![1; 900_000]);
        simulation.run();
        assert_eq!(
            peer.text(),
            "OK\nERROR there is no space left for the file\n"
        );
        assert_eq!(simulation.closed(&peer), Some(CloseReason::Refused));
        assert_eq!((peer.unread(), simulation.store.uploads()), (0, 0));
    }
}

#[test]
fn a_header_and_its_body_are_corked_together() {
    let mut simulation = Simulation::new(&big_file(BIG));
    let peer = simulation.connect(Service::Files);
    simulation.say(&peer, "size big\ndownload big\ndownload big 999999\n");
    simulation.run();
    let corks = |calls: &[Call]| -> Vec<bool> {
        let cork = |call: &Call| match call {
            Call::Cork(corked) => Some(*corked),
            _ => None,
        };
        calls.iter().filter_map(cork).collect()
    };
    assert_eq!(corks(&peer.calls()), [true, false, true, false]);
    let small = simulation.connect(Service::Files);
    simulation.say(&small, "size big\n");
    simulation.run();
    assert_eq!(
        corks(&small.calls()),
        [false; 0],
        "small replies are not corked"
    );
}
