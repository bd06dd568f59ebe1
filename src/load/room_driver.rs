//! The loop of a run over UDP: members join, talk on a schedule, and leave.

use super::dialer::source;
use super::errors::{Fault, LoadError, reason};
use super::poller::{Cost, Poller};
use super::progress::Progress;
use super::report::{Copies, Ending, Outcome};
use super::room_member::{Member, Place, Talk};
use super::run_state::{Board, Stage};
use super::settings::Settings;
use super::test_data::Pattern;
use crate::reactor::clock::Moment;
use crate::reactor::datagram::{DatagramLimits, Datagrams};
use crate::reactor::token::Target;
use mio::Interest;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

/// A request to come in that was not answered yet.
struct Asking {
    member: usize,
    since: Moment,
    tries: u32,
}

/// A run under way.
pub struct Room {
    settings: Settings,
    board: Rc<RefCell<Board>>,
    talk: Rc<RefCell<Talk>>,
    poller: Poller,
    members: Vec<Datagrams>,
    /// Other addresses of the server, which were not tried yet.
    others: VecDeque<SocketAddr>,
    /// Members that have something to read or to send, each once.
    turns: VecDeque<usize>,
    queued: Vec<bool>,
    asking: Vec<Asking>,
    deadline: Moment,
    ending: Ending,
    costs: (Option<Cost>, Option<Cost>),
    progress: Progress,
}

impl Room {
    /// A run with its own name, which all members bear.
    pub fn new(
        settings: Settings,
        mut servers: VecDeque<SocketAddr>,
        run: String,
        password: String,
        pattern: Pattern,
    ) -> io::Result<Room> {
        let limits = &settings.limits;
        let count = settings.connections;
        let talk = Talk {
            run,
            password,
            server: servers.pop_front().expect("a host has an address"),
            size: settings.size as usize,
            members: count,
            pattern,
            due: Vec::new(),
            places: vec![Place::Outside; count],
            trouble: None,
            absence: None,
        };
        Ok(Room {
            board: Rc::new(RefCell::new(Board::new(&settings))),
            talk: Rc::new(RefCell::new(talk)),
            poller: Poller::new(limits.reactor.events_per_round, settings.server.clone())?,
            members: Vec::new(),
            others: servers,
            turns: VecDeque::new(),
            queued: vec![false; count],
            asking: Vec::new(),
            deadline: Moment(u64::MAX),
            ending: Ending::InTime,
            costs: (None, None),
            progress: Progress::new(limits.progress_micros),
            settings,
        })
    }

    /// Runs to the end.
    pub fn run(mut self) -> Result<Outcome, LoadError> {
        let failed = |what: &str, error: &io::Error| {
            LoadError::failure(format!("cannot {what}: {}; try again", reason(error)))
        };
        loop {
            let now = self
                .poll()
                .map_err(|error| failed("wait for the room", &error))?;
            self.speak(now);
            self.serve(now);
            if self.stage() == Stage::Preparing {
                self.join(now)
                    .map_err(|error| failed("open a socket for a member", &error))?;
            }
            if self.step(now)? {
                return Ok(self.finish());
            }
            self.progress.show(&self.board.borrow());
        }
    }

    fn stage(&self) -> Stage {
        self.board.borrow().stage
    }

    fn poll(&mut self) -> io::Result<Moment> {
        let (alarm, end) = {
            let board = self.board.borrow();
            let running = board.stage == Stage::Running;
            let alarm = board.schedule.next(board.now).filter(|_| running);
            (alarm, running.then(|| board.schedule.end()))
        };
        let answer = self.settings.limits.room_answer_micros;
        let retry = self
            .asking
            .iter()
            .map(|asking| asking.since.after(answer))
            .min();
        let deadline = Some(self.deadline).filter(|_| end.is_none());
        let latest = [end, retry, deadline, self.progress.next()];
        let busy = !self.turns.is_empty() || self.may_join();
        let now = self
            .poller
            .wait(busy, alarm, latest.into_iter().flatten().min())?;
        self.board.borrow_mut().now = now;
        for (target, told) in self.poller.events() {
            let Target::Socket(member) = target else {
                unreachable!("nothing else is registered")
            };
            let member = member as usize;
            self.members[member].mark(told.readable, told.writable);
            if !std::mem::replace(&mut self.queued[member], true) {
                self.turns.push_back(member);
            }
        }
        Ok(now)
    }

    /// Sends what is due.
    fn speak(&mut self, now: Moment) {
        loop {
            let due = self.board.borrow_mut().take();
            let Some(due) = due else { return };
            let number = {
                let mut talk = self.talk.borrow_mut();
                talk.due.push(due);
                talk.due.len() - 1
            };
            let text = self.talk.borrow().message(number);
            {
                let board = &mut *self.board.borrow_mut();
                // Every member waits for its copy.
                board.under_way += self.members.len() as u64 - 1;
                board.recorder.moved(0, text.len() as u64, now);
            }
            self.say(number % self.members.len(), &text);
        }
    }

    fn say(&mut self, member: usize, text: &str) {
        let server = self.talk.borrow().server;
        self.members[member]
            .outbox()
            .to_one(text.as_bytes(), server);
        if !std::mem::replace(&mut self.queued[member], true) {
            self.turns.push_back(member);
        }
    }

    fn serve(&mut self, now: Moment) {
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
        has_more && self.asking.len() < self.settings.limits.joining
    }

    /// Lets a few more members in, and asks again for those that were not heard.
    fn join(&mut self, now: Moment) -> io::Result<()> {
        let places = self.talk.clone();
        let inside = |member: usize| places.borrow().places[member] == Place::Inside;
        self.asking.retain(|asking| !inside(asking.member));
        while self.may_join() {
            let member = self.members.len();
            self.open(member)?;
            self.asking.push(Asking {
                member,
                since: now,
                tries: 1,
            });
            let text = self.talk.borrow().request(member);
            self.say(member, &text);
        }
        let answer = self.settings.limits.room_answer_micros;
        for place in 0..self.asking.len() {
            let Asking {
                member,
                since,
                tries,
            } = &mut self.asking[place];
            if since.after(answer) > now {
                continue;
            }
            (*since, *tries) = (now, *tries + 1);
            if *tries > self.settings.limits.room_tries {
                self.talk.borrow_mut().absence =
                    Some("the room does not answer; is this the right port?".to_owned());
            }
            let member = *member;
            let text = self.talk.borrow().request(member);
            self.say(member, &text);
        }
        Ok(())
    }

    fn open(&mut self, number: usize) -> io::Result<()> {
        let limits = &self.settings.limits;
        let server = self.talk.borrow().server;
        let anywhere: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let address = source(server, number as u32, limits.sources);
        let address = address.unwrap_or(SocketAddr::new(anywhere, 0));
        let member = Member::new(number, self.board.clone(), self.talk.clone());
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

    /// Moves on to the next stage when this one is over. Says whether all are.
    fn step(&mut self, now: Moment) -> Result<bool, LoadError> {
        let interrupts = self.poller.signalled();
        let trouble = self.trouble();
        let at = &self.settings.at;
        match self.stage() {
            Stage::Preparing => {
                if let Some(trouble) = trouble {
                    return Err(LoadError::failure(format!(
                        "cannot join at {at}: {trouble}"
                    )));
                }
                if interrupts > 0 {
                    let text = "interrupted before all members had joined; nothing was measured";
                    return Err(LoadError::failure(text));
                }
                if self.board.borrow().ready == self.settings.connections {
                    self.begin(now);
                }
            }
            Stage::Running => {
                if let Some(trouble) = trouble {
                    self.ending = Ending::Lost(trouble);
                } else if interrupts > 0 {
                    self.ending = Ending::Interrupted;
                }
                let board = &mut *self.board.borrow_mut();
                if self.ending != Ending::InTime {
                    board.stop(now);
                }
                if board.schedule.is_over(now) {
                    board.stage = Stage::Ending;
                    self.costs.1 = Some(self.poller.cost());
                    self.deadline = now.after(self.settings.limits.last_copies_micros);
                }
            }
            Stage::Ending => {
                let over = self.board.borrow().under_way == 0
                    || now >= self.deadline
                    || matches!(self.ending, Ending::Lost(_))
                    || interrupts > 1;
                if over {
                    self.leave(now);
                }
            }
            Stage::CleaningUp => {
                let left = self
                    .members
                    .iter_mut()
                    .any(|member| member.outbox().pending() > 0);
                return Ok(!left || now >= self.deadline || interrupts > 1);
            }
        }
        Ok(false)
    }

    /// Why the run cannot go on. Where nobody has answered yet, another address may be the room's.
    fn trouble(&mut self) -> Option<String> {
        let talk = &mut *self.talk.borrow_mut();
        let Some(absence) = talk.absence.take() else {
            return talk.trouble.take();
        };
        let next = self.others.pop_front().filter(|_| !talk.is_answered());
        let Some(next) = next else {
            return Some(absence);
        };
        talk.server = next;
        // Their sockets may be of the other version of IP.
        self.members.clear();
        self.turns.clear();
        self.queued.fill(false);
        self.asking.clear();
        None
    }

    fn begin(&mut self, now: Moment) {
        self.board.borrow_mut().begin(&self.settings, now);
        self.costs.0 = Some(self.poller.cost());
    }

    fn leave(&mut self, now: Moment) {
        self.board.borrow_mut().stage = Stage::CleaningUp;
        self.deadline = now.after(self.settings.limits.clean_up_micros);
        for member in 0..self.members.len() {
            self.say(member, "exit");
        }
    }

    fn finish(mut self) -> Outcome {
        self.progress.clear();
        let board = self.board.replace(Board::new(&self.settings));
        let mut recorder = board.recorder;
        let copies = Copies {
            expected: recorder.asked * self.members.len() as u64,
            lost: board.under_way,
        };
        // Datagrams may be lost, but not all of them.
        if copies.lost == copies.expected && copies.expected > 0 {
            let text = || "no message came back to anybody".to_owned();
            recorder.fault(Fault::Silent, copies.lost, text);
        }
        Outcome {
            settings: self.settings,
            recorder,
            ending: self.ending,
            left_behind: None,
            cost: self.costs.0.zip(self.costs.1),
            copies: Some(copies),
        }
    }
}
