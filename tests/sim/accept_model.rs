//! Is the way in: what the kernel of a seed answers to the production acceptor.
//! Serves nobody; it makes their protocols and tells the model that they have come.

use super::io::WildKernel;
use super::make_peers;
use super::script::Service;
use super::shared::Shared;
use super::sim_socket::{Handle, Wire};
use super::trace::Event;
use super::watcher::Watcher;
use crate::memory::counting::Counting;
use loket::reactor::acceptor::{Acceptor, Listener};
use loket::reactor::clock::Moment;
use loket::reactor::dispatcher::Dispatcher;
use loket::reactor::token::Key;
use loket::session::protocol::Protocol;
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// Peers that were not accepted yet.
pub type Backlog = Rc<RefCell<VecDeque<Handle>>>;

const REFUSAL: &[u8] = b"too many from your address\n";

/// The acceptor, and the peers that stand before its listeners.
pub struct Door {
    acceptor: Acceptor<WildKernel>,
    backlogs: Vec<Backlog>,
}

impl Door {
    /// So many listeners.
    pub fn new(shared: &Rc<Shared>, listeners: usize) -> Door {
        let backlogs: Vec<Backlog> = (0..listeners).map(|_| Backlog::default()).collect();
        let listener = |backlog: &Backlog| {
            let shared = shared.clone();
            Listener {
                name: "simulated",
                socket: backlog.clone(),
                make: Box::new(move |address| protocol(&shared, address)),
                refusal: Some(REFUSAL),
                readable: false,
            }
        };
        let listeners = backlogs.iter().map(listener).collect();
        Door {
            acceptor: Acceptor::new(listeners, &shared.plan.limits),
            backlogs,
        }
    }

    /// A peer stands before a listener: one edge.
    pub fn knock(&mut self, listener: usize, peer: Handle) {
        self.backlogs[listener].borrow_mut().push_back(peer);
        self.acceptor.mark(listener as u32);
    }

    /// When the loop has to look here again, if nothing else happens.
    pub fn due(&mut self, connections: usize, now: Moment) -> Option<Moment> {
        self.acceptor.due(connections, now)
    }

    /// Takes in who waits.
    pub fn accept(&mut self, dispatcher: &mut Dispatcher<WildKernel, Watcher>, now: Moment) {
        self.acceptor.accept(dispatcher, now);
    }

    /// The listeners are closed: who waits is refused.
    pub fn close(&mut self) {
        self.acceptor.close();
        for peer in self.backlogs.drain(..).flat_map(|backlog| backlog.take()) {
            peer.borrow_mut().turned_away = true;
        }
    }
}

/// One peer leaves the queue.
pub fn accept(shared: &Shared, backlog: &Backlog) -> io::Result<(Handle, SocketAddr)> {
    if shared.strikes(shared.plan.mischief.no_descriptor) {
        shared.note(Event::NoDescriptor);
        return Err(Errno::MFILE.into());
    }
    let peer = backlog.borrow_mut().pop_front();
    let peer = peer.ok_or(ErrorKind::WouldBlock)?;
    if peer.borrow().reset {
        peer.borrow_mut().turned_away = true;
        return Err(ErrorKind::ConnectionAborted.into());
    }
    let address = address(peer.borrow().number);
    Ok((peer, address))
}

/// From here on the kernel tells of a connection by its key.
pub fn register(shared: &Shared, wire: &Handle, key: Key) -> io::Result<()> {
    let mut open = wire.borrow_mut();
    if !open.is_console() {
        let most = shared.plan.limits.per_address.unwrap_or(usize::MAX);
        assert!(
            connections_from(shared, &open) < most,
            "too many of one address"
        );
        if shared.strikes(shared.plan.mischief.no_descriptor) {
            open.turned_away = true;
            return Err(ErrorKind::OutOfMemory.into());
        }
        let (peer, serial) = (open.number, key.serial);
        shared.note(Event::Accepted { peer, serial });
    }
    let now = shared.now.get();
    (open.key, open.moved, open.served, open.took_at) = (Some(key), now, now, now);
    // Registering tells at once what is known already.
    open.owed = true;
    drop(open);
    shared.live.borrow_mut().insert(key.serial, wire.clone());
    shared.queue.borrow_mut().push_short(key.serial);
    Ok(())
}

/// What is written to a peer that was not registered is its refusal.
pub fn refuse(shared: &Shared, wire: &mut Wire, bytes: &[u8]) -> usize {
    assert_eq!(bytes, REFUSAL);
    let most = shared.plan.limits.per_address;
    let there = connections_from(shared, wire);
    assert_eq!(Some(there), most, "there was room");
    wire.turned_away = true;
    bytes.len()
}

/// Where a peer comes from: some share an address.
pub fn address(number: usize) -> SocketAddr {
    ([127, 0, 0, (number % 3) as u8], 1000 + number as u16).into()
}

fn connections_from(shared: &Shared, wire: &Wire) -> usize {
    let address = |number| -> IpAddr { address(number).ip() };
    let live = shared.live.borrow();
    let there = live.values().filter(|other| {
        let other = other.borrow();
        !other.is_console() && address(other.number) == address(wire.number)
    });
    there.count()
}

/// The protocol of a peer that was just registered.
fn protocol(shared: &Shared, peer: SocketAddr) -> Box<dyn Protocol> {
    let is_peer = |wire: &&Handle| {
        let wire = wire.borrow();
        !wire.is_console() && address(wire.number) == peer
    };
    let live = shared.live.borrow();
    let wire = live.values().find(is_peer).expect("it was just registered");
    let (service, bodies) = (wire.borrow().service(), wire.borrow().bodies.clone());
    if service == Service::Talk {
        let seconds = shared.seconds.get();
        let mut screen = shared.screen.borrow_mut();
        screen.joined(wire.clone(), peer, seconds);
    }
    let protocol = make_peers::protocol(service, shared, peer);
    Box::new(Counting::new(protocol, bodies))
}
