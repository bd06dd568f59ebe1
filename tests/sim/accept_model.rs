//! Is the way in: simulated listeners before the production code that accepts.
//! Serves nobody; it makes their protocols and tells the model that they have come.

use super::io::WildKernel;
use super::make_peers;
use super::script::Service;
use super::shared::Shared;
use super::sim_socket::Handle;
use super::trace::Event;
use super::watcher::Watcher;
use crate::memory::counting::Counting;
use loket::reactor::accepting::{Accepted, Accepting, Arrivals};
use loket::reactor::clock::Moment;
use loket::reactor::dispatcher::Dispatcher;
use loket::reactor::token::Key;
use loket::session::protocol::Protocol;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// The listeners, and who decides how many come in.
pub struct Door {
    accepting: Accepting,
    queues: Vec<Queue>,
}

/// One listener.
struct Queue {
    shared: Rc<Shared>,
    waiting: VecDeque<Handle>,
    readable: bool,
    /// Who was taken out of the queue last.
    last: RefCell<Option<Handle>>,
    next_talk: Rc<Cell<u32>>,
}

impl Door {
    /// So many listeners.
    pub fn new(shared: Rc<Shared>, listeners: usize) -> Door {
        let limits = &shared.plan.limits;
        let next_talk = Rc::new(Cell::new(1));
        let queue = |_| Queue {
            shared: shared.clone(),
            waiting: VecDeque::new(),
            readable: false,
            last: RefCell::default(),
            next_talk: next_talk.clone(),
        };
        Door {
            accepting: Accepting::new(limits.connections, limits.accepts_per_turn),
            queues: (0..listeners).map(queue).collect(),
        }
    }

    /// A peer stands before a listener: one edge.
    pub fn knock(&mut self, listener: usize, peer: Handle) {
        self.queues[listener].waiting.push_back(peer);
        self.queues[listener].readable = true;
    }

    /// When the loop has to look here again, if nothing else happens.
    pub fn due(&mut self, connections: usize, now: Moment) -> Option<Moment> {
        let waits = self.queues.iter().any(|queue| queue.readable);
        self.accepting.due(waits, connections, now)
    }

    /// Takes in who waits.
    pub fn accept(&mut self, dispatcher: &mut Dispatcher<WildKernel, Watcher>, now: Moment) {
        if !dispatcher.accepts() {
            return;
        }
        for number in self.accepting.order(self.queues.len()) {
            let queue = &mut self.queues[number];
            self.accepting.turn(number, queue, dispatcher, now);
        }
    }

    /// The listeners are closed: who waits is refused.
    pub fn close(&mut self) {
        for queue in &mut self.queues {
            queue.readable = false;
            for peer in queue.waiting.drain(..) {
                peer.borrow_mut().turned_away = true;
            }
        }
    }
}

/// From here on the kernel tells of a connection by its key.
pub fn register(shared: &Shared, wire: &Handle, key: Key) {
    let now = shared.now.get();
    let mut open = wire.borrow_mut();
    (open.key, open.moved, open.served, open.took_at) = (Some(key), now, now, now);
    // Registering tells at once what is known already.
    open.owed = true;
    drop(open);
    shared.live.borrow_mut().insert(key.serial, wire.clone());
    shared.queue.borrow_mut().push_short(key.serial);
}

/// Where a peer comes from: some share an address.
pub fn address(number: usize) -> SocketAddr {
    ([127, 0, 0, (number % 3) as u8], 1000 + number as u16).into()
}

impl Queue {
    fn connections_from(&self, address: IpAddr) -> usize {
        let live = self.shared.live.borrow();
        let there = live.values().filter(|wire| {
            let wire = wire.borrow();
            !wire.is_console() && self::address(wire.number).ip() == address
        });
        there.count()
    }
}

impl Arrivals<Handle> for Queue {
    fn is_readable(&self) -> bool {
        self.readable
    }

    fn accept(&mut self) -> Accepted<Handle> {
        if self.shared.strikes(self.shared.plan.mischief.no_descriptor) {
            self.shared.note(Event::NoDescriptor);
            return Accepted::OutOfDescriptors;
        }
        match self.waiting.pop_front() {
            None => {
                self.readable = false;
                Accepted::Drained
            }
            Some(peer) if peer.borrow().reset => {
                peer.borrow_mut().turned_away = true;
                Accepted::Failed(ErrorKind::ConnectionAborted.into())
            }
            Some(peer) => {
                let address = address(peer.borrow().number);
                *self.last.borrow_mut() = Some(peer.clone());
                Accepted::Stream(peer, address)
            }
        }
    }

    fn register(&mut self, socket: &mut Handle, key: Key) -> io::Result<()> {
        let from = address(socket.borrow().number).ip();
        let most = self.shared.plan.limits.per_address.unwrap_or(usize::MAX);
        assert!(
            self.connections_from(from) < most,
            "too many of one address"
        );
        if self.shared.strikes(self.shared.plan.mischief.no_descriptor) {
            socket.borrow_mut().turned_away = true;
            self.last.take();
            return Err(ErrorKind::OutOfMemory.into());
        }
        register(&self.shared, socket, key);
        let (peer, serial) = (socket.borrow().number, key.serial);
        self.shared.note(Event::Accepted { peer, serial });
        Ok(())
    }

    fn protocol(&self, address: SocketAddr) -> Box<dyn Protocol> {
        let wire = self.last.take().expect("it was just accepted");
        let (service, bodies) = (wire.borrow().service(), wire.borrow().bodies.clone());
        let id = self.next_talk.get();
        if service == Service::Talk {
            self.next_talk.set(id + 1);
            let seconds = self.shared.seconds.get();
            let mut screen = self.shared.screen.borrow_mut();
            screen.joined(id, wire, address, seconds);
        }
        let limits = self.shared.plan.services.clone();
        let protocol = make_peers::protocol(service, limits, id, address);
        Box::new(Counting::new(protocol, bodies))
    }

    fn turn_away(&mut self, socket: Handle) {
        let from = address(socket.borrow().number).ip();
        let most = self.shared.plan.limits.per_address;
        assert_eq!(Some(self.connections_from(from)), most, "there was room");
        self.last.take();
        socket.borrow_mut().turned_away = true;
    }
}
