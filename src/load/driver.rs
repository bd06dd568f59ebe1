//! The loop of a run over TCP: dials, polls, marks, hands out what is due, gives turns.
//! Knows no service: `lane.rs` speaks, and the production dispatcher serves the lanes.
//!
//! ```text
//!   Preparing ── all lanes ready ──▶ Running ── time is up, Ctrl-C, or the server is gone ──▶
//!   Ending ── last answer, or patience is over ──▶ CleaningUp (where files are left) ──▶ over
//!
//!   A run that cannot begin goes from Preparing to CleaningUp.
//! ```

use super::board::{Board, Gone, Ledger, Stage};
use super::calls::{Called, Calls};
use super::dialer::Dialer;
use super::fault::{Fault, LoadError, reason};
use super::lane::{Lane, Manners};
use super::no_files::NoFiles;
use super::poller::{Cost, Poller};
use super::progress::Progress;
use super::report::{Ending, Outcome};
use super::requests::{Call, Errand, Requests};
use super::settings::{Settings, Work};
use crate::reactor::clock::Moment;
use crate::reactor::dispatcher::Dispatcher;
use crate::reactor::linux::{LinuxIo, Stream};
use crate::reactor::token::Target;
use crate::session::notice::{Audience, Notice, PeerId, Post};
use crate::session::protocol::Protocol;
use crate::session::world::World;
use mio::net::TcpStream;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

/// A run under way.
pub struct Driver {
    pub(super) settings: Settings,
    pub(super) board: Rc<RefCell<Board>>,
    pub(super) poller: Poller,
    pub(super) dispatcher: Dispatcher<LinuxIo, Ledger>,
    pub(super) calls: Calls,
    /// Prepared lanes that have no connection.
    pub(super) resting: VecDeque<Call>,
    /// When the stage is over, whatever happens; while preparing, unless something comes forward.
    pub(super) deadline: Moment,
    pub(super) ready: usize,
    /// While cleaning up: lanes that are not done with it, and when to dial a server again that
    /// is gone.
    pub(super) unclean: usize,
    pub(super) redial: Option<Moment>,
    /// Why the run could not begin.
    pub(super) failure: Option<LoadError>,
    pub(super) ending: Ending,
    pub(super) costs: (Option<Cost>, Option<Cost>),
    pub(super) progress: Progress,
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
        let world = World::new(Box::new(NoFiles), usize::MAX);
        let kernel = LinuxIo::new(poller.registry().try_clone()?, true, &limits.bodies);
        let ledger = Ledger(board.clone());
        let names = vec![settings.work.name()];
        let dispatcher = Dispatcher::new(kernel, world, ledger, limits.reactor, names);
        let mut calls = Calls::new(dialer);
        for (lane, requests) in lanes.into_iter().enumerate() {
            calls.push(Call {
                lane,
                errand: Errand::Prepare,
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
    pub(super) fn hand_out(&mut self, now: Moment) {
        loop {
            let mut board = self.board.borrow_mut();
            let is_due = board.schedule.next(now).is_some_and(|due| due <= now);
            if board.stage != Stage::Running || !is_due {
                return;
            }
            if let Some((_, peer)) = board.idle.pop_front() {
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

    pub(super) fn wake(&mut self, peer: PeerId) {
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

    pub(super) fn call_to_clean_up(&mut self, call: Call) {
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

    pub(super) fn stage(&self) -> Stage {
        self.board.borrow().stage
    }
}
