//! Decides whether more connections may be accepted.
//! Accepts nothing: while it is closed, peers wait in the kernel's queue.
//!
//! ```text
//!           limit reached, or no descriptor left
//!   Open ─────────────────────────────────────────▶ Closed
//!     ▲        90 % of the connections at closing,      │
//!     └─────── or a second after a lack of descriptors ─┘
//! ```

use super::clock::{Moment, SECOND};

/// The gate, with hysteresis: it closes at 100 % and opens at 90 %, or it would flap.
#[derive(Debug)]
pub struct AcceptGate {
    limit: usize,
    state: State,
    logged: Option<Moment>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Open,
    Closed {
        /// With so few connections it opens again; `None` when nobody is left to close.
        reopen_at: Option<usize>,
        retry: Option<Moment>,
    },
}

impl AcceptGate {
    /// An open gate for at most `limit` connections.
    pub fn new(limit: usize) -> AcceptGate {
        AcceptGate {
            limit,
            state: State::Open,
            logged: None,
        }
    }

    /// Whether one more may come in. Opens the gate again when there is room.
    pub fn is_open(&mut self, connections: usize, now: Moment) -> bool {
        if let State::Closed { reopen_at, retry } = self.state
            && (reopen_at.is_some_and(|at| connections <= at)
                || retry.is_some_and(|retry| retry <= now))
        {
            self.state = State::Open;
        }
        if matches!(self.state, State::Open) && connections >= self.limit {
            self.close(
                connections,
                None,
                now,
                "the limit of connections is reached",
            );
        }
        matches!(self.state, State::Open)
    }

    /// The process or the system has no descriptor left. Descriptors may also come free without a
    /// connection being closed, so it is tried again after a second.
    pub fn out_of_descriptors(&mut self, connections: usize, now: Moment) {
        self.close(
            connections,
            Some(now.after(SECOND)),
            now,
            "no descriptor is left",
        );
    }

    /// When a closed gate should be tried again without anything being closed.
    pub fn retry(&self) -> Option<Moment> {
        match self.state {
            State::Closed { retry, .. } => retry,
            State::Open => None,
        }
    }

    fn close(&mut self, connections: usize, retry: Option<Moment>, now: Moment, why: &str) {
        // Nine tenths, but at least one fewer than now.
        let reopen_at = connections.checked_sub(connections.div_ceil(10).max(1));
        self.state = State::Closed { reopen_at, retry };
        if self.logged.is_none_or(|logged| logged.after(SECOND) <= now) {
            log::warn!("{why}; peers wait until some of the {connections} connections are closed");
            self.logged = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_at_the_limit_and_opens_at_nine_tenths() {
        let mut gate = AcceptGate::new(100);
        let now = Moment(0);
        assert!(gate.is_open(99, now));
        assert!(!gate.is_open(100, now));
        assert!(!gate.is_open(91, now));
        assert!(gate.is_open(90, now));
    }

    #[test]
    fn a_limit_of_one_opens_when_the_one_is_gone() {
        let mut gate = AcceptGate::new(1);
        assert!(!gate.is_open(1, Moment(0)));
        assert!(gate.is_open(0, Moment(0)));
    }

    #[test]
    fn a_lack_of_descriptors_is_tried_again_after_a_second() {
        let mut gate = AcceptGate::new(100);
        gate.out_of_descriptors(0, Moment(0));
        assert!(gate.retry().is_some());
        gate.out_of_descriptors(50, Moment(5));
        assert!(!gate.is_open(50, Moment(SECOND)));
        assert!(gate.is_open(50, Moment(SECOND + 5)));
        assert!(gate.retry().is_none());
    }

    #[test]
    fn with_nobody_left_to_close_only_time_opens_the_gate() {
        let mut gate = AcceptGate::new(100);
        gate.out_of_descriptors(0, Moment(0));
        assert!(!gate.is_open(0, Moment(SECOND - 1)));
        assert!(gate.is_open(0, Moment(SECOND)));
    }
}
