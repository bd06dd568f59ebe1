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
//!   in the room ── no answer to a question, or that of a stranger ──> out of it
//!        ^────────────────────────── let in ─────────────────────────────┘
//! ```
//!
//! A person sees each message once. The prompt is the name and `: `, so that a line of one's own
//! already reads as the others see it; the copy that the room sends back is not shown, and only
//! one that does not come back is told. Into a pipe, where nothing is typed, goes the copy.

use super::chat_screen::{ChatScreen, Entry};
use super::error::{ClientError, is_pause, reason};
use super::join::Inside;
use super::membership::{Fault, Login, Membership, Step, is_answer};
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
    screen: ChatScreen,
    membership: Membership,
    /// As long as we are out of the room.
    outside: Option<Outside>,
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

/// Out of the room: one attempt to get in follows the other.
struct Outside {
    /// Why we are out, as it was told last.
    told: String,
    /// Between the next attempt and the one behind it.
    pause: Duration,
    wrong_password: bool,
}

/// Stays in the room until the person leaves.
pub fn converse(inside: Inside, limits: &ClientLimits) -> Result<(), ClientError> {
    let Inside {
        socket,
        membership,
        heard,
        on_exit: _on_exit,
    } = inside;
    let Login { at, name, .. } = &membership.login;
    let prompt = format!("{name}: ");
    let most = limits.room.datagram - prompt.len();
    let screen = ChatScreen::open(&prompt, most, limits.history)?;
    let typed = screen.is_terminal();
    if typed {
        screen::remark(format!("in the room at {at} as {name}; exit leaves"));
    }
    let now = Instant::now();
    let mut conversation = Conversation {
        socket,
        screen,
        membership,
        outside: None,
        unsent: VecDeque::new(),
        next: now,
        unacked: Unacked::new(limits.room.relay),
        leaving: false,
        all_well: true,
        limits: limits.room,
    };
    conversation.show(&heard, now);
    let mut outcome = Ok(());
    while outcome.is_ok() && !conversation.is_over() {
        outcome = conversation.turn();
    }
    // A server that is gone cannot be told, and needs not be.
    let _ = conversation.socket.send(b"exit");
    outcome?;
    conversation.screen.finish()?;
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
        let ready = self.screen.wait(input, socket, self.deadline())?;
        let now = Instant::now();
        if ready.heard {
            self.receive(now)?;
        }
        if ready.input {
            self.read_lines()?;
        }
        let step = self.membership.step(now);
        self.act(step, now)?;
        self.send_lines(now);
        while let Some(message) = self.unacked.next_lost(now) {
            self.all_well = false;
            self.membership.doubt(now);
            let relay = self.limits.relay;
            let words = format!("the room did not take this within {relay:?}: {message}");
            self.screen.notice(words);
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        let next = (!self.unsent.is_empty()).then_some(self.next);
        let deadlines = [self.membership.deadline(), next, self.unacked.deadline()];
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

    /// Only a member hears what goes on in the room.
    fn hear(&mut self, datagram: &[u8], now: Instant) -> Result<(), ClientError> {
        let was_in = self.membership.is_in();
        let step = self.membership.hear(datagram, now);
        self.act(step, now)?;
        if was_in || self.membership.is_in() {
            self.show(datagram, now);
        }
        Ok(())
    }

    /// Shows what a member or the room says.
    fn show(&mut self, datagram: &[u8], now: Instant) {
        let text = shown(datagram);
        // Another client claims our name, or has it by now: our question keeps it or gets it back.
        let is_probe = text.trim().is_empty();
        let own_end = format!("{} telah keluar dari chatroom.", self.membership.login.name);
        if is_probe || text == own_end {
            self.membership.doubt(now);
        }
        let known = match self.unacked.take(&text) {
            true => self.screen.is_terminal(),
            false => self.membership.is_echo(text.as_bytes()) || is_answer(datagram),
        };
        if !known && !is_probe {
            self.screen.show(&format!("{text}\n"));
        }
    }

    /// The system reports that the server cannot be reached.
    fn refused(&mut self, why: String, now: Instant) -> Result<(), ClientError> {
        match self.membership.refused(now) {
            Step::Out { fault, .. } => self.join_later(fault, why, now),
            step => self.act(step, now),
        }
    }

    /// Does what is due to stay in the room, or to get in again.
    fn act(&mut self, mut step: Step, now: Instant) -> Result<(), ClientError> {
        loop {
            match step {
                Step::Wait => return Ok(()),
                Step::Send(request) => {
                    if let Err(error) = self.socket.send(request.as_bytes()) {
                        return self.refused(reason(&error), now);
                    }
                }
                Step::In => {
                    self.outside = None;
                    let Login { at, name, .. } = &self.membership.login;
                    let words = format!("in the room at {at} again as {name}");
                    self.screen.notice(words);
                }
                Step::Out { fault, exit } => {
                    if exit {
                        let _ = self.socket.send(b"exit");
                    }
                    let why = match fault {
                        Fault::Forgotten => "it does not know us any more".to_owned(),
                        Fault::NameTaken => {
                            format!("the name {} is taken", self.membership.login.name)
                        }
                        _ => "it does not answer".to_owned(),
                    };
                    self.join_later(fault, why, now)?;
                }
            }
            step = self.membership.step(now);
        }
    }

    /// Joins again: at once, and after an attempt that failed after a pause, for as long as it
    /// takes. From the same address: a server that still has us as a member keeps our place.
    fn join_later(&mut self, fault: Fault, why: String, now: Instant) -> Result<(), ClientError> {
        let Login { at, name, .. } = &self.membership.login;
        let Some(outside) = &mut self.outside else {
            self.screen.notice(format!(
                "out of the room at {at}: {why}; joining again as {name}"
            ));
            self.outside = Some(Outside {
                told: why,
                pause: self.limits.first_pause,
                wrong_password: false,
            });
            self.membership.join(now);
            return Ok(());
        };
        // The first one may be a late answer to a question.
        if fault == Fault::WrongPassword {
            if outside.wrong_password {
                return Err(ClientError::failure(format!(
                    "cannot join the room at {at} again: the password is wrong now; \
                     start again with the new one"
                )));
            }
            outside.wrong_password = true;
        } else if why != outside.told {
            self.screen.notice(format!(
                "still out of the room at {at}: {why}; trying again"
            ));
            outside.told = why;
        }
        self.membership.join(now + outside.pause);
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
                    let most = self.limits.datagram - self.membership.login.name.len() - ": ".len();
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
            let message = format!("{}: {line}", self.membership.login.name);
            if self.outside.is_some() {
                self.all_well = false;
                let words = format!("not in the room; this was not sent: {message}");
                self.screen.notice(words);
                continue;
            }
            self.membership.sent(now);
            // The error belongs to an earlier datagram, and this one was not sent.
            if self.socket.send(message.as_bytes()).is_err() {
                self.membership.doubt(now);
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
