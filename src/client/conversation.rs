//! Carries on a conversation in a room: lines go there, and what the members say is shown.
//! Asks for neither name nor password: `room.rs` does.
//!
//! A person sees each message once. The prompt is the name and `: `, so that a line of one's own
//! already reads as the others see it; the copy that the room sends back is not shown, and only
//! one that does not come back is told. Into a pipe, where nothing is typed, goes the copy.

use super::door::{self, Entry, Inside};
use super::error::{ClientError, Trouble, reason};
use super::membership::{Membership, Step};
use super::pending::Pending;
use super::screen;
use super::window::{Line, Lines, Shown, Window};
use super::{ClientLimits, RoomLimits};
use crate::terminal::sanitize::clean;
use std::convert::Infallible;
use std::io;
use std::net::UdpSocket;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// What the two threads tell the one that decides when the conversation is over.
enum Event {
    /// A message is on its way, or came back.
    Moved,
    /// A line was not sent.
    Unsent,
    /// The person leaves.
    Leaving,
    /// The input or the output failed.
    Failed(ClientError),
}

/// What opens the room, also for the second time.
pub struct Login {
    /// The address, as the person wrote it.
    pub at: String,
    /// The name in the room.
    pub name: String,
    /// The password of the room.
    pub password: String,
}

/// What all three threads share.
struct Conversation {
    socket: UdpSocket,
    login: Login,
    membership: Mutex<Membership>,
    pending: Pending,
    shown: Mutex<Shown>,
    typed: bool,
    limits: RoomLimits,
}

/// Stays in the room until the person leaves.
pub fn converse(login: Login, inside: Inside, limits: &ClientLimits) -> Result<(), ClientError> {
    let Inside {
        socket,
        heard,
        farewell: _farewell,
    } = inside;
    let window = Window::open(limits.prompt_wait)?;
    let typed = window.is_terminal();
    if typed {
        let Login { at, name, .. } = &login;
        screen::remark(format!("in the room at {at} as {name}; exit leaves"));
    }
    let Window { lines, shown, seat } = window;
    let conversation = Arc::new(Conversation {
        socket,
        login,
        membership: Mutex::new(Membership::new(&limits.room, Instant::now())),
        pending: Pending::new(limits.room.relay),
        shown: Mutex::new(shown),
        typed,
        limits: limits.room,
    });
    let (sender, events) = mpsc::channel();
    thread::spawn({
        let (conversation, sender) = (Arc::clone(&conversation), sender.clone());
        move || {
            let Err(last) = conversation.listen(heard, &sender);
            let _ = sender.send(Event::Failed(last));
        }
    });
    thread::spawn({
        let conversation = Arc::clone(&conversation);
        move || {
            let last = conversation.speak(lines, &sender);
            let _ = sender.send(last);
        }
    });
    let outcome = conversation.watch(&events);
    // A server that is gone cannot be told, and needs not be.
    let _ = conversation.socket.send(b"exit");
    drop(seat);
    outcome
}

impl Conversation {
    /// Waits for the end; tells of messages that did not come back.
    fn watch(&self, events: &Receiver<Event>) -> Result<(), ClientError> {
        let mut leaving = false;
        let mut all_well = true;
        loop {
            let deadline = self.pending.deadline();
            if leaving && (self.typed || deadline.is_none()) {
                return match all_well || self.typed {
                    true => Ok(()),
                    false => Err(ClientError::quiet(1)),
                };
            }
            let event = match deadline {
                None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(deadline) => {
                    events.recv_timeout(deadline.saturating_duration_since(Instant::now()))
                }
            };
            match event {
                Ok(Event::Moved) => {}
                Ok(Event::Unsent) => all_well = false,
                Ok(Event::Leaving) => leaving = true,
                Ok(Event::Failed(error)) => return Err(error),
                Err(_) => {
                    while let Some(message) = self.pending.next_lost(Instant::now()) {
                        all_well = false;
                        self.membership().doubt(Instant::now());
                        self.tell_lost(&message).map_err(cannot_go_on)?;
                    }
                }
            }
        }
    }

    fn tell_lost(&self, message: &str) -> Result<(), Trouble> {
        let words = format!(
            "the room did not take this within {:?}: ",
            self.limits.relay
        );
        self.lock_shown().notice(&(words + message))
    }

    /// Shows what comes until no more can, and joins again when the room has forgotten us; says
    /// how it ended.
    fn listen(
        &self,
        heard: Vec<Vec<u8>>,
        events: &Sender<Event>,
    ) -> Result<Infallible, ClientError> {
        let mut heard = heard;
        loop {
            for datagram in heard {
                self.hear(&datagram, events).map_err(cannot_go_on)?;
            }
            let why = self.listen_as_member(events)?;
            heard = self.join_again(why)?;
        }
    }

    /// Shows what comes as long as the room knows us; says why it does not any more.
    fn listen_as_member(&self, events: &Sender<Event>) -> Result<String, ClientError> {
        let mut datagram = vec![0; self.limits.datagram];
        let timeout = self.socket.set_read_timeout(Some(self.limits.answer));
        timeout.map_err(|error| cannot_go_on(Trouble::from(error)))?;
        let mut why = "it does not answer".to_owned();
        loop {
            let mut step = match self.socket.recv(&mut datagram) {
                Ok(length) => {
                    let datagram = &datagram[..length];
                    self.hear(datagram, events).map_err(cannot_go_on)?;
                    let echo = self.is_echo_of_question(&shown(datagram));
                    let step = self.membership().heard(datagram, echo, Instant::now());
                    if step == Step::Rejoin {
                        why = "it does not know us any more".to_owned();
                    }
                    step
                }
                Err(error) if is_pause(&error) => Step::Wait,
                Err(error) => {
                    why = reason(&error);
                    self.membership().refused(Instant::now())
                }
            };
            if step == Step::Wait {
                step = self.membership().step(Instant::now());
            }
            if step == Step::Ask {
                let question = format!("USERNAME {}", self.login.name);
                if let Err(error) = self.socket.send(question.as_bytes()) {
                    why = reason(&error);
                    step = self.membership().refused(Instant::now());
                }
            }
            if step == Step::Rejoin {
                return Ok(why);
            }
        }
    }

    /// Tries for as long as it takes, from the same address: a server that still has us as a
    /// member then keeps our place. Answers what the room said meanwhile.
    fn join_again(&self, why: String) -> Result<Vec<Vec<u8>>, ClientError> {
        let Login { at, name, password } = &self.login;
        self.tell(&format!(
            "out of the room at {at}: {why}; joining again as {name}"
        ))?;
        let mut told = why;
        let mut pause = self.limits.first_pause;
        let mut wrong_password = false;
        loop {
            let socket = self.socket.try_clone();
            let entry = socket.and_then(|socket| door::knock(socket, password, name, &self.limits));
            let fault = match entry {
                Ok(Some(Entry::In(inside))) => {
                    self.membership().joined(Instant::now());
                    self.tell(&format!("in the room at {at} again as {name}"))?;
                    return Ok(inside.heard);
                }
                // The first one may be a late answer to a question.
                Ok(Some(Entry::WrongPassword)) if wrong_password => {
                    return Err(ClientError::failure(format!(
                        "cannot join the room at {at} again: the password is wrong now; \
                         start again with the new one"
                    )));
                }
                Ok(Some(Entry::WrongPassword)) => {
                    wrong_password = true;
                    told.clone()
                }
                Ok(Some(Entry::NameTaken)) => format!("the name {name} is taken"),
                Ok(None) => "it does not answer".to_owned(),
                Err(error) => reason(&error),
            };
            if fault != told {
                self.tell(&format!(
                    "still out of the room at {at}: {fault}; trying again"
                ))?;
                told = fault;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(self.limits.longest_pause);
        }
    }

    fn tell(&self, line: &str) -> Result<(), ClientError> {
        self.lock_shown().notice(line).map_err(cannot_go_on)
    }

    /// What the room says of us when it has removed us.
    fn own_end(&self) -> String {
        format!("{} telah keluar dari chatroom.", self.login.name)
    }

    /// What a room that does not know the question makes of it.
    fn is_echo_of_question(&self, text: &str) -> bool {
        text == format!("{0}: USERNAME {0}", self.login.name)
    }

    fn hear(&self, datagram: &[u8], events: &Sender<Event>) -> Result<(), Trouble> {
        let text = shown(datagram);
        // Another client claims our name, or has it by now: our question keeps it or gets it back.
        let is_probe = text.trim().is_empty();
        if is_probe || text == self.own_end() {
            self.membership().doubt(Instant::now());
        }
        if is_probe {
            return Ok(());
        }
        let ours = self.pending.holds(&text);
        let known = match ours {
            true => self.typed,
            false => self.is_echo_of_question(&text) || door::is_answer(datagram),
        };
        if !known {
            self.lock_shown().show(&format!("{text}\n"))?;
        }
        // Only now that it is shown: the conversation may be over with it.
        self.pending.take(&text);
        let _ = events.send(Event::Moved);
        Ok(())
    }

    /// Sends what is typed until the person leaves; says how it ended.
    fn speak(&self, mut lines: Lines, events: &Sender<Event>) -> Event {
        let prompt = format!("{}: ", self.login.name);
        let most = self.limits.datagram - prompt.len();
        let mut next = Instant::now();
        loop {
            let line = match lines.next(&prompt, most) {
                Ok(Some(Line::Text(line))) => clean(&line),
                Ok(Some(Line::TooLong)) => {
                    screen::remark(format!(
                        "cannot send a message of more than {most} bytes; say it in several"
                    ));
                    let _ = events.send(Event::Unsent);
                    continue;
                }
                Ok(None) => return Event::Leaving,
                Err(error) => return Event::Failed(error),
            };
            match line.trim() {
                "" => continue,
                word if word.eq_ignore_ascii_case("exit") => return Event::Leaving,
                _ => {}
            }
            thread::sleep(next.saturating_duration_since(Instant::now()));
            let now = Instant::now();
            next = now + self.limits.pace;
            let message = format!("{prompt}{line}");
            if self.membership().is_out() {
                let words = format!("not in the room; this was not sent: {message}");
                if let Err(error) = self.tell(&words) {
                    return Event::Failed(error);
                }
                let _ = events.send(Event::Unsent);
                continue;
            }
            self.pending.add(message.clone(), now);
            self.membership().sent(now);
            let _ = events.send(Event::Moved);
            // The error belongs to an earlier datagram, and this one was not sent.
            if self.socket.send(message.as_bytes()).is_err() {
                self.membership().doubt(now);
                let _ = self.socket.send(message.as_bytes());
            }
        }
    }

    fn membership(&self) -> MutexGuard<'_, Membership> {
        self.membership
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One datagram is one line, or a member could forge another's words.
fn shown(datagram: &[u8]) -> String {
    let text = clean(&String::from_utf8_lossy(datagram));
    text.trim_end_matches('\n').replace('\n', " ")
}

/// Nothing came for a while.
fn is_pause(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock];
    kinds.contains(&error.kind())
}

fn cannot_go_on(trouble: Trouble) -> ClientError {
    trouble.in_context("cannot go on")
}
