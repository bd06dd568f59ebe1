//! The loop of a run over TCP: connects, polls, and lets workers send the requests that are due.
//!
//! ```text
//!   Preparing ── all workers ready ──▶ Running ── time is up, Ctrl-C, or server lost ──▶
//!   Ending ── last answer, or timeout ──▶ CleaningUp (removes files) ──▶ end
//!
//!   A run that cannot start goes from Preparing to CleaningUp.
//! ```

use super::connector::{ConnectResult, Connector};
use super::dialer::TcpDialer;
use super::errors::{LoadError, RequestFailure, reason};
use super::poller::{Cost, Poller};
use super::progress::ProgressLine;
use super::report::{BodyCheck, Outcome, RunEnd};
use super::requests::{self, LoadJob, LoadTask, Requests};
use super::run_state::{Closed, Counters, RunStage, RunState};
use super::settings::{Settings, Work};
use super::worker::{ConnMode, LoadWorker};
use crate::reactor::clock::{Moment, SECOND};
use crate::reactor::dispatcher::Dispatcher;
use crate::reactor::linux::{LinuxIo, Stream};
use crate::reactor::token::Target;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::protocol::Protocol;
use crate::session::session_id::SessionId;
use crate::session::shared::Shared;
use mio::net::TcpStream;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

/// A run over TCP.
pub struct Driver {
    settings: Settings,
    state: Rc<RefCell<RunState>>,
    poller: Poller,
    dispatcher: Dispatcher<LinuxIo>,
    connector: Connector,
    /// Prepared workers without a connection.
    disconnected: VecDeque<LoadJob>,
    /// The end of the stage at the latest; extended while preparing makes progress.
    deadline: Moment,
    ready: usize,
    /// While cleaning up: the number of workers not done, and when to try a lost server again.
    unclean: usize,
    redial: Option<Moment>,
    /// Why the run could not start.
    failure: Option<LoadError>,
    ending: RunEnd,
    costs: (Option<Cost>, Option<Cost>),
    progress: ProgressLine,
}

impl Driver {
    /// A run with one worker for each of these requests. Opens no connection.
    pub fn new(
        settings: Settings,
        dialer: TcpDialer,
        workers: Vec<Box<dyn Requests>>,
    ) -> io::Result<Driver> {
        let limits = &settings.limits;
        let state = Rc::new(RefCell::new(RunState::new(&settings)));
        let poller = Poller::new(limits.reactor.events_per_round, settings.server.clone())?;
        // Unlimited: a client that stops reading while it sends could deadlock with the server.
        let mut shared = Shared::new(usize::MAX);
        let linux_io = LinuxIo::new(poller.registry().try_clone()?, true, &limits.bodies);
        shared.observer = Box::new(Counters(state.clone()));
        let names = vec![settings.work.name()];
        let dispatcher = Dispatcher::new(linux_io, shared, limits.reactor, names);
        let mut connector = Connector::new(dialer);
        for (worker, requests) in workers.into_iter().enumerate() {
            let task = LoadTask::Prepare;
            connector.push(LoadJob {
                worker,
                task,
                requests,
            });
        }
        let deadline = poller.now().after(limits.prepare_micros);
        Ok(Driver {
            state,
            poller,
            dispatcher,
            connector,
            disconnected: VecDeque::new(),
            deadline,
            ready: 0,
            unclean: usize::MAX,
            redial: None,
            failure: None,
            ending: RunEnd::InTime,
            costs: (None, None),
            progress: ProgressLine::new(limits.progress_micros),
            settings,
        })
    }

    /// Runs to the end. A server that is unreachable before the start is an error; one that is lost
    /// later ends the run, and the results so far are reported.
    pub fn run(mut self) -> Result<Outcome, LoadError> {
        loop {
            let now = self.poll().map_err(|error| {
                LoadError::failure(format!(
                    "cannot poll the connections: {}; try again",
                    reason(&error)
                ))
            })?;
            self.dispatcher.on_time(now);
            self.assign_due(now);
            self.dispatcher.round(now);
            if self.advance(now) {
                return self.finish();
            }
            self.progress.show(&self.state.borrow());
        }
    }

    /// Opens connections and enters the next stage. Returns whether the run is over.
    fn advance(&mut self, now: Moment) -> bool {
        let done = self.handle_closed(now).and_then(|()| self.dial(now));
        let over = done.and_then(|()| self.step(now));
        over.unwrap_or_else(|failure| {
            self.failure = Some(failure);
            self.start_clean_up(now);
            self.advance(now)
        })
    }

    fn poll(&mut self) -> io::Result<Moment> {
        let (alarm, end, stage) = {
            let state = self.state.borrow();
            let has_worker = !state.idle.is_empty() || !self.disconnected.is_empty();
            let alarm = state.next_due();
            let running = state.stage == RunStage::Running;
            (
                alarm.filter(|_| has_worker && running),
                running.then(|| state.wakes_at()),
                state.stage,
            )
        };
        self.redial = self.redial.filter(|redial| *redial > self.poller.now());
        let may_dial = self.connector.waiting() > 0 && self.may_dial();
        let busy = self.dispatcher.has_turns() || may_dial;
        let deadline = (stage != RunStage::Running).then_some(self.deadline);
        let latest = [
            self.dispatcher.next_due(),
            end,
            deadline,
            self.redial,
            self.progress.next(),
        ];
        let now = self
            .poller
            .wait(busy, alarm, latest.into_iter().flatten().min())?;
        self.state.borrow_mut().now = now;
        let mut connecting = Vec::new();
        for (target, readiness) in self.poller.events() {
            match target {
                Target::Session(key) => self.dispatcher.mark(key, readiness),
                Target::Socket(number) => connecting.push(number),
                _ => unreachable!("nothing else is registered"),
            }
        }
        for number in connecting {
            let result = self.connector.on_event(number, self.poller.registry());
            self.on_connect_result(result, now);
        }
        Ok(now)
    }

    /// Assigns the requests that are due to workers that can send one more.
    fn assign_due(&mut self, now: Moment) {
        loop {
            let mut state = self.state.borrow_mut();
            let is_due = state.next_due().is_some_and(|due| due <= now);
            if state.stage != RunStage::Running || !is_due {
                return;
            }
            if let Some(peer) = state.idle.pop_front() {
                drop(state);
                self.wake(peer);
            } else if let Some(job) = self.disconnected.pop_front() {
                let task = LoadTask::One(state.take().expect("it is due"));
                self.connector.push(LoadJob { task, ..job });
            } else {
                return;
            }
        }
    }

    fn wake(&mut self, peer: SessionId) {
        self.dispatcher.posts().push(Post {
            to: Audience::One(peer),
            notice: Notice::Due,
        });
        self.dispatcher.deliver();
    }

    /// Handles the connections that were closed.
    fn handle_closed(&mut self, now: Moment) -> Result<(), LoadError> {
        let (closed, stage) = {
            let mut state = self.state.borrow_mut();
            if state.closed.is_empty() {
                return Ok(());
            }
            (std::mem::take(&mut state.closed), state.stage)
        };
        let failed = stage == RunStage::Preparing && closed.iter().any(|closed| !closed.done);
        for Closed { job, was_wrong, .. } in closed {
            match stage {
                // A permanent connection has failed: its worker gets a new one.
                RunStage::Running if !self.settings.reconnects => {
                    let task = LoadTask::Serve;
                    self.connector.push(LoadJob { task, ..job });
                }
                // Do not repeat a clean-up that the server has refused.
                RunStage::CleaningUp if !was_wrong => self.connect_to_clean_up(job),
                _ => self.disconnected.push_back(job),
            }
        }
        if failed {
            let state = self.state.borrow();
            let first = state.recorder.first_error();
            let why = first.unwrap_or("a connection was closed");
            let at = &self.settings.at;
            return Err(LoadError::failure(format!(
                "cannot start: {why}; does {at} serve {}?",
                self.settings.work.name()
            )));
        }
        self.assign_due(now);
        Ok(())
    }

    fn connect_to_clean_up(&mut self, job: LoadJob) {
        if job.requests.leftover().is_some() {
            let task = LoadTask::CleanUp;
            self.connector.push(LoadJob { task, ..job });
        }
    }

    fn may_dial(&self) -> bool {
        let limits = &self.settings.limits;
        let state = self.state.borrow();
        // Count connections in the server's accept queue as well: its length is limited.
        let unprepared = match state.stage {
            RunStage::Preparing => {
                self.settings.connections - self.connector.waiting() - state.ready
            }
            _ => 0,
        };
        self.redial.is_none() && unprepared.max(self.connector.pending()) < limits.dials
    }

    fn dial(&mut self, now: Moment) -> Result<(), LoadError> {
        for _ in 0..self.settings.limits.dials_per_round {
            if !self.may_dial() {
                return Ok(());
            }
            let Some(result) = self.connector.start_next(self.poller.registry()) else {
                return Ok(());
            };
            self.on_connect_result(result, now);
            if let (RunStage::Preparing, RunEnd::Lost(why)) = (self.stage(), &self.ending) {
                return Err(LoadError::failure(why.clone()));
            }
        }
        Ok(())
    }

    fn on_connect_result(&mut self, result: ConnectResult, now: Moment) {
        match result {
            ConnectResult::Connected { stream, job } => self.open(stream, job, now),
            // Try the other addresses until a connection succeeds.
            ConnectResult::Failed(job, server, _)
                if self.connector.dialer().skip_address(server) =>
            {
                self.connector.push(job);
            }
            ConnectResult::Failed(job, _, error) => self.connect_failed(job, &error, now),
            ConnectResult::InProgress => {}
        }
    }

    fn open(&mut self, stream: TcpStream, job: LoadJob, now: Moment) {
        let mode = ConnMode {
            pipeline: self.settings.pipeline,
            reconnects: self.settings.reconnects,
            idles: matches!(self.settings.work, Work::Idle) && job.worker > 0,
        };
        let server = self.connector.dialer().server();
        let state = self.state.clone();
        let make = |_| -> Box<dyn Protocol> { Box::new(LoadWorker::new(job, mode, state)) };
        let stream = Stream::Tcp(stream);
        self.dispatcher.open(stream, 0, server, make, now);
        self.connector.dialer().keep_address();
        let mut state = self.state.borrow_mut();
        if state.stage == RunStage::Running {
            state.recorder.connections += 1;
        }
    }

    /// Handles a failed connect: the server is lost and the run ends.
    fn connect_failed(&mut self, job: LoadJob, error: &io::Error, now: Moment) {
        if self.stage() == RunStage::CleaningUp {
            // The server may restart in time.
            self.redial = Some(now.after(self.settings.limits.redial_micros));
            return self.connector.push(job);
        }
        let mut state = self.state.borrow_mut();
        if matches!(job.task, LoadTask::One(_)) {
            state.in_flight -= 1;
            state.recorder.record_error(RequestFailure::Broken, 1, || {
                format!(
                    "connection {} could not be opened: {}",
                    job.worker,
                    reason(error)
                )
            });
        }
        drop(state);
        self.disconnected.push_back(job);
        if self.ending != RunEnd::InTime && self.ending != RunEnd::Interrupted {
            return;
        }
        let at = &self.settings.at;
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused => "is the server running there?",
            io::ErrorKind::AddrNotAvailable => "no free port on this host; use fewer connections",
            _ => "check the address and the network",
        };
        self.ending = RunEnd::Lost(format!("cannot connect to {at}: {}; {hint}", reason(error)));
        if self.stage() == RunStage::Running {
            self.state.borrow_mut().stop(now);
        }
    }

    fn stage(&self) -> RunStage {
        self.state.borrow().stage
    }

    /// Enters the next stage when this one is over. Returns whether the last one is.
    fn step(&mut self, now: Moment) -> Result<bool, LoadError> {
        let interrupts = self.poller.signalled();
        match self.stage() {
            RunStage::Preparing if interrupts > 0 => Err(LoadError::failure(
                "interrupted before all connections were open; nothing was measured",
            )),
            RunStage::Preparing => self.start_if_ready(now).map(|()| false),
            RunStage::Running => {
                if interrupts > 0 {
                    self.ending = RunEnd::Interrupted;
                    self.state.borrow_mut().stop(now);
                }
                self.sample_begin(now);
                let state = self.state.borrow();
                // Give up requests that were due and could not be sent.
                let end = state.schedule.end();
                let late = end.after(self.settings.limits.late_micros) <= now;
                let is_over = state.schedule.is_over(now) || late;
                drop(state);
                if !is_over {
                    return Ok(false);
                }
                self.enter(RunStage::Ending, now);
                // If all requests are answered, no further event wakes the loop.
                self.step(now)
            }
            RunStage::Ending => {
                // A worker whose connection is still closing cannot connect again to clean up.
                let closing = self.settings.reconnects && self.dispatcher.connections() > 0;
                let answered = self.state.borrow().in_flight == 0;
                if (closing || !answered) && now < self.deadline && interrupts < 2 {
                    return Ok(false);
                }
                if !answered {
                    // Count the missing answers as timed out.
                    let mut state = self.state.borrow_mut();
                    let (kind, count) = (RequestFailure::TimedOut, state.in_flight);
                    let text = || "the last answers did not arrive in time".to_owned();
                    state.recorder.record_error(kind, count, text);
                }
                // The CPU time of all counted answers, also those after the end.
                self.costs.1 = Some(self.poller.cost());
                self.start_clean_up(now);
                self.step(now)
            }
            RunStage::CleaningUp => {
                let open = self.dispatcher.connections();
                let unclean = open + self.connector.waiting() + self.connector.pending();
                if unclean < self.unclean {
                    self.unclean = unclean;
                    self.deadline = now.after(self.settings.limits.clean_up_micros);
                }
                Ok(unclean == 0 || now >= self.deadline || interrupts > 1)
            }
        }
    }

    /// Starts the run once all workers are ready.
    fn start_if_ready(&mut self, now: Moment) -> Result<(), LoadError> {
        let limits = &self.settings.limits;
        let ready = self.state.borrow().ready;
        let all = self.settings.connections;
        if ready > self.ready {
            self.ready = ready;
            self.deadline = now.after(limits.prepare_micros);
        }
        let dialer = self.connector.dialer();
        let server = dialer.server();
        if now >= self.deadline && dialer.skip_address(server) {
            // This address accepts no connection and reports no error: use the next one.
            for job in self.connector.take_all() {
                self.connector.push(job);
            }
            self.deadline = now.after(limits.prepare_micros);
        }
        if now >= self.deadline {
            return Err(LoadError::failure(format!(
                "only {ready} of {all} connections are served by {}, and none was added for {} s; \
                 check the port and the connection limit of the server",
                self.settings.at,
                limits.prepare_micros / SECOND
            )));
        }
        if ready == all {
            self.state.borrow_mut().begin(&self.settings, now);
            self.sample_begin(now);
            self.assign_due(now);
        }
        Ok(())
    }

    /// Samples the resources used so far, at the first counted moment.
    fn sample_begin(&mut self, now: Moment) {
        if self.state.borrow_mut().begins_to_count(&self.settings, now) {
            self.costs.0 = Some(self.poller.cost());
        }
    }

    fn enter(&mut self, stage: RunStage, now: Moment) {
        let limits = &self.settings.limits;
        let state = &mut *self.state.borrow_mut();
        state.stage = stage;
        if stage == RunStage::Ending {
            state.skip_due();
        }
        self.deadline = now.after(match stage {
            RunStage::CleaningUp => limits.clean_up_micros,
            _ => limits.last_answers_micros,
        });
    }

    /// Starts the removal of files: idle workers now, busy workers after their last answer, and
    /// workers without a connection over a new one.
    fn start_clean_up(&mut self, now: Moment) {
        self.enter(RunStage::CleaningUp, now);
        self.disconnected.extend(self.connector.take_all());
        if !self.settings.work.leaves_files() {
            return self.dispatcher.close_all();
        }
        let idle = std::mem::take(&mut self.state.borrow_mut().idle);
        for peer in idle {
            self.wake(peer);
        }
        for job in std::mem::take(&mut self.disconnected) {
            self.connect_to_clean_up(job);
        }
    }

    fn finish(mut self) -> Result<Outcome, LoadError> {
        self.progress.clear();
        self.dispatcher.close_all();
        let closed = std::mem::take(&mut self.state.borrow_mut().closed);
        let mut workers: Vec<LoadJob> = closed.into_iter().map(|closed| closed.job).collect();
        workers.extend(self.connector.take_all());
        workers.extend(self.disconnected);
        let left_behind = requests::left_behind(&workers);
        if let Some(failure) = self.failure {
            return Err(match left_behind {
                Some(left) => LoadError::failure(format!("{failure}; {left}")),
                None => failure,
            });
        }
        let state = self.state.replace(RunState::new(&self.settings));
        Ok(Outcome {
            settings: self.settings,
            recorder: state.recorder,
            ending: self.ending,
            left_behind,
            body_check: BodyCheck::EveryByte,
            copies: None,
            cost: self.costs.0.zip(self.costs.1),
        })
    }
}
