//! State shared by the workers of a run and its loop: time, stage, schedule, counts.

use super::errors::RequestFailure;
use super::interval_log::IntervalLog;
use super::recorder::Recorder;
use super::requests::LoadJob;
use super::schedule::{Pace, Schedule};
use super::settings::Settings;
use crate::reactor::clock::{Moment, SECOND, unix_seconds};
use crate::session::close_reason::CloseReason;
use crate::session::observer::{ConnLabel, IoDirection, Observer};
use crate::session::session_id::SessionId;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// The stage of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStage {
    /// Connections are opened, and files that requests need are stored. Nothing is counted.
    Preparing,
    /// Requests are sent.
    Running,
    /// The time is up; the last answers arrive.
    Ending,
    /// Files are removed from the server.
    CleaningUp,
}

/// A closed connection.
pub struct Closed {
    /// Its worker and requests.
    pub job: LoadJob,
    /// Whether the generator closed it because it was done.
    pub done: bool,
    /// Whether an answer was wrong or a refusal.
    pub was_wrong: bool,
    /// Requests without an answer.
    pub unanswered: u64,
}

/// State shared by the workers and the loop.
pub struct RunState {
    /// The time, read once in each round of the loop.
    pub now: Moment,
    /// The current stage.
    pub stage: RunStage,
    /// When requests are due.
    pub schedule: Schedule,
    /// When requests that were given back were due.
    returned: VecDeque<Moment>,
    /// The counts.
    pub recorder: Recorder,
    /// Connections that can send one more request.
    pub idle: VecDeque<SessionId>,
    /// Connections closed since the last round.
    pub closed: Vec<Closed>,
    /// Prepared workers.
    pub ready: usize,
    /// Requests without an answer yet.
    pub in_flight: u64,
    ramp_end: Moment,
    /// When the answers to the ramp are not waited for any longer.
    latest: Moment,
    /// Whether the ramp is over and the run is counted.
    pub counts: bool,
}

impl RunState {
    /// The state before the run.
    pub fn new(settings: &Settings) -> RunState {
        RunState {
            now: Moment(0),
            stage: RunStage::Preparing,
            schedule: Schedule::empty(),
            returned: VecDeque::new(),
            recorder: Recorder::new(settings.work.kinds(), &settings.limits),
            idle: VecDeque::new(),
            closed: Vec::new(),
            ready: 0,
            in_flight: 0,
            ramp_end: Moment(u64::MAX),
            latest: Moment(u64::MAX),
            counts: false,
        }
    }

    /// Starts the run, which begins with its ramp.
    pub fn begin(&mut self, settings: &Settings, now: Moment) {
        let pace = Pace {
            rate: settings.rate,
            ramp: u64::from(settings.ramp) * SECOND,
            slots: (settings.connections * settings.pipeline) as u64,
        };
        self.stage = RunStage::Running;
        self.ramp_end = now.after(pace.ramp);
        self.latest = self.ramp_end.after(settings.limits.last_answers_micros);
        // A closed loop has no end before it counts.
        self.schedule = Schedule::new(pace, now, Moment(u64::MAX));
        if settings.rate.is_some() {
            self.count_from(self.ramp_end, settings);
        }
    }

    /// Whether counting begins now, at the end of the ramp. A closed loop first waits a while for
    /// the answers to the ramp: their CPU time belongs to no request that is counted.
    pub fn begins_to_count(&mut self, settings: &Settings, now: Moment) -> bool {
        let is_quiet = settings.rate.is_some() || self.in_flight == 0 || now >= self.latest;
        let is_over = now >= self.ramp_end && now < self.schedule.end();
        if self.counts || self.stage != RunStage::Running || !is_over || !is_quiet {
            return false;
        }
        self.counts = true;
        if settings.rate.is_none() {
            self.count_from(now, settings);
        }
        true
    }

    fn count_from(&mut self, from: Moment, settings: &Settings) {
        let end = from.after(u64::from(settings.seconds) * SECOND);
        self.schedule.set_end(end);
        self.recorder.begin(from, end, settings.limits.slices);
        if settings.hlog.is_some() {
            let date = unix_seconds() + self.now.micros_until(from) / SECOND;
            let log = IntervalLog::new(settings.work.kinds(), (from, end), date, &settings.limits);
            self.recorder.interval_log = Some(log);
        }
    }

    /// Whether a closed loop waits for the last answers to its ramp.
    fn waits(&self) -> bool {
        !self.counts && self.schedule.is_closed_loop() && self.now >= self.ramp_end
    }

    /// Sends no more requests from now on.
    pub fn stop(&mut self, now: Moment) {
        self.schedule.stop(now);
        self.recorder.end_at(now);
    }

    /// When the next request is due; `None` after the last.
    pub fn next_due(&self) -> Option<Moment> {
        match self.returned.is_empty() {
            _ if self.waits() => None,
            true => self.schedule.next(self.now, self.in_flight),
            false => Some(self.now),
        }
    }

    /// Takes the next request that is due; returns when it was due.
    pub fn take(&mut self) -> Option<Moment> {
        if self.stage != RunStage::Running || self.waits() {
            return None;
        }
        let returned = self.returned.pop_front();
        let due = returned.or_else(|| self.schedule.take(self.now, self.in_flight))?;
        *self.recorder.asked_at(due) += 1;
        self.in_flight += 1;
        Some(due)
    }

    /// When the loop must wake up: at the end of the ramp, and at the end.
    pub fn wakes_at(&self) -> Moment {
        match (self.counts, self.waits()) {
            (true, _) => self.schedule.end(),
            (false, true) => self.latest.min(self.schedule.end()),
            (false, false) => self.ramp_end.min(self.schedule.end()),
        }
    }

    /// Counts the requests that are due and are not sent any more.
    pub fn skip_due(&mut self) {
        let mut count = self.returned.drain(..).count() as u64;
        while self.schedule.take(self.now, 0).is_some() {
            count += 1;
        }
        self.recorder.never_made += count;
    }

    /// Takes back a request that the server does not answer, to send it on another connection.
    pub fn give_back(&mut self, due: Moment) {
        self.in_flight -= 1;
        *self.recorder.asked_at(due) -= 1;
        match self.stage {
            RunStage::Running => self.returned.push_back(due),
            _ => self.recorder.never_made += 1,
        }
    }

    /// Counts an answered request.
    pub fn answered(&mut self, kind: usize, due: Moment) {
        self.in_flight -= 1;
        self.recorder.answer(kind, due, self.now);
    }
}

/// Counts moved bytes, and records the errors of closed connections.
pub struct Counters(pub Rc<RefCell<RunState>>);

impl Observer for Counters {
    fn moved(&mut self, direction: IoDirection, bytes: usize, _body: bool) {
        let state = &mut *self.0.borrow_mut();
        if state.stage == RunStage::CleaningUp {
            return;
        }
        let (into, out) = match direction {
            IoDirection::In => (bytes as u64, 0),
            IoDirection::Out => (0, bytes as u64),
        };
        state.recorder.moved(into, out, state.now);
    }

    /// Trap: the session has added itself to `closed` just before.
    fn closed(&mut self, _conn: ConnLabel<'_>, reason: CloseReason) {
        let state = &mut *self.0.borrow_mut();
        let Some(closed) = state.closed.last().filter(|closed| !closed.done) else {
            return;
        };
        let error = match reason {
            CloseReason::PeerFinished => RequestFailure::Closed,
            CloseReason::Idle | CloseReason::TooSlow => RequestFailure::TimedOut,
            // Wrong answers and refusals are counted by the worker.
            CloseReason::Refused | CloseReason::Shutdown => return,
            _ => RequestFailure::Broken,
        };
        let worker = closed.job.worker;
        let count = closed.unanswered.max(1);
        state.recorder.record_error(error, count, || match error {
            RequestFailure::Closed => format!("the server closed connection {worker}"),
            RequestFailure::TimedOut => format!("connection {worker} timed out"),
            _ => format!("connection {worker} failed"),
        });
    }
}
