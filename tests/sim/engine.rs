//! Runs one seed: simulated network, clock and signals around the production dispatcher.

use super::accept_model::AcceptModel;
use super::io::SimIo;
use super::make_peers;
use super::plan::Plan;
use super::room_model::RoomModel;
use super::script::{Script, Service};
use super::seed_calls::address;
use super::shared::{Mode, SimState};
use super::sim_socket::{Handle, SimSocket};
use super::trace::{Event, Trace};
use super::watcher::Watcher;
use crate::memory::counting::Counting;
use crate::memory::disk::Disk;
use crate::memory::random::Random;
use crate::memory::store::Memory;
use loket::reactor::clock::Moment;
use loket::reactor::dispatcher::Dispatcher;
use loket::session::close_reason::CloseReason;
use loket::session::notice::{Audience, Notice, Post};
use loket::session::observer::Readiness;
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::store::Store;
use std::cell::RefCell;
use std::rc::Rc;

/// A loop that is not idle after this number of rounds spins.
const MOST_ROUNDS: usize = 50_000;

/// The operator comes after the services with listeners.
const OPERATOR: usize = Service::Operator as usize;

/// A running seed.
pub struct Engine {
    pub shared: Rc<SimState>,
    pub dispatcher: Dispatcher<SimIo>,
    pub store: Memory,
    pub disk: Disk,
    pub acceptor: AcceptModel,
    pub room_model: RoomModel,
    pub peers: Vec<Handle>,
    pub operator: Handle,
    /// The number of peers that have connected.
    pub connected: usize,
    /// Ids of closed connections.
    closed_ids: Vec<SessionId>,
}

impl Engine {
    /// The initial state of a seed.
    pub fn new(seed: u64, trace: Rc<Trace>) -> Engine {
        let random = Random::new(seed);
        let plan = Plan::new(&random);
        let mut scripts = make_peers::peers(&random, &plan);
        let store = make_peers::store(&scripts, &plan, seed);
        scripts.push(make_peers::operator(&random, &scripts));
        let mut sockets: Vec<Handle> = scripts
            .into_iter()
            .enumerate()
            .map(|(number, script)| Engine::socket(&random, number, script))
            .collect();
        let operator = sockets.pop().expect("it was just pushed");
        let shared = SimState::new(plan, random, trace, &store);
        let limits = shared.plan.limits;
        let mut world = Shared::new(shared.plan.high_water);
        world.observer = Box::new(Watcher(shared.clone()));
        let dispatcher = Dispatcher::new(
            SimIo {
                direct: shared.plan.direct,
                seed: Some(shared.clone()),
                ..SimIo::default()
            },
            world,
            limits,
            Service::NAMES.to_vec(),
        );
        let room_model = RoomModel::new(&shared.random, &shared.plan);
        let mut engine = Engine {
            room_model,
            acceptor: AcceptModel::new(&shared, OPERATOR),
            shared,
            dispatcher,
            disk: store.disk.clone(),
            store,
            peers: sockets,
            operator,
            connected: 0,
            closed_ids: Vec::new(),
        };
        engine.open_operator();
        engine
    }

    fn socket(random: &Random, number: usize, script: Script) -> Handle {
        let window = match random.below(3) {
            0 => random.within(1..=40),
            1 => random.within(41..=600),
            _ => 1 << 20,
        };
        Rc::new(RefCell::new(SimSocket::new(number, script, window)))
    }

    fn open_operator(&mut self) {
        let (socket, now) = (self.operator.clone(), self.now());
        let protocol = make_peers::protocol(Service::Operator, &self.shared, address(0));
        let counting = Counting::new(protocol, socket.borrow().bodies.clone());
        self.dispatcher
            .open_operator(socket.clone(), Box::new(counting), now)
            .expect("it is registered");
        self.shared
            .operator_model
            .borrow_mut()
            .operator(Some(socket));
    }

    /// The virtual time.
    pub fn now(&self) -> Moment {
        self.shared.now.get()
    }

    /// The connections in the table.
    pub fn live(&self) -> Vec<Handle> {
        self.shared.live.borrow().values().cloned().collect()
    }

    /// One round of the event loop.
    pub fn round(&mut self) {
        let now = self.now();
        self.acceptor.accept(&mut self.dispatcher, now);
        self.shared.seconds.set(now.seconds());
        self.dispatcher.on_time(now);
        self.serve_room();
        self.shared.queue.borrow_mut().begin_round();
        self.dispatcher.round(now);
        self.shared.queue.borrow_mut().end_round();
        self.no_connection_is_overdue();
    }

    fn no_connection_is_overdue(&self) {
        let limits = &self.shared.plan.limits;
        let Some(idle) = limits.idle_seconds else {
            return;
        };
        for socket in self.live() {
            let socket = socket.borrow();
            let serial = socket.serial.expect("it is in the table");
            let others = limits.command_seconds + limits.rate_seconds;
            let due = socket.served.seconds() + idle + others + 2;
            let waits = socket.id.is_some_and(|id| self.disk.is_waited_for(id))
                || self.shared.queue.borrow().holds(serial)
                || socket.is_conversation();
            let overdue = !waits && due <= self.now().seconds();
            assert!(!overdue, "peer {} is past its deadlines", socket.number);
        }
    }

    /// Asserts what must hold after every step.
    pub fn check(&mut self) {
        let connections = self.dispatcher.connections();
        assert!(
            connections <= self.shared.plan.limits.connections,
            "too many"
        );
        let operator = usize::from(self.dispatcher.operator().is_some());
        let live = self.shared.live.borrow().len();
        assert_eq!(live, connections + operator, "connections in the table");
        self.check_quota();
        for peer in &self.peers {
            let Some(id) = peer.borrow().id.filter(|_| peer.borrow().closed.is_some()) else {
                continue;
            };
            if !self.closed_ids.contains(&id) {
                self.closed_ids.push(id);
            }
        }
    }

    /// The quota knows what the files hold, and is never exceeded.
    pub fn check_quota(&self) {
        let usage = self.store.usage();
        assert_eq!(usage.held, Some(self.store.held()), "bytes of all files");
        let all = u128::from(self.store.held()) + usage.reserved;
        assert!(
            usage.limit.is_some_and(|limit| all <= limit.into()),
            "{usage:?}"
        );
    }

    /// Delivers a readiness event to a connection.
    pub fn report(&mut self, socket: &Handle, readiness: Readiness) {
        let (peer, id) = {
            let mut socket = socket.borrow_mut();
            let Some(id) = socket.id.filter(|_| socket.closed.is_none()) else {
                return;
            };
            socket.read_in_vain &= !readiness.readable;
            socket.write_in_vain &= !readiness.writable;
            (socket.number, id)
        };
        self.shared.note(Event::Ready { peer, readiness });
        if readiness.readable || socket.borrow().owes {
            self.shared.queue.borrow_mut().push_short(id.serial());
        }
        self.dispatcher.mark(id, readiness);
    }

    /// Delivers the pending event of a connection.
    pub fn deliver_event(&mut self, socket: &Handle) {
        let readiness = {
            let mut socket = socket.borrow_mut();
            if socket.id.is_none() || !std::mem::take(&mut socket.event_pending) {
                return;
            }
            socket.readiness()
        };
        if readiness.readable || readiness.writable {
            self.report(socket, readiness);
        }
    }

    /// Delivers all events and serves until only a peer or the clock can cause progress.
    pub fn settle(&mut self) {
        for round in 0..MOST_ROUNDS {
            let live = self.live();
            let owed: Vec<_> = live
                .iter()
                .filter(|socket| socket.borrow().event_pending && socket.borrow().id.is_some())
                .collect();
            let connections = self.dispatcher.connections();
            let accepts = self.acceptor.due(connections, self.now()) == Some(self.now());
            let calm = self.shared.mode.get() == Mode::Calm;
            let disk = !self.disk.reported().is_empty() || (calm && self.disk.is_busy());
            // `on_time` runs in a round. One expired timer may start another that is due at once.
            let due = self.dispatcher.next_due();
            let due = due.into_iter().chain(self.room_model.next_due()).min();
            let sleeps = round > 0 && due.is_none_or(|due| due > self.now());
            let done = owed.is_empty() && !accepts && !disk && !self.room_model.has_turn();
            if sleeps && done && !self.dispatcher.has_turns() {
                assert!(self.shared.queue.borrow().is_empty(), "a turn was lost");
                assert!(!self.room_model.awaits_post(), "a post was lost");
                return;
            }
            for socket in owed {
                self.deliver_event(socket);
            }
            if calm {
                self.disk.finish(0);
            }
            self.wake();
            self.round();
        }
        panic!("the loop spins");
    }

    /// When the loop is idle, events of full readiness on all connections must change nothing.
    pub fn probe(&mut self) {
        self.settle();
        self.shared.note(Event::Probe);
        let mode = self.shared.mode.replace(Mode::Probing);
        let all_ready = Readiness {
            readable: true,
            writable: true,
            drain_to_eof: false,
        };
        let live = self.live();
        for socket in &live {
            let registered = socket.borrow().id.is_some();
            assert!(registered, "a connection parks and is not registered");
            self.report(socket, all_ready);
        }
        for _ in 0..MOST_ROUNDS {
            if !self.dispatcher.has_turns() {
                break;
            }
            self.shared.queue.borrow_mut().begin_round();
            self.dispatcher.round(self.now());
            self.shared.queue.borrow_mut().end_round();
        }
        assert_eq!(
            live.len(),
            self.live().len(),
            "a connection should have been closed before"
        );
        self.shared.mode.set(mode);
    }

    /// An event for a closed connection.
    pub fn report_stale(&mut self, random: usize) {
        let Some(&id) = self.closed_ids.get(random % self.closed_ids.len().max(1)) else {
            return;
        };
        let (slot, serial) = (id.slot(), id.serial());
        self.shared.note(Event::Stale { slot, serial });
        let readiness = Readiness {
            readable: true,
            writable: true,
            drain_to_eof: random.is_multiple_of(2),
        };
        self.dispatcher.mark(id, readiness);
    }

    /// A notice for a closed connection.
    pub fn notify_closed(&mut self, random: usize) {
        let Some(&id) = self.closed_ids.get(random % self.closed_ids.len().max(1)) else {
            return;
        };
        let (slot, serial) = (id.slot(), id.serial());
        self.shared.note(Event::LateNotice { slot, serial });
        let notice = match random % 3 {
            0 => Notice::Close(CloseReason::Kicked),
            _ => Notice::Line("for a closed connection".into()),
        };
        let to = Audience::One(id);
        self.dispatcher.posts().push(Post { to, notice });
        self.dispatcher.deliver();
    }

    /// The completions reach the loop.
    pub fn wake(&mut self) {
        self.dispatcher.end_waits(self.disk.finished());
    }

    /// A disk operation completes, or a false completion is reported.
    pub fn disk_is_done(&mut self, random: usize) {
        let known: Vec<_> = self
            .peers
            .iter()
            .filter_map(|peer| peer.borrow().id)
            .collect();
        if random.is_multiple_of(4) && !known.is_empty() {
            let id = known[random % known.len()];
            self.disk.finish_wrongly(id);
        } else {
            self.disk.finish(random);
        }
        if random.is_multiple_of(3) {
            self.wake();
        }
    }

    /// The first signal.
    pub fn wind_down(&mut self) {
        self.shared.note(Event::WindDown);
        self.shared.draining.set(true);
        self.acceptor.close();
        self.room_model.close();
        for peer in &self.peers[self.connected..] {
            peer.borrow_mut().rejected = true;
        }
        self.connected = self.peers.len();
        for serial in self.shared.live.borrow().keys() {
            self.shared.queue.borrow_mut().push_short(*serial);
        }
        self.dispatcher.drain(self.now());
    }

    /// The second signal.
    pub fn close_all(&mut self) {
        self.shared.note(Event::CloseAll);
        self.shared.draining.set(true);
        self.shared.forced.set(true);
        self.dispatcher.close_all();
    }

    /// The time of the next timer.
    pub fn next_due(&mut self) -> Option<Moment> {
        let (connections, now) = (self.dispatcher.connections(), self.now());
        let accepts = self.acceptor.due(connections, now);
        let due = self.dispatcher.next_due().into_iter().chain(accepts);
        due.chain(self.room_model.next_due()).min()
    }

    /// The turn of the room's socket, between the timers and the round.
    pub fn serve_room(&mut self) {
        let shared = self.shared.clone();
        let posted = self.dispatcher.take_for_room();
        self.room_model
            .turn(&shared, posted, self.dispatcher.posts());
        self.dispatcher.deliver();
    }
}
