//! The production services under test, in the order of their listeners.

use super::store::Memory;
use loket::config::loop_view::LOOP_VIEW;
use loket::config::room::WRONG_SECRETS;
use loket::config::services::SERVICES;
use loket::services::ServiceLimits;
use loket::services::echo::Echo;
use loket::services::files::Files;
use loket::services::http::Http;
use loket::services::http::request_counts::RequestCounts;
use loket::services::http::rights::{Rights, RightsSettings};
use loket::services::http::shared::HttpShared;
use loket::services::http::tabs::Tabs;
use loket::services::operator::Operator;
use loket::services::operator_history::OperatorHistory;
use loket::services::room::view::RoomView;
use loket::services::roster::Roster;
use loket::services::talk::Talk;
use loket::services::transfer::Transfer;
use loket::session::loop_metrics::LoopMetrics;
use loket::session::loop_view::LoopView;
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
    Http,
    Operator,
}

impl Service {
    /// Their names; the operator has no listener.
    pub const NAMES: [&str; 6] = ["echo", "transfer", "files", "talk", "http", "operator"];

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
            Service::Http => Box::new(Http::new(http(limits, store, roster, None), address)),
            Service::Operator => Box::new(Operator::new(limits, Some(roster), None)),
        }
    }
}

/// What the HTTP sessions of a server without flags share.
pub fn http(
    limits: Rc<ServiceLimits>,
    store: Rc<Memory>,
    roster: Rc<RefCell<Roster>>,
    room: Option<Rc<RefCell<RoomView>>>,
) -> Rc<HttpShared> {
    let metrics = Rc::new(LoopMetrics::new(Service::NAMES));
    let history = OperatorHistory::new(limits.window.history, 1);
    // The ids of tabs are a sequence.
    let mut number = 0_u64;
    let random = move |secret: &mut [u8; 12]| {
        number += 1;
        secret[4..].copy_from_slice(&number.to_be_bytes());
        true
    };
    let rights = Rights::new(RightsSettings::default(), WRONG_SECRETS);
    Rc::new(HttpShared {
        limits,
        store,
        date: RefCell::default(),
        rights: RefCell::new(rights),
        index: false,
        requests: RequestCounts::default(),
        metrics: metrics.clone(),
        roster: Some(roster),
        history: Rc::new(RefCell::new(history)),
        room,
        loop_view: Rc::new(LoopView::new(metrics, LOOP_VIEW)),
        tabs: RefCell::new(Tabs::new(Box::new(random))),
    })
}
