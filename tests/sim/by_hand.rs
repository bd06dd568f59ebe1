//! Runs the production dispatcher on sockets that a test controls, in virtual time.

use super::io::SimIo;
use super::script::Script;
use super::sim_socket::{Call, Handle, SimSocket};
use crate::memory::Service;
use crate::memory::store::{Faults, Files, Memory};
use loket::config::reactor::{OUTBOX_HIGH_WATER, REACTOR};
use loket::reactor::ReactorLimits;
use loket::reactor::clock::Moment;
use loket::reactor::dispatcher::Dispatcher;
use loket::session::close_reason::CloseReason;
use loket::session::observer::{ConnLabel, Observer, Readiness, TurnEnd};
use loket::session::protocol::{Context, Intake, Protocol};
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::wire::follows::{Follows, Timer};
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

/// A loop that is not idle after this number of rounds spins.
const MOST_ROUNDS: usize = 100_000;

/// An event that the dispatcher reported to its observer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Turn(u32),
    Ended(u32, TurnEnd),
    Silence(u32, Timer),
    Lingers(u32, CloseReason),
    Closed(u32, CloseReason),
}

/// Records all events.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<Seen>>>);

impl Log {
    fn note(&self, seen: Seen) {
        self.0.borrow_mut().push(seen);
    }
}

impl Observer for Log {
    fn silence(&mut self, conn: ConnLabel<'_>, delay: Timer) {
        self.note(Seen::Silence(conn.serial, delay));
    }
    fn turn(&mut self, conn: ConnLabel<'_>, _: Readiness) {
        self.note(Seen::Turn(conn.serial));
    }
    fn turn_ended(&mut self, conn: ConnLabel<'_>, end: TurnEnd, _: u64, _: Option<Timer>) {
        self.note(Seen::Ended(conn.serial, end));
    }
    fn lingering(&mut self, conn: ConnLabel<'_>, reason: CloseReason) {
        self.note(Seen::Lingers(conn.serial, reason));
    }
    fn closed(&mut self, conn: ConnLabel<'_>, reason: CloseReason) {
        self.note(Seen::Closed(conn.serial, reason));
    }
}

/// The peer's end of a connection.
#[derive(Clone)]
pub struct Peer {
    pub socket: Handle,
    pub id: SessionId,
}

impl Peer {
    /// The bytes that the server has sent.
    pub fn got(&self) -> Vec<u8> {
        self.socket.borrow().output.clone()
    }

    /// The bytes that the server has sent, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.got()).into_owned()
    }

    /// The system calls on its socket.
    pub fn calls(&self) -> Vec<Call> {
        self.socket.borrow().calls.clone()
    }

    /// The number of bytes that the server has not read.
    pub fn unread(&self) -> usize {
        let socket = self.socket.borrow();
        socket.arrived - socket.taken
    }

    /// Bytes arrive without a readiness event.
    pub fn sends(&self, bytes: impl AsRef<[u8]>) {
        let mut socket = self.socket.borrow_mut();
        socket.script.say(&bytes);
        socket.arrive(bytes.as_ref().len());
    }

    /// Sets the free space of its socket.
    pub fn takes(&self, bytes: usize) {
        let mut socket = self.socket.borrow_mut();
        socket.window = socket.sent + bytes;
    }

    /// Whether the server has closed the socket.
    pub fn is_closed(&self) -> bool {
        Rc::strong_count(&self.socket) == 1
    }
}

/// The dispatcher and its surroundings.
pub struct Simulation {
    pub dispatcher: Dispatcher<SimIo>,
    /// The duration of a turn; 0 unless a test sets it.
    pub turn_micros: Rc<Cell<u64>>,
    /// The clock that measures turns.
    pub time: Rc<Cell<u64>>,
    pub now: Moment,
    pub store: Memory,
    /// No disk operation completes.
    pub disk_hangs: bool,
    log: Log,
}

/// A socket with this number of bytes of free space.
pub fn socket(window: usize) -> Handle {
    let socket = SimSocket::new(0, Script::default(), window);
    Rc::new(RefCell::new(socket))
}

/// A file `big` of this length.
pub fn big_file(length: usize) -> Files {
    let content = (0..length).map(|at| (at % 251) as u8).collect();
    [("big".to_owned(), content)].into()
}

/// The limits of the real server.
pub fn limits() -> ReactorLimits {
    ReactorLimits {
        connections: 100,
        ..REACTOR
    }
}

impl Simulation {
    /// A server with the limits of the real one.
    pub fn new(files: &Files) -> Simulation {
        Simulation::with(limits(), files, &Faults::default(), true)
    }

    /// A server with other limits; `direct` moves bodies by splice and sendfile.
    pub fn with(limits: ReactorLimits, files: &Files, faults: &Faults, direct: bool) -> Simulation {
        let store = Memory::with(files, faults.clone());
        let log = Log::default();
        let mut world = Shared::new(OUTBOX_HIGH_WATER);
        world.observer = Box::new(log.clone());
        let turn_micros = Rc::new(Cell::new(0));
        let time = Rc::new(Cell::new(0));
        let io = SimIo {
            seed: None,
            direct,
            turn_micros: turn_micros.clone(),
            time: time.clone(),
        };
        Simulation {
            dispatcher: Dispatcher::new(io, world, limits, vec!["simulated"]),
            turn_micros,
            time,
            now: Moment(0),
            store,
            disk_hangs: false,
            log,
        }
    }

    /// A new connection after its first turn.
    pub fn connect(&mut self, service: Service) -> Peer {
        let peer = self.accept(service, usize::MAX / 2);
        self.run();
        peer
    }

    /// A new connection whose socket has this free space.
    pub fn accept(&mut self, service: Service, window: usize) -> Peer {
        self.open(service.protocol(&self.store), window)
    }

    /// The same for a protocol of the test.
    pub fn open(&mut self, protocol: Box<dyn Protocol>, window: usize) -> Peer {
        let socket = socket(window);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let dispatcher = &mut self.dispatcher;
        let id = dispatcher.open(socket.clone(), 0, address, |_| protocol, self.now);
        Peer { socket, id }
    }

    /// The connection of the operator.
    pub fn operator(&mut self, protocol: Box<dyn Protocol>, window: usize) -> Peer {
        let socket = socket(window);
        let dispatcher = &mut self.dispatcher;
        let opened = dispatcher.open_operator(socket.clone(), protocol, self.now);
        opened.expect("it is registered");
        let id = dispatcher.operator().expect("it was just opened");
        Peer { socket, id }
    }

    /// Bytes arrive: one event.
    pub fn say(&mut self, peer: &Peer, bytes: impl AsRef<[u8]>) {
        peer.sends(bytes);
        self.mark(peer, true, false, false);
    }

    /// Bytes and the end of the stream arrive: one event for both.
    pub fn say_and_finish(&mut self, peer: &Peer, bytes: impl AsRef<[u8]>) {
        peer.sends(bytes);
        peer.socket.borrow_mut().end_arrived = true;
        self.mark(peer, true, false, true);
    }

    /// The peer resets the connection.
    pub fn reset(&mut self, peer: &Peer) {
        peer.socket.borrow_mut().reset = true;
        self.mark(peer, true, true, true);
    }

    /// The peer reads: its socket has more free space.
    pub fn make_room(&mut self, peer: &Peer, bytes: usize) {
        peer.socket.borrow_mut().window += bytes;
        self.mark(peer, false, true, false);
    }

    fn mark(&mut self, peer: &Peer, readable: bool, writable: bool, read_closed: bool) {
        let readiness = Readiness {
            readable,
            writable,
            drain_to_eof: read_closed,
        };
        self.dispatcher.mark(peer.id, readiness);
    }

    /// One round at the current time.
    pub fn round(&mut self) {
        self.dispatcher.on_time(self.now);
        self.dispatcher.round(self.now);
    }

    /// Runs rounds until no connection waits for a turn.
    pub fn run(&mut self) {
        for _ in 0..MOST_ROUNDS {
            self.round();
            if self.dispatcher.has_turns() {
                continue;
            }
            if self.disk_hangs || !self.store.finish_next() {
                return;
            }
            self.dispatcher.end_waits(self.store.finished());
        }
        panic!("the loop spins");
    }

    /// Lets time pass; timers expire when they are due.
    pub fn pass(&mut self, micros: u64) {
        self.run();
        let end = self.now.after(micros);
        for _ in 0..MOST_ROUNDS {
            match self.dispatcher.next_due() {
                Some(due) if due <= end => {
                    self.now = self.now.max(due);
                    self.run();
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("timers wake the loop without progress");
    }

    /// All events so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.log.0.borrow().clone()
    }

    /// Why a connection was closed, if it was.
    pub fn closed(&self, peer: &Peer) -> Option<CloseReason> {
        self.seen().into_iter().find_map(|seen| match seen {
            Seen::Closed(serial, reason) if serial == peer.id.serial() => Some(reason),
            _ => None,
        })
    }
}

/// The calls of a [`Probe`].
pub type Shown = Rc<RefCell<Vec<(Vec<u8>, Follows)>>>;

/// A protocol that consumes everything, awaits one timer and records its calls.
pub struct Probe {
    pub shown: Shown,
    pub awaits: Option<Timer>,
}

impl Protocol for Probe {
    fn on_bytes(&mut self, input: &[u8], follows: Follows, _: &mut Context<'_>) -> (usize, Intake) {
        self.shown.borrow_mut().push((input.to_vec(), follows));
        (input.len(), Intake::Bytes)
    }

    fn awaited(&self) -> Option<Timer> {
        self.awaits
    }
}
