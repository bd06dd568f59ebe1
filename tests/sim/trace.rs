//! The last events of a seed, for failure messages.

use super::sim_socket::Call;
use loket::session::close_reason::CloseReason;
use loket::session::observer::{Readiness, TurnEnd};
use loket::wire::follows::Timer;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write;

/// The number of events that are kept.
const REMEMBERED: usize = 60;

/// An event. Peers have their numbers in the seed.
#[allow(dead_code)] // the fields are read by `Debug` alone
#[derive(Debug, Clone, Copy)]
pub enum Event {
    Accepted {
        peer: usize,
        serial: u32,
    },
    NoDescriptor,
    Arrived {
        peer: usize,
        bytes: usize,
        end: bool,
    },
    PeerRead {
        peer: usize,
        bytes: usize,
    },
    Reset {
        peer: usize,
    },
    Ready {
        peer: usize,
        readiness: Readiness,
    },
    Stale {
        slot: u32,
        serial: u32,
    },
    LateNotice {
        slot: u32,
        serial: u32,
    },
    Passed {
        micros: u64,
    },
    Turn {
        serial: u32,
        bulk: bool,
    },
    Call {
        peer: usize,
        call: Call,
        bytes: Option<usize>,
    },
    Ended {
        serial: u32,
        end: TurnEnd,
    },
    Silence {
        serial: u32,
        delay: Timer,
    },
    Closed {
        serial: u32,
        reason: CloseReason,
    },
    Probe,
    Calm,
    WindDown,
    CloseAll,
    Datagram {
        port: u16,
        bytes: usize,
    },
}

/// The last events.
#[derive(Default)]
pub struct Trace {
    step: Cell<usize>,
    events: RefCell<VecDeque<(usize, Event)>>,
}

impl Trace {
    /// A step of the simulation begins.
    pub fn step(&self) -> usize {
        self.step.update(|step| step + 1);
        self.step.get()
    }

    /// Adds an event.
    pub fn note(&self, event: Event) {
        let mut events = self.events.borrow_mut();
        if events.len() == REMEMBERED {
            events.pop_front();
        }
        events.push_back((self.step.get(), event));
    }

    /// The current step and the last events, as text.
    pub fn text(&self) -> String {
        let mut text = format!("at step {}, after\n", self.step.get());
        for (step, event) in &*self.events.borrow() {
            writeln!(text, "  {step:5} {event:?}").expect("memory");
        }
        text
    }
}
