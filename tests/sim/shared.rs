//! The state that the I/O, the watcher, the store and the engine of a seed share.

use super::operator_model::OperatorModel;
use super::plan::Plan;
use super::queue::Queue;
use super::sim_socket::Handle;
use super::trace::{Event, Trace};
use crate::memory::random::Random;
use crate::memory::store::Memory;
use loket::reactor::clock::Moment;
use loket::services::roster::Roster;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The behaviour of the simulated kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It injects the faults of the plan.
    Faulty,
    /// It injects no faults.
    Calm,
    /// The loop is idle: no call may succeed.
    Probing,
}

/// The running turn.
#[derive(Debug, Clone, Copy, Default)]
pub struct TurnUnderWay {
    pub serial: Option<u32>,
    pub bulk: bool,
    /// Bytes that it has moved.
    pub moved: usize,
    /// Large body steps in it.
    pub steps: usize,
    /// Calls of the protocol before it.
    pub calls: usize,
}

/// The shared state.
pub struct SimState {
    pub plan: Plan,
    pub random: Random,
    pub trace: Rc<Trace>,
    pub now: Cell<Moment>,
    /// The second that sessions see.
    pub seconds: Cell<u32>,
    pub mode: Cell<Mode>,
    pub turn: Cell<TurnUnderWay>,
    /// The peer that was accepted last.
    pub accepted: RefCell<Option<Handle>>,
    /// The connections in the table, by their serials.
    pub live: RefCell<BTreeMap<u32, Handle>>,
    pub queue: RefCell<Queue>,
    pub operator_model: RefCell<OperatorModel>,
    pub roster: Rc<RefCell<Roster>>,
    pub store: Memory,
    pub draining: Cell<bool>,
    pub forced: Cell<bool>,
}

impl SimState {
    /// The initial state of a seed.
    pub fn new(plan: Plan, random: Random, trace: Rc<Trace>, store: &Memory) -> Rc<SimState> {
        let operator_model = OperatorModel::new(plan.services.clone());
        Rc::new(SimState {
            plan,
            random,
            trace,
            now: Cell::new(Moment(0)),
            seconds: Cell::new(0),
            mode: Cell::new(Mode::Faulty),
            turn: Cell::default(),
            accepted: RefCell::default(),
            live: RefCell::default(),
            queue: RefCell::default(),
            operator_model: RefCell::new(operator_model),
            roster: Rc::default(),
            store: store.clone(),
            draining: Cell::new(false),
            forced: Cell::new(false),
        })
    }

    /// Whether to inject a fault of this probability now.
    pub fn injects(&self, percent: usize) -> bool {
        self.mode.get() == Mode::Faulty && self.random.chance(percent)
    }

    /// Adds an event to the trace.
    pub fn note(&self, event: Event) {
        self.trace.note(event);
    }

    /// The socket of a connection in the table.
    #[track_caller]
    pub fn socket(&self, serial: u32) -> Handle {
        let live = self.live.borrow();
        let socket = live.get(&serial);
        socket
            .unwrap_or_else(|| panic!("connection {serial} is served and not in the table"))
            .clone()
    }
}
