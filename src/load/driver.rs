//! The loop of a run over TCP: dials, polls, marks, hands out what is due, gives turns.
//!
//! ```text
//!   Preparing ── all lanes ready ──▶ Running ── time is up, Ctrl-C, or the server is gone ──▶
//!   Ending ── last answer, or patience is over ──▶ CleaningUp (where files are left) ──▶ over
//!
//!   A run that cannot begin goes from Preparing to CleaningUp.
//! ```

use super::connector::{Called, Calls};
use super::dialer::Dialer;
use super::errors::{Fault, LoadError, reason};
use super::poller::{Cost, Poller};
use super::progress::Progress;
use super::report::{Ending, Outcome};
use super::requests::{self, Call, Errand, Requests};
use super::run_state::{Board, Gone, Ledger, Stage};
use super::settings::{Settings, Work};
use super::worker::{Lane, Manners};
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

/// A run under way.
pub struct Driver {
    settings: Settings,
    board: Rc<RefCell<Board>>,
    poller: Poller,
    dispatcher: Dispatcher<LinuxIo>,
    calls: Calls,
    /// Prepared lanes that have no connection.
    resting: VecDeque<Call>,
    /// When the stage is over, whatever happens; while preparing, unless something comes forward.
    deadline: Moment,
    ready: usize,
    /// While cleaning up: lanes that are not done with it, and when to dial a server again that
    /// is gone.
    unclean: usize,
    redial: Option<Moment>,
    /// Why the run could not begin.
    failure: Option<LoadError>,
    ending: Ending,
    costs: (Option<Cost>, Option<Cost>),
    progress: Progress,
}

impl Driver {
    /// A run with these requests, one set a lane. Opens nothing but the poll.
    pub fn new(
        settings: Settings,
        dialer: Dialer,
        lanes: Vec<Box<dyn Requests>>,
    ) -> io::Result<Driver> {
        let limits = &settings.limits;
        let board = Rc::new(RefCell::new(Board::new(&settings)));
        let poller = Poller::new(limits.reactor.events_per_round, settings.server.clone())?;
        // A client that did not read while it sends would wait for a server that does the same.
        let mut shared = Shared::new(usize::MAX);
        let kernel = LinuxIo::new(poller.registry().try_clone()?, true, &limits.bodies);
        shared.observer = Box::new(Ledger(board.clone()));
        let names = vec![settings.work.name()];
        let dispatcher = Dispatcher::new(kernel, shared, limits.reactor, names);
        let mut calls = Calls::new(dialer);
        for (lane, requests) in lanes.into_iter().enumerate() {
            let errand = Errand::Prepare;
            calls.push(Call {
                lane,
                errand,
                requests,
            });
        }
        let deadline = poller.now().after(limits.prepare_micros);
        Ok(Driver {
            board,
            poller,
            dispatcher,
            calls,
            resting: VecDeque::new(),
            deadline,
            ready: 0,
            unclean: usize::MAX,
            redial: None,
            failure: None,
            ending: Ending::InTime,
            costs: (None, None),
            progress: Progress::new(limits.progress_micros),
            settings,
        })
    }

    /// Runs to the end. A server that is not there before the beginning is an error; one that goes
    /// away later ends the run, and what was measured is told.
    pub fn run(mut self) -> Result<Outcome, LoadError> {
        loop {
            let now = self.poll().map_err(|error| {
                LoadError::failure(format!(
                    "cannot wait for the server: {}; try again",
                    reason(&error)
                ))
            })?;
            self.dispatcher.on_time(now);
            self.hand_out(now);
            self.dispatcher.round(now);
            if self.is_over(now) {
                return self.finish();
            }
            self.progress.show(&self.board.borrow());
        }
    }

    fn is_over(&mut self, now: Moment) -> bool {
        let worked = self.take_back(now).and_then(|()| self.dial(now));
        worked
            .and_then(|()| self.step(now))
            .unwrap_or_else(|failure| {
                self.failure = Some(failure);
                self.begin_to_clean_up(now);
                self.is_over(now)
            })
    }

    fn poll(&mut self) -> io::Result<Moment> {
        let (alarm, end, stage) = {
            let board = self.board.borrow();
            let somebody = !board.idle.is_empty() || !self.resting.is_empty();
            let alarm = board.schedule.next(board.now);
            let running = board.stage == Stage::Running;
            (
                alarm.filter(|_| somebody && running),
                running.then(|| board.schedule.end()),
                board.stage,
            )
        };
        self.redial = self.redial.filter(|redial| *redial > self.poller.now());
        let may_dial = self.calls.waiting() > 0 && self.may_dial();
        let busy = self.dispatcher.has_turns() || may_dial;
        let deadline = (stage != Stage::Running).then_some(self.deadline);
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
        self.board.borrow_mut().now = now;
        let mut dialled = Vec::new();
        for (target, told) in self.poller.events() {
            match target {
                Target::Session(key) => self.dispatcher.mark(key, told),
                Target::Socket(number) => dialled.push(number),
                _ => unreachable!("nothing else is registered"),
            }
        }
        for number in dialled {
            let called = self.calls.told(number, self.poller.registry());
            self.called(called, now);
        }
        Ok(now)
    }

    /// Gives what is due to lanes that can make one more request.
    fn hand_out(&mut self, now: Moment) {
        loop {
            let mut board = self.board.borrow_mut();
            let is_due = board.schedule.next(now).is_some_and(|due| due <= now);
            if board.stage != Stage::Running || !is_due {
                return;
            }
            if let Some(peer) = board.idle.pop_front() {
                drop(board);
                self.wake(peer);
            } else if let Some(call) = self.resting.pop_front() {
                let errand = Errand::One(board.take().expect("it is due"));
                self.calls.push(Call { errand, ..call });
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

    /// Looks at the connections that have ended.
    fn take_back(&mut self, now: Moment) -> Result<(), LoadError> {
        let (gone, stage) = {
            let mut board = self.board.borrow_mut();
            if board.gone.is_empty() {
                return Ok(());
            }
            (std::mem::take(&mut board.gone), board.stage)
        };
        let failed = stage == Stage::Preparing && gone.iter().any(|gone| !gone.done);
        for Gone { call, at_fault, .. } in gone {
            match stage {
                // A connection that is kept has broken: its lane gets another one.
                Stage::Running if !self.settings.reconnects => {
                    let errand = Errand::Serve;
                    self.calls.push(Call { errand, ..call });
                }
                // What the server refuses to clear away it would refuse again.
                Stage::CleaningUp if !at_fault => self.call_to_clean_up(call),
                _ => self.resting.push_back(call),
            }
        }
        if failed {
            let board = self.board.borrow();
            let why = board.recorder.first_fault().unwrap_or("a connection ended");
            let at = &self.settings.at;
            return Err(LoadError::failure(format!(
                "cannot begin: {why}; does {at} serve {}?",
                self.settings.work.name()
            )));
        }
        self.hand_out(now);
        Ok(())
    }

    fn call_to_clean_up(&mut self, call: Call) {
        if call.requests.leaves().is_some() {
            let errand = Errand::CleanUp;
            self.calls.push(Call { errand, ..call });
        }
    }

    fn may_dial(&self) -> bool {
        let limits = &self.settings.limits;
        let board = self.board.borrow();
        // Those who stand in the server's queue count too: it is not endless.
        let unprepared = match board.stage {
            Stage::Preparing => self.settings.connections - self.calls.waiting() - board.ready,
            _ => 0,
        };
        self.redial.is_none() && unprepared.max(self.calls.pending()) < limits.dials
    }

    fn dial(&mut self, now: Moment) -> Result<(), LoadError> {
        for _ in 0..self.settings.limits.dials_per_round {
            if !self.may_dial() {
                return Ok(());
            }
            let Some(called) = self.calls.begin(self.poller.registry()) else {
                return Ok(());
            };
            self.called(called, now);
            if let (Stage::Preparing, Ending::Lost(why)) = (self.stage(), &self.ending) {
                return Err(LoadError::failure(why.clone()));
            }
        }
        Ok(())
    }

    fn called(&mut self, called: Called, now: Moment) {
        match called {
            Called::Stands { stream, call } => self.open(stream, call, now),
            // Until a connection stands, its other addresses may be the server's.
            Called::Failed(call, server, _) if self.calls.dialer().give_up(server) => {
                self.calls.push(call);
            }
            Called::Failed(call, _, error) => self.failed(call, &error, now),
            Called::Later => {}
        }
    }

    fn open(&mut self, stream: TcpStream, call: Call, now: Moment) {
        let manners = Manners {
            pipeline: self.settings.pipeline,
            reconnects: self.settings.reconnects,
            idles: matches!(self.settings.work, Work::Idle) && call.lane > 0,
        };
        let server = self.calls.dialer().server();
        let mut unmade = Some(call);
        let make = |_| -> Box<dyn Protocol> {
            let call = unmade.take().expect("one lane a call");
            Box::new(Lane::new(call, manners, self.board.clone()))
        };
        let opened = self
            .dispatcher
            .open(Stream::Tcp(stream), 0, server, make, now);
        match (opened, unmade) {
            (Err(error), Some(call)) => self.failed(call, &error, now),
            _ => {
                self.calls.dialer().settle();
                let mut board = self.board.borrow_mut();
                if board.stage == Stage::Running {
                    board.recorder.connections += 1;
                }
            }
        }
    }

    /// No connection can be had any more: the run is over.
    fn failed(&mut self, call: Call, error: &io::Error, now: Moment) {
        if self.stage() == Stage::CleaningUp {
            // The server may be back in time.
            self.redial = Some(now.after(self.settings.limits.redial_micros));
            return self.calls.push(call);
        }
        let mut board = self.board.borrow_mut();
        if matches!(call.errand, Errand::One(_)) {
            board.under_way -= 1;
            board.recorder.fault(Fault::Broken, 1, || {
                format!(
                    "connection {} could not be opened: {}",
                    call.lane,
                    reason(error)
                )
            });
        }
        drop(board);
        self.resting.push_back(call);
        if self.ending != Ending::InTime && self.ending != Ending::Interrupted {
            return;
        }
        let at = &self.settings.at;
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused => "is the server running there?",
            io::ErrorKind::AddrNotAvailable => "the ports of this host are used up, ask for less",
            _ => "is it the right address, and may it be reached from here?",
        };
        self.ending = Ending::Lost(format!("cannot connect to {at}: {}; {hint}", reason(error)));
        if self.stage() == Stage::Running {
            self.board.borrow_mut().stop(now);
        }
    }

    fn stage(&self) -> Stage {
        self.board.borrow().stage
    }

    /// Moves on to the next stage when this one is over. Says whether all are.
    fn step(&mut self, now: Moment) -> Result<bool, LoadError> {
        let interrupts = self.poller.signalled();
        match self.stage() {
            Stage::Preparing if interrupts > 0 => Err(LoadError::failure(
                "interrupted before all connections stood; nothing was measured",
            )),
            Stage::Preparing => self.prepared(now).map(|()| false),
            Stage::Running => {
                if interrupts > 0 {
                    self.ending = Ending::Interrupted;
                    self.board.borrow_mut().stop(now);
                }
                let board = self.board.borrow();
                // What was due and could not be made is not tried for ever.
                let end = board.schedule.end();
                let late = end.after(self.settings.limits.late_micros) <= now;
                let is_over = board.schedule.is_over(now) || late;
                drop(board);
                if !is_over {
                    return Ok(false);
                }
                self.enter(Stage::Ending, now);
                // When all is answered already, no event comes any more.
                self.step(now)
            }
            Stage::Ending => {
                // A lane whose connection is still being closed could not be called to clear away.
                let closing = self.settings.reconnects && self.dispatcher.connections() > 0;
                let answered = self.board.borrow().under_way == 0;
                if (closing || !answered) && now < self.deadline && interrupts < 2 {
                    return Ok(false);
                }
                if !answered {
                    // What is not answered by now never will be.
                    let mut board = self.board.borrow_mut();
                    let silent = board.under_way;
                    let text = || "the last answers did not come in time".to_owned();
                    board.recorder.fault(Fault::Silent, silent, text);
                }
                self.begin_to_clean_up(now);
                self.step(now)
            }
            Stage::CleaningUp => {
                let open = self.dispatcher.connections();
                let unclean = open + self.calls.waiting() + self.calls.pending();
                if unclean < self.unclean {
                    self.unclean = unclean;
                    self.deadline = now.after(self.settings.limits.clean_up_micros);
                }
                Ok(unclean == 0 || now >= self.deadline || interrupts > 1)
            }
        }
    }

    /// Begins the run once all lanes are ready.
    fn prepared(&mut self, now: Moment) -> Result<(), LoadError> {
        let limits = &self.settings.limits;
        let ready = self.board.borrow().ready;
        let all = self.settings.connections;
        if ready > self.ready {
            self.ready = ready;
            self.deadline = now.after(limits.prepare_micros);
        }
        let dialer = self.calls.dialer();
        let server = dialer.server();
        if now >= self.deadline && dialer.give_up(server) {
            // Whatever is sent to this address is swallowed.
            for call in self.calls.give_up() {
                self.calls.push(call);
            }
            self.deadline = now.after(limits.prepare_micros);
        }
        if now >= self.deadline {
            return Err(LoadError::failure(format!(
                "only {ready} of {all} connections are served by {}, and for {} s no other was; \
                 is this the right port, and does the server take so many?",
                self.settings.at,
                limits.prepare_micros / SECOND
            )));
        }
        if ready == all {
            self.board.borrow_mut().begin(&self.settings, now);
            self.costs.0 = Some(self.poller.cost());
            self.hand_out(now);
        }
        Ok(())
    }

    fn enter(&mut self, stage: Stage, now: Moment) {
        let limits = &self.settings.limits;
        let board = &mut *self.board.borrow_mut();
        board.stage = stage;
        if stage == Stage::Ending {
            self.costs.1 = Some(self.poller.cost());
            while board.schedule.take(board.now).is_some() {
                board.recorder.unmade += 1;
            }
        }
        self.deadline = now.after(match stage {
            Stage::CleaningUp => limits.clean_up_micros,
            _ => limits.last_answers_micros,
        });
    }

    /// From here on lanes clear away what they leave: those that are idle now, those that are busy
    /// with the end of that, and those that have no connection with a new one.
    fn begin_to_clean_up(&mut self, now: Moment) {
        self.enter(Stage::CleaningUp, now);
        self.resting.extend(self.calls.give_up());
        if !self.settings.work.leaves_files() {
            return self.dispatcher.close_all();
        }
        let idle = std::mem::take(&mut self.board.borrow_mut().idle);
        for peer in idle {
            self.wake(peer);
        }
        for call in std::mem::take(&mut self.resting) {
            self.call_to_clean_up(call);
        }
    }

    fn finish(mut self) -> Result<Outcome, LoadError> {
        self.progress.clear();
        self.dispatcher.close_all();
        let gone = std::mem::take(&mut self.board.borrow_mut().gone);
        let mut lanes: Vec<Call> = gone.into_iter().map(|gone| gone.call).collect();
        lanes.extend(self.calls.give_up());
        lanes.extend(self.resting);
        let left_behind = requests::left_behind(&lanes);
        if let Some(failure) = self.failure {
            return Err(match left_behind {
                Some(left) => LoadError::failure(format!("{failure}; {left}")),
                None => failure,
            });
        }
        let board = self.board.replace(Board::new(&self.settings));
        Ok(Outcome {
            settings: self.settings,
            recorder: board.recorder,
            ending: self.ending,
            left_behind,
            copies: None,
            cost: self.costs.0.zip(self.costs.1),
        })
    }
}
