//! The loop gives every conversation the transcript that it has without a loop, on any network.
//! Cuts, full sockets, interrupts and tiny budgets only; lost peers are in `turns.rs`.

mod memory;
mod sim;

use loket::reactor::limits::ReactorLimits;
use loket::wire::pause::Delay;
use memory::scripts::{self, Script, files};
use memory::store::Faults;
use memory::{Driver, Outcome, Step, Way};
use proptest::prelude::*;
use sim::by_hand::{Peer, Simulation, limits};
use sim::by_hand_io::Line;

/// How the network and the loop behave.
#[derive(Debug, Clone)]
struct Network {
    /// Bytes that arrive at once, over and over.
    pieces: Vec<usize>,
    /// Bytes that the socket takes until it is full, over and over.
    rooms: Vec<usize>,
    /// Signals that interrupt calls, before each piece.
    interrupts: usize,
    /// Whether the end of the stream comes with the last bytes.
    end_with_bytes: bool,
    /// Whether bodies move past the sessions.
    direct: bool,
    /// Whether the disk keeps everybody waiting.
    waits: bool,
    /// Every piece has its round, or all of them wait for one.
    rounds: bool,
    limits: ReactorLimits,
}

fn networks() -> impl Strategy<Value = Network> {
    let pieces = prop::collection::vec(1..60_usize, 1..8);
    let rooms = prop::collection::vec(1..60_usize, 1..8);
    let steps = (1..100_usize, 1..20_usize, 1..20_usize, 0..20_usize);
    let yes = any::<bool>;
    (
        pieces,
        rooms,
        0..3_usize,
        (yes(), yes(), yes(), yes()),
        steps,
    )
        .prop_map(
            |(pieces, rooms, interrupts, (end_with_bytes, direct, rounds, waits), steps)| Network {
                pieces,
                rooms,
                interrupts,
                end_with_bytes,
                direct,
                waits,
                rounds,
                limits: ReactorLimits {
                    turn_bytes: steps.0,
                    send_step: steps.1,
                    take_step: steps.2,
                    small_body: steps.3,
                    read_buffer: 4200,
                    command_read: 4200,
                    ..limits()
                },
            },
        )
}

/// One conversation on one network.
struct Conversation {
    simulation: Simulation,
    peer: Peer,
    network: Network,
    turn: usize,
    replied: usize,
}

impl Conversation {
    fn new(script: &Script, network: &Network) -> Conversation {
        let faults = Faults {
            waits: network.waits,
            ..script.faults.clone()
        };
        let mut simulation = Simulation::with(network.limits, &files(), &faults, network.direct);
        let line = Line {
            room: network.rooms[0],
            ..Line::default()
        };
        let peer = simulation.accept(script.service.protocol(), line);
        Conversation {
            simulation,
            peer,
            network: network.clone(),
            turn: 0,
            replied: 0,
        }
    }

    fn play(&mut self, steps: &[Step]) -> Result<(), String> {
        for (number, step) in steps.iter().enumerate() {
            let ends = self.network.end_with_bytes && steps.get(number + 1) == Some(&Step::End);
            match step {
                Step::Send(bytes) => self.arrive(bytes, ends),
                Step::Reply(wanted) => self.await_reply(wanted)?,
                Step::Quiet(delay) => {
                    self.serve();
                    self.simulation
                        .pass(self.network.limits.delays[delay.index()]);
                }
                Step::End => self.simulation.say_and_finish(&self.peer, ""),
            }
        }
        self.serve();
        Ok(())
    }

    fn arrive(&mut self, bytes: &[u8], ends: bool) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = self.network.pieces[self.turn % self.network.pieces.len()];
            let (piece, later) = rest.split_at(length.min(rest.len()));
            self.turn += 1;
            rest = later;
            self.peer.line.borrow_mut().interrupts = self.network.interrupts;
            if ends && rest.is_empty() {
                self.simulation.say_and_finish(&self.peer, piece);
            } else {
                self.simulation.say(&self.peer, piece);
            }
            if self.network.rounds {
                self.simulation.round();
            }
        }
    }

    /// Runs until the peer has read all that comes without its doing.
    fn serve(&mut self) {
        self.simulation.run();
        while self.peer.line.borrow().room == 0 && !self.peer.is_closed() {
            let room = self.network.rooms[self.turn % self.network.rooms.len()];
            self.turn += 1;
            self.simulation.make_room(&self.peer, room);
            self.simulation.run();
        }
    }

    fn await_reply(&mut self, wanted: &[u8]) -> Result<(), String> {
        self.serve();
        // No reply takes longer than the longest delays together.
        let mut patience = 100;
        while self.peer.got()[self.replied..] != *wanted {
            patience -= 1;
            if patience == 0 {
                let got = self.peer.got().split_off(self.replied);
                let got = String::from_utf8_lossy(&got).into_owned();
                let wanted = String::from_utf8_lossy(wanted).into_owned();
                return Err(format!("wanted {wanted:?}, got {got:?}"));
            }
            let settle = self.network.limits.delays[Delay::Settle.index()];
            self.simulation.pass(settle);
            self.serve();
        }
        self.replied = self.peer.got().len();
        Ok(())
    }

    fn close(mut self) -> Outcome {
        let longest = self.network.limits.delays[Delay::Linger.index()];
        self.simulation.pass(longest);
        let closed = self.simulation.closed(&self.peer);
        self.simulation.dispatcher.close_all();
        assert_eq!(self.simulation.store.uploads(), 0);
        assert!(self.peer.is_closed());
        Outcome {
            transcript: self.peer.got(),
            closed,
            files: self.simulation.store.files(),
        }
    }
}

/// The conversation without a loop. Silence to the end, so that both know why it closed.
fn wanted(script: &Script) -> Outcome {
    let way = Way::pieces_of(usize::MAX, false);
    let mut driver = Driver::new(script.service, &files(), &script.faults, way);
    driver.play(&script.steps).expect("shown in any_cutting.rs");
    driver
        .play(&[Step::Quiet(Delay::Linger)])
        .expect("nothing is waited for");
    driver.close()
}

#[test]
fn any_network_gives_the_same_conversation() {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    };
    for script in scripts::all() {
        let wanted = wanted(&script);
        proptest!(config.clone(), |(network in networks())| {
            let mut conversation = Conversation::new(&script, &network);
            if let Err(wrong) = conversation.play(&script.steps) {
                panic!("`{}`: {wrong}", script.name);
            }
            assert_eq!(conversation.close(), wanted, "`{}`", script.name);
        });
    }
}
