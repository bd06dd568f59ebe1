//! Is the way in: the production acceptor, and the peers that stand before its listeners.

use super::io::SimIo;
use super::make_peers;
use super::script::Service;
use super::seed_calls::{Backlog, REFUSAL, address};
use super::shared::SimState;
use super::sim_socket::Handle;
use crate::memory::counting::Counting;
use loket::reactor::acceptor::{Acceptor, Listener};
use loket::reactor::clock::Moment;
use loket::reactor::dispatcher::Dispatcher;
use loket::session::protocol::Protocol;
use std::net::SocketAddr;
use std::rc::Rc;

/// The acceptor, and the peers that stand before its listeners.
pub struct AcceptModel {
    acceptor: Acceptor<SimIo>,
    backlogs: Vec<Backlog>,
}

impl AcceptModel {
    /// So many listeners.
    pub fn new(shared: &Rc<SimState>, listeners: usize) -> AcceptModel {
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
        AcceptModel {
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
    pub fn accept(&mut self, dispatcher: &mut Dispatcher<SimIo>, now: Moment) {
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

/// The protocol of a peer that was just registered.
fn protocol(shared: &SimState, peer: SocketAddr) -> Box<dyn Protocol> {
    let is_peer = |socket: &&Handle| {
        let socket = socket.borrow();
        !socket.is_console() && address(socket.number) == peer
    };
    let live = shared.live.borrow();
    let socket = live.values().find(is_peer).expect("it was just registered");
    let (service, bodies) = (socket.borrow().service(), socket.borrow().bodies.clone());
    if service == Service::Talk {
        let seconds = shared.seconds.get();
        let mut operator_model = shared.operator_model.borrow_mut();
        operator_model.joined(socket.clone(), peer, seconds);
    }
    let protocol = make_peers::protocol(service, shared, peer);
    Box::new(Counting::new(protocol, bodies))
}
