//! Chooses the peers, the store and the protocols of a seed.

use super::dialogue_bare;
use super::dialogue_http;
use super::dialogue_line;
use super::plan::Plan;
use super::script::{Script, Service};
use super::shared::SimState;
use crate::memory::disk::Disk;
use crate::memory::random::Random;
use crate::memory::store::{Faults, Files, Memory};
use loket::session::protocol::Protocol;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The conversations of a seed.
pub fn peers(random: &Random, plan: &Plan) -> Vec<Script> {
    let wire = plan.services.wire;
    // Some seeds have only talk clients, or none.
    let kinds: &[usize] = random.pick(&[
        &[0, 1, 1, 2, 2, 2, 3, 4, 5, 5, 6, 6][..],
        &[0, 1, 2, 3, 4, 6][..],
        &[0, 6, 6][..],
        &[5, 5, 5, 0][..],
        &[0, 0, 2][..],
    ]);
    let script = |number| match random.pick(kinds) {
        0 => dialogue_bare::echo(random, plan.limits.read_buffer),
        1 => dialogue_line::transfer(random, wire, number),
        2 => dialogue_line::files(random, wire, number),
        3 => dialogue_bare::transfer(random, wire, number),
        4 => dialogue_bare::files(random, wire, number),
        5 => dialogue_bare::talk(random, number),
        _ => dialogue_http::http(random, wire, number),
    };
    (0..plan.peers).map(script).collect()
}

/// The operator's side of talk.
pub fn operator(random: &Random, peers: &[Script]) -> Script {
    let clients = peers.iter().filter(|peer| peer.service == Service::Talk);
    dialogue_bare::operator(random, clients.count())
}

/// The files that all peers may read.
pub fn files() -> Files {
    dialogue_line::shared_files().into_iter().collect()
}

/// A store with the files of these scripts, on a disk with the delays of the plan.
pub fn store(scripts: &[Script], plan: &Plan, seed: u64) -> Memory {
    let (mut files, mut faults) = (files(), Faults::default());
    let mut wanted: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for script in scripts {
        faults.by_name.extend(script.faults.iter().cloned());
        files.extend(script.initial_files.iter().cloned());
        files.extend(script.untouched.iter().cloned());
        for (name, content) in &script.stored {
            wanted
                .entry(name.clone())
                .or_default()
                .push(content.clone());
        }
    }
    let disk = Disk::new(plan.faults.disk, plan.faults.pieces, seed);
    let stored = wanted.values().flatten().map(Vec::len).sum::<usize>();
    let memory = Memory::with(&files, faults).on(disk, wanted);
    // Every upload fits. An incomplete one may be a little longer than those that are stored.
    let total = memory.held() + (stored + 1_000 * scripts.len()) as u64;
    memory.with_quota(total)
}

/// The protocol of a service.
pub fn protocol(service: Service, shared: &SimState, address: SocketAddr) -> Box<dyn Protocol> {
    let (limits, roster) = (shared.plan.services.clone(), shared.roster.clone());
    service.within(limits, &shared.store, roster, address)
}
