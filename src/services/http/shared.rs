//! What all HTTP connections of a server share: rights, settings and counters.

use super::request_counts::RequestCounts;
use super::rights::Rights;
use crate::session::loop_metrics::LoopMetrics;
use std::cell::RefCell;
use std::rc::Rc;

/// What all HTTP connections of a server share.
pub struct HttpShared {
    /// Decides about each request.
    pub rights: RefCell<Rights>,
    /// Whether a folder is answered with its `index.html`.
    pub index: bool,
    /// Requests by method and class of status.
    pub requests: RequestCounts,
    /// The counters of the loop.
    pub metrics: Rc<LoopMetrics>,
}
