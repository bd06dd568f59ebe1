//! Chooses who takes part in a seed, and puts the real protocols behind the listeners.

use super::dialogue_bare;
use super::dialogue_line;
use super::plan::Plan;
use super::random::Random;
use super::script::{Script, Service};
use super::shared::Shared;
use crate::memory::store::Files;
use loket::services::echo::Echo;
use loket::services::files::Files as FilesService;
use loket::services::operator::Operator;
use loket::services::talk::Talk;
use loket::services::transfer::Transfer;
use loket::session::protocol::Protocol;
use std::net::SocketAddr;

/// The conversations of a seed.
pub fn peers(random: &Random, plan: &Plan) -> Vec<Script> {
    let wire = plan.services.wire;
    // Some seeds have talk clients alone, or none.
    let kinds: &[usize] = random.pick(&[
        &[0, 1, 1, 2, 2, 2, 3, 4, 5, 5][..],
        &[0, 1, 2, 3, 4][..],
        &[5, 5, 5, 0][..],
        &[0, 0, 2][..],
    ]);
    let script = |number| match random.pick(kinds) {
        0 => dialogue_bare::echo(random, plan.limits.read_buffer),
        1 => dialogue_line::transfer(random, wire, number),
        2 => dialogue_line::files(random, wire, number),
        3 => dialogue_bare::transfer(random, wire, number),
        4 => dialogue_bare::files(random, wire, number),
        _ => dialogue_bare::talk(random, number),
    };
    (0..plan.peers).map(script).collect()
}

/// The operator's conversation with them.
pub fn operator(random: &Random, peers: &[Script]) -> Script {
    let clients = peers.iter().filter(|peer| peer.service == Service::Talk);
    dialogue_bare::console(random, clients.count())
}

/// What all peers may read.
pub fn files() -> Files {
    dialogue_line::shared_files().into_iter().collect()
}

/// The protocol of a service.
pub fn protocol(service: Service, shared: &Shared, address: SocketAddr) -> Box<dyn Protocol> {
    let (limits, store) = (shared.plan.services.clone(), shared.store.clone());
    match service {
        Service::Echo => Box::new(Echo),
        Service::Transfer => Box::new(Transfer::new(limits, store, address)),
        Service::Files => Box::new(FilesService::new(limits, store, address)),
        Service::Talk => Box::new(Talk::new(limits, shared.roster.clone(), address)),
        Service::Console => console(shared),
    }
}

/// The operator's protocol, without a terminal.
pub fn console(shared: &Shared) -> Box<dyn Protocol> {
    let limits = shared.plan.services.clone();
    Box::new(Operator::new(limits, Some(shared.roster.clone()), None))
}

/// The place of a service in the list of listeners.
pub fn listener(service: Service) -> usize {
    match service {
        Service::Echo => 0,
        Service::Transfer => 1,
        Service::Files => 2,
        Service::Talk => 3,
        Service::Console => 4,
    }
}
