//! A request waits for the disk once, and that wait does not count against the minimum rate; one
//! that waits for another session ends with its connection.
//! Runs on simulated I/O in virtual time; `store.rs` tests the real disk.

use crate::memory::Service;
use crate::memory::store::{Faults, Files};
use crate::sim::by_hand::{Simulation, limits};
use loket::config::store::SMALL_BODY;
use loket::session::close_reason::CloseReason;
use loket::session::protocol::{Context, Intake, Protocol};
use loket::wire::follows::Follows;

const SECOND: u64 = 1_000_000;
const BIG: usize = 1_000_000;

fn waits() -> Faults {
    Faults {
        waits: true,
        ..Faults::default()
    }
}

#[test]
fn each_request_waits_for_the_disk_once() {
    let big: Files = [("big".to_owned(), vec![7; BIG])].into();
    let asks = [
        (Service::Transfer, "RECEIVE\nbig\n", BIG),
        (Service::Files, "download big\n", BIG),
        (Service::Files, "size big\n", 1),
    ];
    for (service, ask, least) in asks {
        let mut simulation = Simulation::with(limits(), &big, &waits(), true);
        let peer = simulation.connect(service);
        for _ in 0..3 {
            simulation.disk_hangs = true;
            let before = peer.got().len();
            simulation.say(&peer, ask);
            simulation.run();
            let received = peer.got().len() - before;
            assert!(
                received <= "OK\n".len(),
                "{ask:?}: answered before the disk was"
            );
            assert!(simulation.store.finish_next(), "{ask:?}: no disk operation");
            simulation.dispatcher.end_waits(simulation.store.finished());
            simulation.run();
            assert!(
                !simulation.store.finish_next(),
                "{ask:?}: a second disk operation"
            );
            assert!(peer.got().len() >= before + least, "{ask:?}");
        }
    }
}

#[test]
fn an_upload_is_not_too_slow_while_it_waits_for_the_disk() {
    let mut simulation = Simulation::with(limits(), &Files::new(), &waits(), true);
    let peer = simulation.connect(Service::Files);
    simulation.say(&peer, "upload slow");
    simulation.pass(SECOND);
    simulation.say(&peer, "the first byte says that there is a body");
    simulation.run();
    // More than a short turn moves, and less than the minimum rate asks for.
    simulation.say(&peer, vec![7; SMALL_BODY + 1]);
    // The loop reads the end before the kernel reports it as an event.
    peer.socket.borrow_mut().end_arrived = true;
    simulation.disk_hangs = true;
    simulation.round();
    simulation.now = simulation.now.after(1);
    simulation.run();
    simulation.pass(u64::from(limits().disk_seconds - 10) * SECOND);
    assert_eq!(simulation.closed(&peer), None, "it waits for the disk");
    simulation.disk_hangs = false;
    simulation.run();
    assert_eq!(peer.text(), "File Berhasil Dibuat");
}

/// A request that waits for another session, as a POST does for its tab.
struct Holding;

impl Protocol for Holding {
    fn on_bytes(&mut self, _: &[u8], _: Follows, _: &mut Context<'_>) -> (usize, Intake) {
        (0, Intake::Hold)
    }
}

#[test]
fn a_request_that_waits_for_another_session_ends_when_its_peer_hangs_up() {
    let mut simulation = Simulation::new(&Files::new());
    let peer = simulation.open(Box::new(Holding), usize::MAX / 2);
    simulation.say(&peer, "a request, and the next one behind it");
    simulation.run();
    assert_eq!(simulation.closed(&peer), None);
    simulation.reset(&peer);
    simulation.run();
    assert_eq!(simulation.closed(&peer), Some(CloseReason::PeerReset));
}
