//! What the Loop view of the HTTP service shows while a tab watches: frames, a snapshot, traces.
//!
//! ```text
//!   turns and closes ────▶ changed connections ─┐  every 0.1 s      ┌──▶ tab
//!   counters of /-/metrics ─────────────────────┴──▶ one frame ─────┼──▶ tab
//!   table of connections ──────▶ a piece of the snapshot, a round ──┴──▶ tab that has just come
//! ```
//!
//! A frame is made only if something has happened. The turns of the tabs do not count as such,
//! because each frame causes one: they are in the frames, but the picture of an idle server rests.
//!
//! A tab that was given something is ready again when a turn of it ends with little unsent. A tab
//! that is not ready loses the frame. When it is ready again it gets a new snapshot, since a frame
//! has only what has changed.

use super::changed_conns::{ChangedConns, TurnBudget};
use super::loop_frame::{ConnNow, FrameSpan, LoopNow, SnapshotPiece};
use super::loop_metrics::{LoopMetrics, STATES};
use super::observer::ConnLabel;
use super::session_id::SessionId;
use super::trace::Trace;
use super::trace_lines::TraceLines;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;

/// Limits of the Loop view.
#[derive(Debug, Clone, Copy)]
pub struct LoopViewLimits {
    /// The shortest time between two frames, in microseconds.
    pub frame_micros: u64,
    /// Changed connections in a frame.
    pub frame_conns: usize,
    /// Connections in a piece of the snapshot.
    pub piece_conns: usize,
    /// Slots in a piece of the snapshot.
    pub piece_slots: u32,
    /// Unsent bytes of a tab with which it is still given a frame.
    pub unsent: u64,
    /// Bytes of trace lines in a frame.
    pub trace_bytes: usize,
    /// The budget of turns.
    pub budget: TurnBudget,
}

/// The Loop view of a server. The observer, the loop and the tabs share it.
pub struct LoopView {
    metrics: Rc<LoopMetrics>,
    limits: LoopViewLimits,
    /// The number of tabs that watch. With none, the observer does nothing else than to check this.
    tabs: Cell<usize>,
    /// The number of them that trace a connection.
    traces: Cell<usize>,
    watched: RefCell<Watched>,
}

/// What is kept while a tab watches.
#[derive(Default)]
struct Watched {
    tabs: BTreeMap<SessionId, ViewTab>,
    changed: ChangedConns,
    span: FrameSpan,
    /// Whether a frame is to be made.
    stirred: bool,
    /// Events of this round that are not those of a tab.
    events: usize,
    accepting: bool,
    /// The tab that got the last piece of a snapshot.
    last: Option<SessionId>,
}

/// A tab that watches.
struct ViewTab {
    is_ready: bool,
    /// The first slot of the next piece of its snapshot.
    snapshot: Option<u32>,
    /// Frames that it has lost since the last one that it got.
    missed: u64,
    trace: Option<Box<TabTrace>>,
    /// What it has been given and has not sent.
    news: VecDeque<LoopNews>,
}

/// The connection that a tab traces.
struct TabTrace {
    id: SessionId,
    /// Whether its state was shown.
    begun: bool,
    trace: Trace<TraceLines>,
}

/// The data of an event that a tab is to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoopNews {
    /// A piece of the snapshot.
    Piece(String),
    /// A frame without its end, and the number of frames before it that the tab has lost.
    Frame(Rc<str>, u64),
    /// Lines of the trace of a connection.
    Trace(SessionId, Vec<String>),
}

impl LoopView {
    /// A view that no tab watches.
    pub fn new(metrics: Rc<LoopMetrics>, limits: LoopViewLimits) -> LoopView {
        LoopView {
            metrics,
            limits,
            tabs: Cell::new(0),
            traces: Cell::new(0),
            watched: RefCell::default(),
        }
    }

    /// Its limits.
    pub fn limits(&self) -> &LoopViewLimits {
        &self.limits
    }

    /// Whether a tab watches.
    pub fn is_watched(&self) -> bool {
        self.tabs.get() > 0
    }

    /// A tab begins to watch, in a turn at this time in microseconds.
    pub fn watch(&self, tab: SessionId, micros: u64) {
        let mut watched = self.watched.borrow_mut();
        if watched.tabs.is_empty() {
            watched.span = FrameSpan::new(micros, &self.metrics);
        }
        let new = ViewTab {
            is_ready: false,
            snapshot: Some(0),
            missed: 0,
            trace: None,
            news: VecDeque::new(),
        };
        watched.tabs.insert(tab, new);
        watched.stirred = true;
        self.count(&watched);
    }

    /// A tab no longer watches. It may be one that never has.
    pub fn leave(&self, tab: SessionId) {
        let mut watched = self.watched.borrow_mut();
        watched.tabs.remove(&tab);
        if watched.tabs.is_empty() {
            *watched = Watched::default();
        }
        self.count(&watched);
    }

    /// A tab that watches traces this connection from now on, or none.
    pub fn trace(&self, tab: SessionId, conn: Option<SessionId>) {
        let mut watched = self.watched.borrow_mut();
        if let Some(tab) = watched.tabs.get_mut(&tab) {
            tab.trace = conn.map(|id| {
                let lines = TraceLines::new(self.limits.trace_bytes);
                Box::new(TabTrace {
                    id,
                    begun: false,
                    trace: Trace::of(id, lines),
                })
            });
        }
        watched.stirred = true;
        self.count(&watched);
    }

    fn count(&self, watched: &Watched) {
        let traces = watched.tabs.values().filter(|tab| tab.trace.is_some());
        self.traces.set(traces.count());
        self.tabs.set(watched.tabs.len());
    }

    /// Whether a tab is to send something.
    pub fn has_news(&self, tab: SessionId) -> bool {
        let watched = self.watched.borrow();
        let tab = watched.tabs.get(&tab);
        tab.is_some_and(|tab| !tab.news.is_empty())
    }

    /// Takes what a tab is to send next. It is notified when there is something.
    pub fn next_news(&self, tab: SessionId) -> Option<LoopNews> {
        let mut watched = self.watched.borrow_mut();
        watched.tabs.get_mut(&tab)?.news.pop_front()
    }

    /// At the end of a round: makes a frame if one is due, and a piece of a snapshot. `find`
    /// returns the connection of a slot, in a table of `slots` slots. Returns the tabs that are to
    /// be notified, and when the next round must end, in microseconds.
    pub fn end_round(
        &self,
        now: &LoopNow,
        slots: u32,
        find: &dyn Fn(u32) -> Option<ConnNow>,
    ) -> (Vec<SessionId>, Option<u64>) {
        let mut watched = self.watched.borrow_mut();
        let watched = &mut *watched;
        watched.span.lag = watched.span.lag.max(now.late);
        watched.stirred |= watched.accepting != now.accepting;
        watched.accepting = now.accepting;
        self.give_piece(watched, slots, find);
        if watched.stirred && watched.span.begin + self.limits.frame_micros <= now.micros {
            self.give_frame(watched, now, find);
        }
        let mut notified = Vec::new();
        let mut next = watched
            .stirred
            .then_some(watched.span.begin + self.limits.frame_micros);
        for (id, tab) in &mut watched.tabs {
            if tab.is_ready && !tab.news.is_empty() {
                tab.is_ready = false;
                notified.push(*id);
            } else if tab.wants_piece() {
                next = Some(now.micros);
            }
        }
        (notified, next)
    }

    /// Gives a piece of the snapshot to the next tab that waits for one.
    fn give_piece(&self, watched: &mut Watched, slots: u32, find: &dyn Fn(u32) -> Option<ConnNow>) {
        let last = watched.last.map_or(Bound::Unbounded, Bound::Excluded);
        let after = (last, Bound::Unbounded);
        let waits = |(_, tab): &(&SessionId, &ViewTab)| tab.wants_piece();
        let next = watched.tabs.range(after).find(waits);
        let next = next.or_else(|| watched.tabs.iter().find(waits));
        let Some(id) = next.map(|(id, _)| *id) else {
            return;
        };
        watched.last = Some(id);
        let tab = watched.tabs.get_mut(&id).expect("found above");
        let piece = SnapshotPiece {
            first: tab.snapshot.expect("it waits for one"),
            slots,
            most_conns: self.limits.piece_conns,
            most_slots: self.limits.piece_slots,
        };
        let (text, next) = piece.write(&self.metrics, find);
        tab.news.push_back(LoopNews::Piece(text));
        tab.snapshot = next;
    }

    /// Makes a frame, and gives it to all tabs that are ready.
    fn give_frame(
        &self,
        watched: &mut Watched,
        now: &LoopNow,
        find: &dyn Fn(u32) -> Option<ConnNow>,
    ) {
        let (changed, most) = (&mut watched.changed, self.limits.frame_conns);
        let frame: Rc<str> = watched.span.frame(now, &self.metrics, changed, most).into();
        watched.span = FrameSpan::new(now.micros, &self.metrics);
        // The rest of the changed connections is in the next frame.
        watched.stirred = !watched.changed.is_empty();
        for tab in watched.tabs.values_mut() {
            if !tab.is_ready {
                tab.missed += 1;
                continue;
            }
            let missed = std::mem::take(&mut tab.missed);
            tab.news.push_back(LoopNews::Frame(frame.clone(), missed));
            if let Some(traced) = &mut tab.trace {
                traced.begin(&self.metrics, find);
                let lines = traced.trace.sink().take();
                if !lines.is_empty() {
                    tab.news.push_back(LoopNews::Trace(traced.id, lines));
                }
            }
        }
    }
}

/// What the observer calls while a tab watches.
impl LoopView {
    /// A round begins, with this number of events.
    pub fn round(&self, events: usize) {
        self.watched.borrow_mut().events = events;
    }

    /// An event of a connection.
    pub fn event(&self, conn: ConnLabel<'_>) {
        let mut watched = self.watched.borrow_mut();
        if watched.tab(conn).is_some() {
            watched.events -= 1;
        }
    }

    /// The turns of a round begin.
    pub fn queued(&self, short: usize, bulk: usize) {
        let mut watched = self.watched.borrow_mut();
        watched.stirred |= watched.events > 0;
        let [most_short, most_bulk] = watched.span.most;
        watched.span.most = [most_short.max(short), most_bulk.max(bulk)];
    }

    /// A connection was opened.
    pub fn opened(&self, conn: ConnLabel<'_>) {
        let mut watched = self.watched.borrow_mut();
        watched.stirred = true;
        watched.changed.opened(conn);
    }

    /// A turn that moved this number of bytes has ended.
    pub fn turn_ended(&self, conn: ConnLabel<'_>, owed: u64, bytes: u64) {
        let mut watched = self.watched.borrow_mut();
        let watched = &mut *watched;
        if !self.is_console(conn) {
            watched.changed.had_turn(conn, owed, bytes);
        }
        match watched.tab(conn) {
            Some(tab) => {
                tab.is_ready = owed <= self.limits.unsent && tab.news.is_empty();
                // It gets the whole picture again, and the number of frames.
                if tab.is_ready && tab.missed > 0 {
                    tab.snapshot = Some(0);
                    watched.stirred = true;
                }
            }
            None => watched.stirred = true,
        }
    }

    /// What the turn that has just ended has cost.
    pub fn cost(&self, conn: ConnLabel<'_>, used: u8, micros: u64) {
        let mut watched = self.watched.borrow_mut();
        watched.span.longest = watched.span.longest.max(micros);
        if !self.is_console(conn) {
            watched.changed.used(conn, used);
        }
    }

    /// The console is no connection.
    fn is_console(&self, conn: ConnLabel<'_>) -> bool {
        usize::from(conn.number) >= self.metrics.services.len()
    }

    /// A connection was closed.
    pub fn closed(&self, conn: ConnLabel<'_>) {
        let mut watched = self.watched.borrow_mut();
        watched.stirred = true;
        if !self.is_console(conn) {
            watched.changed.closed(conn);
        }
    }

    /// Calls `act` with each trace.
    pub fn each_trace(&self, mut act: impl FnMut(&mut Trace<TraceLines>)) {
        if self.traces.get() > 0 {
            let mut watched = self.watched.borrow_mut();
            let traces = watched
                .tabs
                .values_mut()
                .filter_map(|tab| tab.trace.as_mut());
            traces.for_each(|traced| act(&mut traced.trace));
        }
    }
}

impl Watched {
    /// The tab of a connection.
    fn tab(&mut self, conn: ConnLabel<'_>) -> Option<&mut ViewTab> {
        self.tabs.get_mut(&SessionId::new(conn.slot, conn.serial))
    }
}

impl ViewTab {
    /// Whether it can be given a piece of the snapshot now.
    fn wants_piece(&self) -> bool {
        self.is_ready && self.snapshot.is_some()
    }
}

impl TabTrace {
    /// Shows the state of the connection, once.
    fn begin(&mut self, metrics: &LoopMetrics, find: &dyn Fn(u32) -> Option<ConnNow>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let found = find(self.id.slot()).filter(|found| found.serial == self.id.serial());
        let serial = self.id.serial();
        self.trace.sink().first(match found {
            None => format!("conn {serial}: is not open"),
            Some(ConnNow { service, owed, .. }) => {
                let name = metrics.services[usize::from(service)].name;
                let state = STATES[usize::from(metrics.state(self.id.slot()))];
                format!("conn {serial} {name}: {state}, is owed {owed} B")
            }
        });
    }
}
