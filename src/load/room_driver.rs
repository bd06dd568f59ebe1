//! The loop of a run over UDP: members join, send messages on a schedule, and leave.

use super::dialer::source;
use super::errors::{LoadError, RequestFailure, reason};
use super::poller::{Cost, Poller};
use super::progress::ProgressLine;
use super::report::{BodyCheck, CopyCounts, Outcome, RunEnd};
use super::room_member::{JoinState, RoomMember, RoomState};
use super::run_state::{RunStage, RunState};
use super::settings::Settings;
use super::test_data::TestData;
use crate::reactor::clock::Moment;
use crate::reactor::datagram::{DatagramLimits, Datagrams};
use crate::reactor::token::Target;
use mio::Interest;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

/// A request to join without an answer yet.
struct PendingJoin {
    member: usize,
    since: Moment,
    tries: u32,
}

/// A run over UDP.
pub struct RoomDriver {
    settings: Settings,
    state: Rc<RefCell<RunState>>,
    room: Rc<RefCell<RoomState>>,
    poller: Poller,
    members: Vec<Datagrams>,
    /// Addresses of the server that were not tried yet.
    other_addresses: VecDeque<SocketAddr>,
    /// Members with something to read or to send, each once.
    turns: VecDeque<usize>,
    queued: Vec<bool>,
    joining: Vec<PendingJoin>,
    deadline: Moment,
    ending: RunEnd,
    costs: (Option<Cost>, Option<Cost>),
    progress: ProgressLine,
}

impl RoomDriver {
    /// A run; the names of all members begin with `run`.
    pub fn new(
        settings: Settings,
        mut servers: VecDeque<SocketAddr>,
        run: String,
        password: String,
        data: TestData,
    ) -> io::Result<RoomDriver> {
        let limits = &settings.limits;
        let count = settings.connections;
        let room = RoomState {
            run,
            password,
            server: servers.pop_front().expect("a host has an address"),
            size: settings.size as usize,
            members: count,
            data,
            due: Vec::new(),
            join_states: vec![JoinState::Outside; count],
            failure: None,
            no_answer: None,
        };
        Ok(RoomDriver {
            state: Rc::new(RefCell::new(RunState::new(&settings))),
            room: Rc::new(RefCell::new(room)),
            poller: Poller::new(limits.reactor.events_per_round, settings.server.clone())?,
            members: Vec::new(),
            other_addresses: servers,
            turns: VecDeque::new(),
            queued: vec![false; count],
            joining: Vec::new(),
            deadline: Moment(u64::MAX),
            ending: RunEnd::InTime,
            costs: (None, None),
            progress: ProgressLine::new(limits.progress_micros),
            settings,
        })
    }

    /// Runs to the end. A room that does not answer before the start is an error.
    pub fn run(mut self) -> Result<Outcome, LoadError> {
        let failed = |what: &str, error: &io::Error| {
            LoadError::failure(format!("cannot {what}: {}; try again", reason(error)))
        };
        loop {
            let now = self
                .poll()
                .map_err(|error| failed("poll the sockets", &error))?;
            self.send_due(now);
            self.run_turns(now);
            if self.stage() == RunStage::Preparing {
                self.join(now)
                    .map_err(|error| failed("open a socket for a member", &error))?;
            }
            if self.step(now)? {
                return Ok(self.finish());
            }
            self.progress.show(&self.state.borrow());
        }
    }

    fn stage(&self) -> RunStage {
        self.state.borrow().stage
    }

    fn poll(&mut self) -> io::Result<Moment> {
        let (alarm, end) = {
            let state = self.state.borrow();
            let running = state.stage == RunStage::Running;
            let alarm = state.next_due().filter(|_| running);
            (alarm, running.then(|| state.wakes_at()))
        };
        let answer = self.settings.limits.room_answer_micros;
        let retry = self
            .joining
            .iter()
            .map(|joining| joining.since.after(answer))
            .min();
        let deadline = Some(self.deadline).filter(|_| end.is_none());
        let latest = [end, retry, deadline, self.progress.next()];
        let busy = !self.turns.is_empty() || self.may_join();
        let now = self
            .poller
            .wait(busy, alarm, latest.into_iter().flatten().min())?;
        self.state.borrow_mut().now = now;
        for (target, readiness) in self.poller.events() {
            let Target::Socket(member) = target else {
                unreachable!("nothing else is registered")
            };
            let member = member as usize;
            self.members[member].mark(readiness.readable, readiness.writable);
            if !std::mem::replace(&mut self.queued[member], true) {
                self.turns.push_back(member);
            }
        }
        Ok(now)
    }

    /// Sends the messages that are due.
    fn send_due(&mut self, now: Moment) {
        loop {
            let due = self.state.borrow_mut().take();
            let Some(due) = due else { return };
            let number = {
                let mut room = self.room.borrow_mut();
                room.due.push(due);
                room.due.len() - 1
            };
            let text = self.room.borrow().message(number);
            {
                let state = &mut *self.state.borrow_mut();
                // One copy for each member.
                state.in_flight += self.members.len() as u64 - 1;
                state.recorder.moved(0, text.len() as u64, now);
            }
            self.send(number % self.members.len(), &text);
        }
    }

    fn send(&mut self, member: usize, text: &str) {
        let server = self.room.borrow().server;
        self.members[member]
            .outbox()
            .to_one(text.as_bytes(), server);
        if !std::mem::replace(&mut self.queued[member], true) {
            self.turns.push_back(member);
        }
    }

    fn run_turns(&mut self, now: Moment) {
        for _ in 0..self.turns.len() {
            let member = self.turns.pop_front().expect("it was counted");
            self.members[member].turn(&mut Vec::new(), now);
            self.queued[member] = self.members[member].has_turn();
            if self.queued[member] {
                self.turns.push_back(member);
            }
        }
    }

    fn may_join(&self) -> bool {
        let has_more = self.members.len() < self.settings.connections;
        has_more && self.joining.len() < self.settings.limits.joining
    }

    /// Lets more members join, and repeats requests without an answer.
    fn join(&mut self, now: Moment) -> io::Result<()> {
        let join_states = self.room.clone();
        let inside = |member: usize| join_states.borrow().join_states[member] == JoinState::Joined;
        self.joining.retain(|joining| !inside(joining.member));
        while self.may_join() {
            let member = self.members.len();
            self.open(member)?;
            self.joining.push(PendingJoin {
                member,
                since: now,
                tries: 1,
            });
            let text = self.room.borrow().request(member);
            self.send(member, &text);
        }
        let answer = self.settings.limits.room_answer_micros;
        for index in 0..self.joining.len() {
            let PendingJoin {
                member,
                since,
                tries,
            } = &mut self.joining[index];
            if since.after(answer) > now {
                continue;
            }
            (*since, *tries) = (now, *tries + 1);
            if *tries > self.settings.limits.room_tries {
                self.room.borrow_mut().no_answer =
                    Some("the room does not answer; check the port".to_owned());
            }
            let member = *member;
            let text = self.room.borrow().request(member);
            self.send(member, &text);
        }
        Ok(())
    }

    fn open(&mut self, number: usize) -> io::Result<()> {
        let limits = &self.settings.limits;
        let server = self.room.borrow().server;
        let anywhere: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let address = source(server, number as u32, limits.sources);
        let address = address.unwrap_or(SocketAddr::new(anywhere, 0));
        let member = RoomMember::new(number, self.state.clone(), self.room.clone());
        let bounds = DatagramLimits {
            length: limits.datagram,
            receive_buffer: limits.room_buffer,
            reads_per_turn: limits.reactor.turn_calls,
            copies_per_turn: limits.reactor.turn_calls,
            copies: limits.dials,
            copies_high_water: limits.dials,
            remembered: limits.reactor.turn_calls,
        };
        let mut member = Datagrams::bind("room", address, Box::new(member), bounds)?;
        let token = Target::Socket(number as u32).token();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poller
            .registry()
            .register(member.source(), token, interest)?;
        self.members.push(member);
        Ok(())
    }

    /// Enters the next stage when this one is over. Returns whether the last one is.
    fn step(&mut self, now: Moment) -> Result<bool, LoadError> {
        let interrupts = self.poller.signalled();
        let failure = self.failure();
        let at = &self.settings.at;
        match self.stage() {
            RunStage::Preparing => {
                if let Some(failure) = failure {
                    return Err(LoadError::failure(format!(
                        "cannot join at {at}: {failure}"
                    )));
                }
                if interrupts > 0 {
                    let text = "interrupted before all members had joined; nothing was measured";
                    return Err(LoadError::failure(text));
                }
                if self.state.borrow().ready == self.settings.connections {
                    self.begin(now);
                }
            }
            RunStage::Running => {
                if let Some(failure) = failure {
                    self.ending = RunEnd::Lost(failure);
                } else if interrupts > 0 {
                    self.ending = RunEnd::Interrupted;
                }
                let state = &mut *self.state.borrow_mut();
                if self.ending != RunEnd::InTime {
                    state.stop(now);
                }
                if state.begins_to_count(&self.settings, now) {
                    self.costs.0 = Some(self.poller.cost());
                }
                if state.schedule.is_over(now) {
                    state.stage = RunStage::Ending;
                    self.deadline = now.after(self.settings.limits.last_copies_micros);
                }
            }
            RunStage::Ending => {
                let over = self.state.borrow().in_flight == 0
                    || now >= self.deadline
                    || matches!(self.ending, RunEnd::Lost(_))
                    || interrupts > 1;
                if over {
                    self.costs.1 = Some(self.poller.cost());
                    self.leave(now);
                }
            }
            RunStage::CleaningUp => {
                let left = self
                    .members
                    .iter_mut()
                    .any(|member| member.outbox().pending() > 0);
                return Ok(!left || now >= self.deadline || interrupts > 1);
            }
        }
        Ok(false)
    }

    /// Why the run cannot continue. Before the first answer the next address is tried instead.
    fn failure(&mut self) -> Option<String> {
        let room = &mut *self.room.borrow_mut();
        let Some(no_answer) = room.no_answer.take() else {
            return room.failure.take();
        };
        let next = self
            .other_addresses
            .pop_front()
            .filter(|_| !room.is_answered());
        let Some(next) = next else {
            return Some(no_answer);
        };
        room.server = next;
        // The next address may need sockets of the other IP version. Trap: a socket that another
        // process has, too, as between fork(2) and exec(2), keeps its events after close(2).
        for mut member in self.members.drain(..) {
            let _ = self.poller.registry().deregister(member.source());
        }
        self.turns.clear();
        self.queued.fill(false);
        self.joining.clear();
        None
    }

    fn begin(&mut self, now: Moment) {
        let state = &mut *self.state.borrow_mut();
        state.begin(&self.settings, now);
        if state.begins_to_count(&self.settings, now) {
            self.costs.0 = Some(self.poller.cost());
        }
    }

    fn leave(&mut self, now: Moment) {
        self.state.borrow_mut().stage = RunStage::CleaningUp;
        self.deadline = now.after(self.settings.limits.clean_up_micros);
        for member in 0..self.members.len() {
            self.send(member, "exit");
        }
    }

    fn finish(mut self) -> Outcome {
        self.progress.clear();
        let state = self.state.replace(RunState::new(&self.settings));
        let mut recorder = state.recorder;
        let copies = CopyCounts {
            expected: (recorder.asked + recorder.in_ramp) * self.members.len() as u64,
            lost: state.in_flight,
        };
        // Some datagrams may be lost, but not all of them.
        if copies.lost == copies.expected && copies.expected > 0 {
            let text = || "no member received a message".to_owned();
            recorder.record_error(RequestFailure::TimedOut, copies.lost, text);
        }
        Outcome {
            settings: self.settings,
            recorder,
            ending: self.ending,
            left_behind: None,
            body_check: BodyCheck::EveryByte,
            cost: self.costs.0.zip(self.costs.1),
            copies: Some(copies),
        }
    }
}
