//! The production acceptor on simulated listeners.

use super::io::SimIo;
use super::make_peers;
use super::script::Service;
use super::seed_calls::{Backlog, REFUSAL};
use super::shared::SimState;
use super::sim_socket::Handle;
use crate::memory::counting::Counting;
use loket::reactor::acceptor::{Acceptor, ServiceListener};
use loket::reactor::clock::Moment;
use loket::reactor::dispatcher::Dispatcher;
use loket::session::protocol::Protocol;
use std::net::SocketAddr;
use std::rc::Rc;

/// The acceptor and the backlogs of its listeners.
pub struct AcceptModel {
    acceptor: Acceptor<SimIo>,
    backlogs: Vec<Backlog>,
}

impl AcceptModel {
    /// An acceptor with this number of listeners.
    pub fn new(shared: &Rc<SimState>, listeners: usize) -> AcceptModel {
        let backlogs: Vec<Backlog> = (0..listeners).map(|_| Backlog::default()).collect();
        let listener = |backlog: &Backlog| {
            let shared = shared.clone();
            ServiceListener {
                name: "simulated",
                socket: backlog.clone(),
                make: Box::new(move |address| protocol(&shared, address)),
                refusal: Some(REFUSAL),
                proxies: Rc::default(),
                readable: false,
            }
        };
        let listeners = backlogs.iter().map(listener).collect();
        AcceptModel {
            acceptor: Acceptor::new(listeners, &shared.plan.limits),
            backlogs,
        }
    }

    /// A peer enters the backlog of a listener: one event.
    pub fn connect(&mut self, listener: usize, peer: Handle) {
        self.backlogs[listener].borrow_mut().push_back(peer);
        self.acceptor.mark(listener as u32);
    }

    /// When the acceptor has to run again, if no event arrives.
    pub fn due(&mut self, connections: usize, now: Moment) -> Option<Moment> {
        self.acceptor.due(connections, now)
    }

    /// Accepts the waiting peers.
    pub fn accept(&mut self, dispatcher: &mut Dispatcher<SimIo>, now: Moment) {
        self.acceptor.accept(dispatcher, now);
    }

    /// Closes the listeners: waiting peers are refused.
    pub fn close(&mut self) {
        self.acceptor.close();
        for peer in self.backlogs.drain(..).flat_map(|backlog| backlog.take()) {
            peer.borrow_mut().rejected = true;
        }
    }
}

/// Makes the protocol of a peer that was just accepted.
fn protocol(shared: &SimState, peer: SocketAddr) -> Box<dyn Protocol> {
    let accepted = shared.accepted.borrow();
    let socket = accepted.as_ref().expect("it was just accepted");
    let (service, bodies) = (socket.borrow().service(), socket.borrow().bodies.clone());
    if service == Service::Talk {
        let seconds = shared.seconds.get();
        let mut operator_model = shared.operator_model.borrow_mut();
        operator_model.joined(socket.clone(), peer, seconds);
    }
    let protocol = make_peers::protocol(service, shared, peer);
    Box::new(Counting::new(protocol, bodies))
}
