//! The plan of a seed: random limits and fault probabilities.

use crate::memory::random::Random;
use loket::config;
use loket::config::reactor::REACTOR;
use loket::config::services::SERVICES;
use loket::reactor::ReactorLimits;
use loket::services::{ServiceLimits, TalkRate};
use loket::wire::http::HttpLimits;
use loket::wire::names::WireLimits;
use std::rc::Rc;

/// The constants of a seed.
pub struct Plan {
    pub limits: ReactorLimits,
    pub services: Rc<ServiceLimits>,
    pub high_water: usize,
    /// Bodies move by splice and sendfile.
    pub direct: bool,
    pub peers: usize,
    pub faults: Faults,
}

/// The faults, in percent of the occasions. Many seeds leave most of them out: a fault that happens
/// all the time can hide another.
pub struct Faults {
    /// A call returns EAGAIN although it could do something; an event follows.
    pub would_block: usize,
    pub interrupt: usize,
    pub short_write: usize,
    /// Events without news.
    pub spurious: usize,
    pub stale: usize,
    pub late_notice: usize,
    pub reset: usize,
    pub urgent: usize,
    pub stall: usize,
    pub no_descriptor: usize,
    /// The store has to wait for the disk, and pieces of files.
    pub disk: usize,
    pub pieces: usize,
    /// The end of the stream arrives with the last bytes.
    pub end_with_bytes: usize,
    /// The server gets a signal before all peers are done.
    pub signal: bool,
    /// Clock steps of seconds, and an idle deadline.
    pub long_pauses: bool,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(random: &Random) -> Plan {
        let unit = random.within(70..=160);
        let step = |random: &Random| match random.below(8) {
            0 => random.within(1..=4),
            1..=4 => random.within(5..=60),
            _ => random.within(61..=600),
        };
        let long_pauses = random.chance(30);
        // Space for a unit and CR LF, or for a bare header: two names, the separator, a size.
        let read = unit + 64 + random.below(100);
        let limits = ReactorLimits {
            connections: random.within(1..=10),
            accepts_per_turn: random.within(1..=3),
            turn_bytes: step(random),
            turn_calls: random.within(1..=8),
            short_calls: random.within(1..=8),
            bulk_bytes: step(random),
            bulk_micros: 1,
            send_step: step(random),
            receive_step: step(random),
            small_body: random.pick(&[0, 1, 10, 40, 200]),
            read_buffer: read,
            command_read: read,
            linger_bytes: random.pick(&[50, 500, 100_000]),
            per_ip: random.chance(30).then(|| random.within(1..=4)),
            command_seconds: match long_pauses {
                true => random.within(3..=20) as u32,
                false => 1_000_000,
            },
            min_rate: match long_pauses {
                true => random.pick(&[0, 1, 30]),
                false => 0,
            },
            rate_seconds: random.within(2..=10) as u32,
            disk_seconds: if long_pauses { 20 } else { u32::MAX },
            // Waiting for the operator is not modelled.
            operator_high_water: usize::MAX,
            idle_seconds: long_pauses.then(|| random.within(3..=30) as u32),
            ..REACTOR
        };
        Plan {
            limits,
            services: Rc::new(services(random, unit)),
            high_water: random.pick(&[1, 10, 60, 200, 600]),
            direct: random.chance(60),
            peers: random.within(1..=16),
            faults: Faults::new(random, long_pauses),
        }
    }
}

/// The limits of the services, for lines of `unit` bytes. The head of a request fits the buffer.
fn services(random: &Random, unit: usize) -> ServiceLimits {
    ServiceLimits {
        http: HttpLimits {
            head: unit + 64,
            ..SERVICES.http
        },
        wire: WireLimits {
            unit,
            ..config::WIRE
        },
        talk_backlog: random.pick(&[60, 300, 100_000]),
        // More clients than a seed has: a command to all of them is one step.
        operator_batch: 100,
        // More than any script sends.
        talk_rate: TalkRate {
            initial: usize::MAX,
            burst: usize::MAX,
            ..SERVICES.talk_rate
        },
        operator_backlog: random.pick(&[120, 600, 1_000_000, 1_000_000]),
        window: SERVICES.window,
    }
}

impl Faults {
    fn new(random: &Random, long_pauses: bool) -> Faults {
        let some = |most: usize| {
            if random.chance(50) {
                random.within(1..=most)
            } else {
                0
            }
        };
        Faults {
            would_block: some(30),
            interrupt: some(20),
            short_write: some(60),
            spurious: some(8),
            stale: some(20),
            late_notice: some(20),
            reset: some(30),
            urgent: some(40),
            stall: some(30),
            no_descriptor: some(10),
            disk: some(100),
            pieces: some(60),
            end_with_bytes: random.pick(&[0, 50, 100]),
            signal: random.chance(20),
            long_pauses,
        }
    }
}
