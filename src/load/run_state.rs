//! Holds what the lanes of a run and their loop tell each other: time, stage, schedule, counts.

use super::errors::Fault;
use super::recorder::Recorder;
use super::requests::Call;
use super::schedule::Schedule;
use super::settings::Settings;
use crate::reactor::clock::{Moment, SECOND};
use crate::session::close_reason::CloseReason;
use crate::session::observer::{ConnLabel, IoDirection, Observer};
use crate::session::session_id::SessionId;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// What all lanes do at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Connections are opened, and what requests need is put in place. Nothing is counted.
    Preparing,
    /// Requests are made.
    Running,
    /// The time is up; answers still come.
    Ending,
    /// What is left on the server is cleared away.
    CleaningUp,
}

/// A connection that has ended.
pub struct Gone {
    /// The lane, and what it asks for.
    pub call: Call,
    /// Whether it was this side that ended it, because it was done.
    pub done: bool,
    /// Whether an answer was not as it should have been.
    pub at_fault: bool,
    /// Requests that were not answered.
    pub unanswered: u64,
}

/// What lanes and loop share.
pub struct Board {
    /// The time, read once a round.
    pub now: Moment,
    /// What is done at this moment.
    pub stage: Stage,
    /// When requests are due.
    pub schedule: Schedule,
    /// The counts.
    pub recorder: Recorder,
    /// Lanes whose connection could carry one more request.
    pub idle: VecDeque<SessionId>,
    /// Connections that have ended since the loop last looked.
    pub gone: Vec<Gone>,
    /// Lanes that are prepared.
    pub ready: usize,
    /// Requests that wait for their answer.
    pub under_way: u64,
}

impl Board {
    /// A board before the run.
    pub fn new(settings: &Settings) -> Board {
        Board {
            now: Moment(0),
            stage: Stage::Preparing,
            schedule: Schedule::new(None, Moment(0), Moment(0)),
            recorder: Recorder::new(settings.work.kinds(), &settings.limits),
            idle: VecDeque::new(),
            gone: Vec::new(),
            ready: 0,
            under_way: 0,
        }
    }

    /// The run begins.
    pub fn begin(&mut self, settings: &Settings, now: Moment) {
        let end = now.after(u64::from(settings.seconds) * SECOND);
        self.stage = Stage::Running;
        self.schedule = Schedule::new(settings.rate, now, end);
        self.recorder.begin(now, end, settings.limits.slices);
    }

    /// Nothing more is asked for.
    pub fn stop(&mut self, now: Moment) {
        self.schedule.stop(now);
        self.recorder.end_at(now);
    }

    /// Takes the next request that is due, and says since when.
    pub fn take(&mut self) -> Option<Moment> {
        if self.stage != Stage::Running {
            return None;
        }
        let due = self.schedule.take(self.now)?;
        self.recorder.asked += 1;
        self.under_way += 1;
        Some(due)
    }

    /// A request has been answered.
    pub fn answered(&mut self, kind: usize, due: Moment) {
        self.under_way -= 1;
        self.recorder.answer(kind, due, self.now);
    }
}

/// Counts the bytes that move, and learns why connections ended.
pub struct Ledger(pub Rc<RefCell<Board>>);

impl Observer for Ledger {
    fn moved(&mut self, direction: IoDirection, bytes: usize, _body: bool) {
        let board = &mut *self.0.borrow_mut();
        let (into, out) = match direction {
            IoDirection::In => (bytes as u64, 0),
            IoDirection::Out => (0, bytes as u64),
        };
        board.recorder.moved(into, out, board.now);
    }

    /// The session has put itself among those that are gone, just before.
    fn closed(&mut self, _conn: ConnLabel<'_>, reason: CloseReason) {
        let board = &mut *self.0.borrow_mut();
        let Some(gone) = board.gone.last().filter(|gone| !gone.done) else {
            return;
        };
        let fault = match reason {
            CloseReason::PeerFinished => Fault::Ended,
            CloseReason::Idle | CloseReason::TooSlow => Fault::Silent,
            // What was wrong, or refused, has been counted where it was heard.
            CloseReason::Refused | CloseReason::Shutdown => return,
            _ => Fault::Broken,
        };
        let lane = gone.call.lane;
        let count = gone.unanswered.max(1);
        board.recorder.fault(fault, count, || match fault {
            Fault::Ended => format!("the server closed connection {lane}"),
            Fault::Silent => format!("connection {lane} was silent for too long"),
            _ => format!("connection {lane} broke"),
        });
    }
}
