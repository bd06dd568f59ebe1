//! Rounds are short: a small request is answered in milliseconds beside a thousand busy clients.
//! Runs on a simulated kernel in virtual time; a test sets the time that each answer takes.

use crate::memory::Service;
use crate::memory::store::{Faults, Files};
use crate::sim::by_hand::{Peer, Simulation, limits};
use loket::config::reactor::REACTOR;
use loket::reactor::clock::Moment;

/// Clients beside the echo client.
const CROWD: usize = 1_200;
const MILLI: u64 = 1_000;
const SECOND: u64 = 1_000 * MILLI;

/// The time of a turn with 64 KiB of answers and of the rest of a round.
const GOAL: u64 = 20 * MILLI;

/// The load that each client of a crowd makes.
#[derive(Debug, Clone, Copy)]
struct Load {
    service: Service,
    /// Its requests, one after the other.
    requests: &'static [&'static str],
    /// The number of requests that it sends ahead of the answers.
    ahead: usize,
    /// Microseconds that an answer takes.
    micros: u64,
    /// Microseconds between two requests; all clients send at the same moments.
    every: u64,
}

/// Many clients with the same load beside an echo client.
struct Crowd {
    simulation: Simulation,
    clients: Vec<Peer>,
    sent: Vec<usize>,
    echo: Peer,
    load: Load,
}

impl Crowd {
    fn new(load: Load) -> Crowd {
        let faults = Faults {
            waits: true,
            ..Faults::default()
        };
        let mut simulation = Simulation::with(limits(), &Files::new(), &faults, true);
        let echo = simulation.connect(Service::Echo);
        let clients = (0..CROWD).map(|_| simulation.connect(load.service));
        let clients: Vec<Peer> = clients.collect();
        echo.socket.borrow_mut().write_micros = 5;
        for client in &clients {
            client.socket.borrow_mut().write_micros = load.micros;
        }
        Crowd {
            simulation,
            sent: vec![0; clients.len()],
            clients,
            echo,
            load,
        }
    }

    /// Each client without unread requests sends the next ones.
    fn ask(&mut self) {
        for (client, sent) in self.clients.iter().zip(&mut self.sent) {
            if client.unread() == 0 {
                let requests = self.load.requests;
                let requests = requests.iter().cycle().skip(*sent % requests.len());
                let text: String = requests.take(self.load.ahead).copied().collect();
                *sent += self.load.ahead;
                self.simulation.say(client, text);
            }
        }
    }

    /// Sends an echo every 50 ms for a second; returns the microseconds that each took.
    fn echoes(&mut self) -> Vec<u64> {
        let (mut took, mut asked) = (Vec::new(), None);
        let begin = self.simulation.time.get();
        let (mut next_echo, mut next_ask) = (begin, begin);
        loop {
            let now = self.simulation.time.get();
            self.simulation.now = Moment(now);
            if now >= next_ask {
                self.ask();
                next_ask = now + self.load.every;
            }
            if now >= next_echo && asked.is_none() {
                self.simulation.say(&self.echo, "x");
                asked = Some(now);
                next_echo += 50 * MILLI;
            }
            while self.simulation.store.finish_next() {}
            let finished = self.simulation.store.finished();
            self.simulation.dispatcher.end_waits(finished);
            self.simulation.round();
            // A poll of the kernel.
            self.simulation.time.update(|time| time + 20);
            let answered = std::mem::take(&mut self.echo.socket.borrow_mut().output);
            if let Some(asked_at) = asked.filter(|_| !answered.is_empty()) {
                took.push(self.simulation.time.get() - asked_at);
                asked = None;
            }
            if asked.is_none() && self.simulation.time.get() > begin + SECOND {
                return took;
            }
        }
    }
}

const fn load(
    service: Service,
    requests: &'static [&'static str],
    ahead: usize,
    micros: u64,
    every: u64,
) -> Load {
    Load {
        service,
        requests,
        ahead,
        micros,
        every,
    }
}

#[rustfmt::skip] // a table
const LOADS: [Load; 6] = [
    load(Service::Files, &["upload a 0\n"], 100, 220, MILLI),
    // One request at a time, of moderate cost.
    load(Service::Files, &["upload a 0\n"], 1, 40, MILLI),
    load(Service::Files, &["ls\n", "size none\n", "rm none\n"], 10, 300, MILLI),
    load(Service::Transfer, &["RECEIVE\n", "none\n"], 2, 100, MILLI),
    // Cheap requests, all at once.
    load(Service::Echo, &["x"], 1, 6, MILLI),
    // Rare requests, all at the same moment.
    load(Service::Files, &["upload a 0\n", "size none\n"], 1, 220, 500 * MILLI),
];

#[test]
fn an_echo_beside_many_clients_takes_milliseconds() {
    for load in LOADS {
        let mut crowd = Crowd::new(load);
        // The scheduler learns the cost of a turn only from the first ones.
        crowd.echoes();
        let mut took = crowd.echoes();
        took.sort_unstable();
        let slow = took.iter().filter(|micros| **micros > GOAL).count();
        let allowed = if load.every > 50 * MILLI {
            took.len() / 8
        } else {
            0
        };
        assert!(slow <= allowed, "{slow} of {took:?} beside {load:?}");
    }
}

#[test]
fn a_round_of_short_turns_ends_in_time_and_serves_every_client() {
    for load in LOADS {
        let ahead = load.ahead.min(4);
        let load = Load { ahead, ..load };
        let mut crowd = Crowd::new(load);
        crowd.ask();
        let begin = crowd.simulation.time.get();
        crowd.simulation.round();
        let took = crowd.simulation.time.get() - begin;
        let most = 2 * (REACTOR.short_micros + 4 * load.micros * load.ahead as u64);
        assert!(took <= most, "{took} us beside {load:?}");
        crowd.simulation.run();
        let answered = |peer: &Peer| peer.unread() == 0 && !peer.got().is_empty();
        assert!(crowd.clients.iter().all(answered), "{load:?}");
    }
}
