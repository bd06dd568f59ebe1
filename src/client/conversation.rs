//! Carries on a conversation in a room: lines go there, and what the members say is shown.
//!
//! One thread, and one `poll` over standard input and the socket, as in `talk.rs`. Besides, the
//! room may lose what is sent, and forget its members when it is started again:
//!
//! ```text
//!   standard input ── read_lines ──> unsent ── send_lines, at a pace ──> socket
//!                                                    │ a copy            │
//!                                                 unacked                │
//!                                                    │ what came back    v
//!   standard output <── ChatScreen <── hear <────────┴───────────────── socket
//!
//!   Inside ── no answer to a question, or that of a stranger ──> Outside
//!      ^─────────────────────── let in ──────────────────────────────┘
//! ```
//!
//! A person sees each message once. The prompt is the name and `: `, so that a line of one's own
//! already reads as the others see it; the copy that the room sends back is not shown, and only
//! one that does not come back is told. Into a pipe, where nothing is typed, goes the copy.

use super::chat_screen::{ChatScreen, Entry};
use super::error::{ClientError, Trouble, reason};
use super::join::{self, Inside, Join, Login, Outcome, is_pause};
use super::membership::{self, Membership};
use super::screen;
use super::unacked::Unacked;
use super::{ClientLimits, RoomLimits};
use crate::terminal::sanitize::clean;
use rustix::event::PollFlags;
use std::collections::VecDeque;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

struct Conversation {
    socket: UdpSocket,
    login: Login,
    screen: ChatScreen,
    place: Place,
    /// Lines that are sent one after the other.
    unsent: VecDeque<String>,
    /// The next one not before this time.
    next: Instant,
    unacked: Unacked,
    /// The input is over.
    leaving: bool,
    all_well: bool,
    limits: RoomLimits,
}

/// Whether the room has us as a member, as far as is known.
enum Place {
    Inside(Membership),
    Outside(Outside),
}

/// Out of the room: one attempt to get in follows the other.
struct Outside {
    join: Join,
    /// Between this attempt and the next.
    pause: Duration,
    /// Why we are out, as it was told last.
    told: String,
    wrong_password: bool,
}

/// Stays in the room until the person leaves.
pub fn converse(login: Login, inside: Inside, limits: &ClientLimits) -> Result<(), ClientError> {
    let Inside {
        socket,
        heard,
        on_exit: _on_exit,
    } = inside;
    socket
        .set_nonblocking(true)
        .map_err(|error| cannot_go_on(error.into()))?;
    let prompt = format!("{}: ", login.name);
    let most = limits.room.datagram - prompt.len();
    let screen = ChatScreen::open(&prompt, most, limits.history)?;
    let typed = screen.is_terminal();
    if typed {
        let Login { at, name, .. } = &login;
        screen::remark(format!("in the room at {at} as {name}; exit leaves"));
    }
    let now = Instant::now();
    let mut conversation = Conversation {
        socket,
        login,
        screen,
        place: Place::Inside(Membership::new(&limits.room, now)),
        unsent: VecDeque::new(),
        next: now,
        unacked: Unacked::new(limits.room.relay),
        leaving: false,
        all_well: true,
        limits: limits.room,
    };
    if let Some(datagram) = heard {
        conversation.show(&datagram, now);
    }
    let mut outcome = Ok(());
    while outcome.is_ok() && !conversation.is_over() {
        outcome = conversation.turn();
    }
    // A server that is gone cannot be told, and needs not be.
    let _ = conversation.socket.send(b"exit");
    outcome?;
    conversation.screen.finish().map_err(cannot_go_on)?;
    match conversation.all_well || typed {
        true => Ok(()),
        false => Err(ClientError::quiet(1)),
    }
}

impl Conversation {
    /// A person does not wait for copies that are not shown.
    fn is_over(&self) -> bool {
        let copies_came = self.screen.is_terminal() || self.unacked.deadline().is_none();
        self.leaving && self.unsent.is_empty() && copies_came
    }

    /// Waits until something can be done, and does it.
    fn turn(&mut self) -> Result<(), ClientError> {
        // A pipe waits for its turn to speak. A person can press Ctrl-C at any time.
        let input = !self.leaving && (self.unsent.is_empty() || self.screen.is_terminal());
        let socket = (self.socket.as_fd(), PollFlags::IN);
        let ready = self.screen.wait(input, socket, self.deadline());
        let ready = ready.map_err(cannot_go_on)?;
        let now = Instant::now();
        if ready.heard {
            self.receive(now)?;
        }
        if ready.input {
            self.read_lines()?;
        }
        self.step(now)?;
        self.send_lines(now);
        while let Some(message) = self.unacked.next_lost(now) {
            self.all_well = false;
            self.doubt(now);
            let relay = self.limits.relay;
            let words = format!("the room did not take this within {relay:?}: {message}");
            self.screen.notice(words);
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        let place = match &self.place {
            Place::Inside(membership) => membership.deadline(),
            Place::Outside(outside) => Some(outside.join.deadline()),
        };
        let next = (!self.unsent.is_empty()).then_some(self.next);
        let deadlines = [place, next, self.unacked.deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn receive(&mut self, now: Instant) -> Result<(), ClientError> {
        let mut datagram = vec![0; self.limits.datagram];
        match self.socket.recv(&mut datagram) {
            Ok(length) => self.hear(&datagram[..length], now),
            Err(error) if is_pause(&error) => Ok(()),
            Err(error) => self.refused(reason(&error), now),
        }
    }

    fn hear(&mut self, datagram: &[u8], now: Instant) -> Result<(), ClientError> {
        match &mut self.place {
            Place::Inside(_) => {
                self.show(datagram, now);
                let echo = self.is_echo_of_question(&shown(datagram));
                if let Place::Inside(membership) = &mut self.place
                    && membership.heard(datagram, echo, now) == membership::Step::Rejoin
                {
                    self.go_out("it does not know us any more".to_owned(), now);
                }
                Ok(())
            }
            Place::Outside(outside) => {
                let for_members = outside.join.hear(datagram, now);
                self.step(now)?;
                if for_members {
                    self.show(datagram, now);
                }
                Ok(())
            }
        }
    }

    /// Shows what a member or the room says.
    fn show(&mut self, datagram: &[u8], now: Instant) {
        let text = shown(datagram);
        // Another client claims our name, or has it by now: our question keeps it or gets it back.
        let is_probe = text.trim().is_empty();
        let own_end = format!("{} telah keluar dari chatroom.", self.login.name);
        if is_probe || text == own_end {
            self.doubt(now);
        }
        let known = match self.unacked.take(&text) {
            true => self.screen.is_terminal(),
            false => self.is_echo_of_question(&text) || join::is_answer(datagram),
        };
        if !known && !is_probe {
            self.screen.show(&format!("{text}\n"));
        }
    }

    /// What a room that does not know the question makes of it.
    fn is_echo_of_question(&self, text: &str) -> bool {
        text == format!("{0}: USERNAME {0}", self.login.name)
    }

    fn doubt(&mut self, now: Instant) {
        if let Place::Inside(membership) = &mut self.place {
            membership.doubt(now);
        }
    }

    /// The system reports that the server cannot be reached.
    fn refused(&mut self, why: String, now: Instant) -> Result<(), ClientError> {
        match &mut self.place {
            Place::Inside(membership) => match membership.refused(now) {
                membership::Step::Wait => Ok(()),
                membership::Step::Ask => self.ask(now),
                membership::Step::Rejoin => {
                    self.go_out(why, now);
                    Ok(())
                }
            },
            // Before an attempt begins, it is the end of the one before.
            Place::Outside(outside) if !outside.join.has_begun() => Ok(()),
            Place::Outside(_) => self.stay_out(why, now),
        }
    }

    /// Does what is due to stay in the room, or to get in again.
    fn step(&mut self, now: Instant) -> Result<(), ClientError> {
        loop {
            let step = match &mut self.place {
                Place::Inside(membership) => match membership.step(now) {
                    membership::Step::Wait => return Ok(()),
                    membership::Step::Ask => return self.ask(now),
                    membership::Step::Rejoin => {
                        self.go_out("it does not answer".to_owned(), now);
                        continue;
                    }
                },
                Place::Outside(outside) => outside.join.step(now),
            };
            match step {
                join::Step::Wait(_) => return Ok(()),
                join::Step::Send(request) => {
                    if let Err(error) = self.socket.send(request.as_bytes()) {
                        return self.refused(reason(&error), now);
                    }
                }
                join::Step::Done(Outcome::In) => {
                    let Login { at, name, .. } = &self.login;
                    self.screen
                        .notice(format!("in the room at {at} again as {name}"));
                    self.place = Place::Inside(Membership::new(&self.limits, now));
                }
                join::Step::Done(outcome) => self.not_let_in(outcome, now)?,
            }
        }
    }

    /// Asks the room whether it still has us as a member.
    fn ask(&mut self, now: Instant) -> Result<(), ClientError> {
        let question = format!("USERNAME {}", self.login.name);
        match self.socket.send(question.as_bytes()) {
            Ok(_) => Ok(()),
            Err(error) => self.refused(reason(&error), now),
        }
    }

    /// The room has us no longer. We join again from the same address: a server that still has us
    /// as a member then keeps our place.
    fn go_out(&mut self, why: String, now: Instant) {
        let Login { at, name, .. } = &self.login;
        self.screen.notice(format!(
            "out of the room at {at}: {why}; joining again as {name}"
        ));
        self.place = Place::Outside(Outside {
            join: Join::new(&self.login, &self.limits, now),
            pause: self.limits.first_pause,
            told: why,
            wrong_password: false,
        });
    }

    fn not_let_in(&mut self, outcome: Outcome, now: Instant) -> Result<(), ClientError> {
        let Place::Outside(outside) = &mut self.place else {
            return Ok(());
        };
        let why = match outcome {
            // The first one may be a late answer to a question.
            Outcome::WrongPassword if outside.wrong_password => {
                return Err(ClientError::failure(format!(
                    "cannot join the room at {} again: the password is wrong now; \
                     start again with the new one",
                    self.login.at
                )));
            }
            Outcome::WrongPassword => {
                outside.wrong_password = true;
                outside.told.clone()
            }
            Outcome::NameTaken => format!("the name {} is taken", self.login.name),
            Outcome::In | Outcome::Silent => "it does not answer".to_owned(),
        };
        self.stay_out(why, now)
    }

    /// The next attempt begins after a pause, for as long as it takes.
    fn stay_out(&mut self, why: String, now: Instant) -> Result<(), ClientError> {
        let Place::Outside(outside) = &mut self.place else {
            return Ok(());
        };
        if why != outside.told {
            let at = &self.login.at;
            self.screen.notice(format!(
                "still out of the room at {at}: {why}; trying again"
            ));
            outside.told = why;
        }
        outside.join = Join::new(&self.login, &self.limits, now + outside.pause);
        outside.pause = (outside.pause * 2).min(self.limits.longest_pause);
        Ok(())
    }

    fn read_lines(&mut self) -> Result<(), ClientError> {
        for entry in self.screen.read()? {
            match entry {
                Entry::Line(line) => {
                    let line = clean(&line);
                    let word = line.trim();
                    self.leaving = word.eq_ignore_ascii_case("exit");
                    if !word.is_empty() && !self.leaving {
                        self.unsent.push_back(line);
                    }
                }
                Entry::TooLong => {
                    self.all_well = false;
                    let most = self.limits.datagram - self.login.name.len() - ": ".len();
                    self.screen.notice(format!(
                        "cannot send a message of more than {most} bytes; say it in several"
                    ));
                }
                Entry::End => self.leaving = true,
                Entry::Interrupt => {
                    self.unsent.clear();
                    self.leaving = true;
                }
            }
            if self.leaving {
                self.screen.end_input();
                break;
            }
        }
        Ok(())
    }

    fn send_lines(&mut self, now: Instant) {
        while self.next <= now
            && let Some(line) = self.unsent.pop_front()
        {
            self.next = now + self.limits.pace;
            let message = format!("{}: {line}", self.login.name);
            let Place::Inside(membership) = &mut self.place else {
                self.all_well = false;
                let words = format!("not in the room; this was not sent: {message}");
                self.screen.notice(words);
                continue;
            };
            membership.sent(now);
            // The error belongs to an earlier datagram, and this one was not sent.
            if self.socket.send(message.as_bytes()).is_err() {
                membership.doubt(now);
                let _ = self.socket.send(message.as_bytes());
            }
            self.unacked.add(message, now);
        }
    }
}

/// One datagram is one line, or a member could forge another's words.
fn shown(datagram: &[u8]) -> String {
    let text = clean(&String::from_utf8_lossy(datagram));
    text.trim_end_matches('\n').replace('\n', " ")
}

fn cannot_go_on(trouble: Trouble) -> ClientError {
    trouble.in_context("cannot go on")
}
