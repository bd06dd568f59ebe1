//! Is what the kernel, the watcher, the store and the engine of one seed know together.

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

/// How the kernel behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does all the faults of the plan.
    Wild,
    /// Every call does all that it can.
    Calm,
    /// All that was owed has been told and done: no call may find anything.
    Probing,
}

/// The turn under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct TurnUnderWay {
    pub serial: Option<u32>,
    pub bulk: bool,
    /// Bytes moved in it.
    pub moved: usize,
    /// Big steps made in it.
    pub steps: usize,
    /// Calls of its protocol before it.
    pub calls: usize,
}

/// SimState by all parts of one seed.
pub struct SimState {
    pub plan: Plan,
    pub random: Random,
    pub trace: Rc<Trace>,
    pub now: Cell<Moment>,
    /// The second that sessions were told last.
    pub seconds: Cell<u32>,
    pub mode: Cell<Mode>,
    pub turn: Cell<TurnUnderWay>,
    /// The connections in the table, by their serials.
    pub live: RefCell<BTreeMap<u32, Handle>>,
    pub queue: RefCell<Queue>,
    pub operator_model: RefCell<OperatorModel>,
    pub roster: Rc<RefCell<Roster>>,
    pub store: Memory,
    pub winding_down: Cell<bool>,
    pub cutting: Cell<bool>,
}

impl SimState {
    /// A beginning.
    pub fn new(plan: Plan, random: Random, trace: Rc<Trace>, store: &Memory) -> Rc<SimState> {
        let operator_model = OperatorModel::new(plan.services.clone());
        Rc::new(SimState {
            plan,
            random,
            trace,
            now: Cell::new(Moment(0)),
            seconds: Cell::new(0),
            mode: Cell::new(Mode::Wild),
            turn: Cell::default(),
            live: RefCell::default(),
            queue: RefCell::default(),
            operator_model: RefCell::new(operator_model),
            roster: Rc::default(),
            store: store.clone(),
            winding_down: Cell::new(false),
            cutting: Cell::new(false),
        })
    }

    /// Whether faults of this likelihood is done now.
    pub fn injects(&self, percent: usize) -> bool {
        self.mode.get() == Mode::Wild && self.random.chance(percent)
    }

    /// A note for the trace.
    pub fn note(&self, event: Event) {
        self.trace.note(event);
    }

    /// The socket of a connection in the table.
    #[track_caller]
    pub fn socket(&self, serial: u32) -> Handle {
        let live = self.live.borrow();
        let socket = live.get(&serial);
        socket
            .unwrap_or_else(|| panic!("connection {serial} is served and is not there"))
            .clone()
    }
}
