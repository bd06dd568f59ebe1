//! The production services under test, in the order of their listeners.

use super::store::Memory;
use loket::config::services::SERVICES;
use loket::services::ServiceLimits;
use loket::services::echo::Echo;
use loket::services::files::Files;
use loket::services::operator::Operator;
use loket::services::roster::Roster;
use loket::services::talk::Talk;
use loket::services::transfer::Transfer;
use loket::session::protocol::Protocol;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

/// A service.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    #[default]
    Echo,
    Transfer,
    Files,
    Talk,
    Operator,
}

impl Service {
    /// Their names; the operator has no listener.
    pub const NAMES: [&str; 5] = ["echo", "transfer", "files", "talk", "operator"];

    /// The name of the service.
    pub fn name(self) -> &'static str {
        Service::NAMES[self as usize]
    }

    /// A new session with the limits of the real server.
    pub fn protocol(self, store: &Memory) -> Box<dyn Protocol> {
        let address = ([127, 0, 0, 1], 1).into();
        self.within(Rc::new(SERVICES), store, Rc::default(), address)
    }

    /// A new session with other limits and this roster of talk clients.
    pub fn within(
        self,
        limits: Rc<ServiceLimits>,
        store: &Memory,
        roster: Rc<RefCell<Roster>>,
        address: SocketAddr,
    ) -> Box<dyn Protocol> {
        let store = Rc::new(store.clone());
        match self {
            Service::Echo => Box::new(Echo),
            Service::Transfer => Box::new(Transfer::new(limits, store, address)),
            Service::Files => Box::new(Files::new(limits, store, address)),
            Service::Talk => Box::new(Talk::new(limits, roster, address)),
            Service::Operator => Box::new(Operator::new(limits, Some(roster), None)),
        }
    }
}
