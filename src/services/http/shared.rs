//! What all HTTP connections of a server share: rights, settings and counters.

use super::request_counts::RequestCounts;
use super::rights::Rights;
use super::tabs::Tabs;
use crate::services::ServiceLimits;
use crate::services::operator_history::OperatorHistory;
use crate::services::room::view::RoomView;
use crate::services::roster::Roster;
use crate::session::loop_metrics::LoopMetrics;
use crate::session::loop_view::LoopView;
use crate::store::Store;
use crate::wire::http::date::DateCache;
use std::cell::RefCell;
use std::rc::Rc;

/// What all HTTP connections of a server share.
pub struct HttpShared {
    /// The lengths of heads and names.
    pub limits: Rc<ServiceLimits>,
    /// The files.
    pub store: Rc<dyn Store>,
    /// The date of answers.
    pub date: RefCell<DateCache>,
    /// Decides about each request.
    pub rights: RefCell<Rights>,
    /// Whether a folder is answered with its `index.html`.
    pub index: bool,
    /// Requests by method and class of status.
    pub requests: RequestCounts,
    /// The counters of the loop.
    pub metrics: Rc<LoopMetrics>,
    /// What the Loop view shows.
    pub loop_view: Rc<LoopView>,
    /// The talk clients; `None` if the talk service is off.
    pub roster: Option<Rc<RefCell<Roster>>>,
    /// The lines to the operator.
    pub history: Rc<RefCell<OperatorHistory>>,
    /// The members of the room; `None` if it is off.
    pub room: Option<Rc<RefCell<RoomView>>>,
    /// The open tabs.
    pub tabs: RefCell<Tabs>,
}
