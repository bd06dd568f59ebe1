//! Rounds end in time: a small request waits for milliseconds, whatever a crowd beside it asks for.
//! On a simulated kernel in virtual time, in which an answer takes as long as a test says.

mod memory;
mod sim;

use loket::config::reactor::REACTOR;
use loket::reactor::clock::Moment;
use memory::Service;
use memory::store::{Faults, Files};
use sim::by_hand::{Peer, Simulation, limits};

/// Peers beside the echo.
const CROWD: usize = 1_200;
const MILLI: u64 = 1_000;
const SECOND: u64 = 1_000 * MILLI;

/// Long enough for a turn of 64 KiB of answers, and for what a round does beside its turns.
const GOAL: u64 = 20 * MILLI;

/// What each client of a crowd does.
#[derive(Debug, Clone, Copy)]
struct Habit {
    service: Service,
    /// Its requests, one after the other.
    requests: &'static [&'static str],
    /// How many it sends ahead of the answers.
    ahead: usize,
    /// How long an answer takes.
    micros: u64,
    /// They all begin at the same moments, so long after each other.
    every: u64,
}

/// A crowd with a habit, beside an echo.
struct Crowd {
    simulation: Simulation,
    clients: Vec<Peer>,
    sent: Vec<usize>,
    echo: Peer,
    habit: Habit,
}

impl Crowd {
    fn new(habit: Habit) -> Crowd {
        let faults = Faults {
            waits: true,
            ..Faults::default()
        };
        let mut simulation = Simulation::with(limits(), &Files::new(), &faults, true);
        let echo = simulation.connect(Service::Echo);
        let clients = (0..CROWD).map(|_| simulation.connect(habit.service));
        let clients: Vec<Peer> = clients.collect();
        echo.socket.borrow_mut().write_micros = 5;
        for client in &clients {
            client.socket.borrow_mut().write_micros = habit.micros;
        }
        Crowd {
            simulation,
            sent: vec![0; clients.len()],
            clients,
            echo,
            habit,
        }
    }

    /// Each client sends what its habit is.
    fn ask(&mut self) {
        for (client, sent) in self.clients.iter().zip(&mut self.sent) {
            if client.unread() == 0 {
                let requests = self.habit.requests;
                let requests = requests.iter().cycle().skip(*sent % requests.len());
                let text: String = requests.take(self.habit.ahead).copied().collect();
                *sent += self.habit.ahead;
                self.simulation.say(client, text);
            }
        }
    }

    /// How long each of the echoes took, of which one is sent every 50 ms for a second.
    fn echoes(&mut self) -> Vec<u64> {
        let (mut took, mut asked) = (Vec::new(), None);
        let begin = self.simulation.time.get();
        let (mut next_echo, mut next_ask) = (begin, begin);
        loop {
            let now = self.simulation.time.get();
            self.simulation.now = Moment(now);
            if now >= next_ask {
                self.ask();
                next_ask = now + self.habit.every;
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

const fn habit(
    service: Service,
    requests: &'static [&'static str],
    ahead: usize,
    micros: u64,
    every: u64,
) -> Habit {
    Habit {
        service,
        requests,
        ahead,
        micros,
        every,
    }
}

#[rustfmt::skip] // a table
const HABITS: [Habit; 6] = [
    habit(Service::Files, &["upload a 0\n"], 100, 220, MILLI),
    // One at a time, and each is only somewhat costly.
    habit(Service::Files, &["upload a 0\n"], 1, 40, MILLI),
    habit(Service::Files, &["ls\n", "size none\n", "rm none\n"], 10, 300, MILLI),
    habit(Service::Transfer, &["RECEIVE\n", "none\n"], 2, 100, MILLI),
    // Cheap by itself, and all at once.
    habit(Service::Echo, &["x"], 1, 6, MILLI),
    // Silent for most of the time, and then all at the same moment.
    habit(Service::Files, &["upload a 0\n", "size none\n"], 1, 220, 500 * MILLI),
];

#[test]
fn an_echo_beside_a_crowd_waits_for_milliseconds() {
    for habit in HABITS {
        let mut crowd = Crowd::new(habit);
        // Their first turns have cost nothing yet that could be known.
        crowd.echoes();
        let mut took = crowd.echoes();
        took.sort_unstable();
        let slow = took.iter().filter(|micros| **micros > GOAL).count();
        let allowed = if habit.every > 50 * MILLI {
            took.len() / 8
        } else {
            0
        };
        assert!(slow <= allowed, "{slow} of {took:?} beside {habit:?}");
    }
}

#[test]
fn a_round_of_short_turns_ends_in_time_and_leaves_nothing_behind() {
    for habit in HABITS {
        let ahead = habit.ahead.min(4);
        let habit = Habit { ahead, ..habit };
        let mut crowd = Crowd::new(habit);
        crowd.ask();
        let begin = crowd.simulation.time.get();
        crowd.simulation.round();
        let took = crowd.simulation.time.get() - begin;
        let most = 2 * (REACTOR.short_micros + 4 * habit.micros * habit.ahead as u64);
        assert!(took <= most, "{took} us beside {habit:?}");
        crowd.simulation.run();
        let answered = |peer: &Peer| peer.unread() == 0 && !peer.got().is_empty();
        assert!(crowd.clients.iter().all(answered), "{habit:?}");
    }
}
