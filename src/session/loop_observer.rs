//! The observer of the Loop view. While no tab watches, each call only checks one number.

use super::close_reason::CloseReason;
use super::loop_view::LoopView;
use super::observer::{ConnLabel, IoDirection, Observer, Readiness, TurnEnd};
use crate::wire::follows::Timer;
use std::net::SocketAddr;
use std::rc::Rc;

/// Passes to the Loop view what it shows.
pub struct LoopObserver {
    view: Rc<LoopView>,
    /// Bytes that were moved in the current turn.
    moved: u64,
}

impl LoopObserver {
    /// An observer for this view.
    pub fn new(view: Rc<LoopView>) -> LoopObserver {
        LoopObserver { view, moved: 0 }
    }
}

impl Observer for LoopObserver {
    fn round(&mut self, events: usize) {
        if self.view.is_watched() {
            self.view.round(events);
            self.view.each_trace(|trace| trace.round(events));
        }
    }

    fn opened(&mut self, conn: ConnLabel<'_>, _: SocketAddr) {
        if self.view.is_watched() {
            self.view.opened(conn);
        }
    }

    fn event(&mut self, conn: ConnLabel<'_>, ready: Readiness) {
        if self.view.is_watched() {
            self.view.event(conn);
            self.view.each_trace(|trace| trace.event(conn, ready));
        }
    }

    fn silence(&mut self, conn: ConnLabel<'_>, timer: Timer) {
        self.view.each_trace(|trace| trace.silence(conn, timer));
    }

    fn queued(&mut self, short: usize, bulk: usize) {
        if self.view.is_watched() {
            self.view.queued(short, bulk);
        }
    }

    fn turn(&mut self, conn: ConnLabel<'_>, ready: Readiness) {
        self.view.each_trace(|trace| trace.turn(conn, ready));
    }

    fn consumed(&mut self, bytes: &[u8]) {
        self.view.each_trace(|trace| trace.consumed(bytes));
    }

    fn answered(&mut self, bytes: usize, body: u64) {
        self.view.each_trace(|trace| trace.answered(bytes, body));
    }

    fn moved(&mut self, direction: IoDirection, bytes: usize, body: bool) {
        if self.view.is_watched() {
            self.moved += bytes as u64;
            self.view
                .each_trace(|trace| trace.moved(direction, bytes, body));
        }
    }

    fn turn_ended(&mut self, conn: ConnLabel<'_>, end: TurnEnd, owed: u64, awaited: Option<Timer>) {
        if self.view.is_watched() {
            let moved = std::mem::take(&mut self.moved);
            self.view.turn_ended(conn, owed, moved);
            self.view
                .each_trace(|trace| trace.turn_ended(conn, end, owed, awaited));
        }
    }

    fn cost(&mut self, conn: ConnLabel<'_>, bulk: bool, bytes: usize, calls: usize, micros: u64) {
        if self.view.is_watched() {
            let used = self.view.limits().budget.used(bulk, bytes, calls);
            self.view.cost(conn, used, micros);
        }
    }

    fn lingering(&mut self, conn: ConnLabel<'_>, reason: CloseReason) {
        self.view.each_trace(|trace| trace.lingering(conn, reason));
    }

    fn closed(&mut self, conn: ConnLabel<'_>, reason: CloseReason) {
        if self.view.is_watched() {
            self.view.closed(conn);
            self.view.each_trace(|trace| trace.closed(conn, reason));
        }
    }
}
