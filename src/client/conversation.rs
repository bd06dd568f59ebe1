//! The room client after it has joined: sends typed lines to the room and shows the members' lines.
//!
//! It is one thread with one `poll` loop over standard input and the socket, as in `talk.rs`. UDP
//! adds two problems: a message can be lost, and a room that is restarted has forgotten its
//! members.
//!
//! ```text
//!   standard input ── read_lines ──> unsent ── send_lines ──> socket
//!                                                  │
//!                            unacked: messages without a copy from the room
//!                                                  │
//!   standard output <── ChatScreen <── show ── handle_datagram <── socket
//!
//!   member ── a membership check fails ──> joining again
//!      ^────────── admitted ──────────────────┘
//! ```
//!
//! The room sends every message back to its sender. On a terminal this copy is not shown: with the
//! prompt `NAME: ` the typed line already looks like it. A message whose copy does not arrive is
//! reported. A pipe gets the copies.

use super::chat_screen::{ChatScreen, InputEvent};
use super::error::{ClientError, reason, would_block};
use super::join::Joined;
use super::membership::{Action, Login, Membership, RoomError, is_answer};
use super::output;
use super::unacked::Unacked;
use super::{ClientLimits, RoomClientLimits};
use crate::wire::text::clean_lines;
use std::collections::VecDeque;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

struct Conversation {
    socket: UdpSocket,
    screen: ChatScreen,
    membership: Membership,
    /// None while the client is a member.
    rejoin: Option<Rejoin>,
    /// Lines read from standard input but not sent yet.
    unsent: VecDeque<String>,
    /// The earliest time for the next message.
    next_send: Instant,
    unacked: Unacked,
    /// The input has ended, or the user typed `exit`.
    is_leaving: bool,
    /// Whether a message was too long, lost, or not sent.
    has_failed_message: bool,
    limits: RoomClientLimits,
}

/// Attempts to join the room again.
struct Rejoin {
    /// The reason that was shown last.
    shown_reason: String,
    /// The pause after the next failed attempt.
    pause: Duration,
    has_wrong_password: bool,
}

/// Runs until the user leaves or the input ends.
pub fn converse(joined: Joined, limits: &ClientLimits) -> Result<(), ClientError> {
    let Joined {
        socket,
        membership,
        first_datagram,
        on_exit: _on_exit,
    } = joined;
    let Login { at, name, .. } = &membership.login;
    let prompt = format!("{name}: ");
    let max_line = limits.room.datagram - prompt.len();
    let screen = ChatScreen::open(&prompt, max_line, limits.history)?;
    let is_terminal = screen.is_terminal();
    if is_terminal {
        output::diagnostic(format!("in the room at {at} as {name}; exit leaves"));
    }
    let now = Instant::now();
    let mut conversation = Conversation {
        socket,
        screen,
        membership,
        rejoin: None,
        unsent: VecDeque::new(),
        next_send: now,
        unacked: Unacked::new(limits.room.relay_timeout),
        is_leaving: false,
        has_failed_message: false,
        limits: limits.room,
    };
    conversation.show(&first_datagram, now);
    let mut outcome = Ok(());
    while outcome.is_ok() && !conversation.is_over() {
        outcome = conversation.turn();
    }
    // An error is ignored: a server that is gone has no member to remove.
    let _ = conversation.socket.send(b"exit");
    outcome?;
    conversation.screen.flush()?;
    ClientError::after_printed(conversation.has_failed_message, is_terminal)
}

impl Conversation {
    /// On a terminal the copies are not shown, and Ctrl-C ends the client at once.
    fn is_over(&self) -> bool {
        let has_all = self.unacked.deadline().is_none() && !self.membership.awaits_history();
        self.is_leaving && self.unsent.is_empty() && (has_all || self.screen.is_terminal())
    }

    /// Waits for an event or a deadline and handles it.
    fn turn(&mut self) -> Result<(), ClientError> {
        let socket = self.socket.as_fd();
        let ready = self
            .screen
            .wait(self.reads_input(), socket, false, self.deadline())?;
        let now = Instant::now();
        if ready.socket {
            self.receive(now)?;
        }
        if ready.input {
            self.read_lines()?;
        }
        let action = self.membership.next_action(now);
        self.perform(action, now)?;
        self.send_lines(now);
        self.report_lost_messages(now);
        Ok(())
    }

    /// A pipe is read only when everything before has been sent, so that `unsent` stays small. A
    /// terminal is always read, so that Ctrl-C works.
    fn reads_input(&self) -> bool {
        let has_room = self.unsent.is_empty() || self.screen.is_terminal();
        !self.is_leaving && has_room
    }

    fn deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.membership.deadline(),
            self.line_due(),
            self.unacked.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// When the next queued line may be sent.
    fn line_due(&self) -> Option<Instant> {
        let waits = self.unsent.is_empty() || self.membership.awaits_history();
        (!waits).then_some(self.next_send)
    }

    fn receive(&mut self, now: Instant) -> Result<(), ClientError> {
        let mut datagram = vec![0; self.limits.datagram];
        match self.socket.recv(&mut datagram) {
            Ok(length) => self.handle_datagram(&datagram[..length], now),
            Err(error) if would_block(&error) => Ok(()),
            Err(error) => self.handle_unreachable(reason(&error), now),
        }
    }

    /// Shows the datagram, unless it arrives while the client is no member: then it is an answer to
    /// an attempt to join.
    fn handle_datagram(&mut self, datagram: &[u8], now: Instant) -> Result<(), ClientError> {
        let was_member = self.membership.is_member();
        let action = self.membership.on_datagram(datagram, now);
        self.perform(action, now)?;
        if was_member || self.membership.is_member() {
            self.show(datagram, now);
        }
        Ok(())
    }

    /// Shows what a member or the room says, without own copies, answers and empty datagrams.
    fn show(&mut self, datagram: &[u8], now: Instant) {
        let text = display_text(datagram);
        // The room sends an empty message to a member whose name another client claims, and
        // announces each member that it removes. The check keeps the name or shows that it is lost.
        let is_empty = text.trim().is_empty();
        let own_removal = format!("{} telah keluar dari chatroom.", self.membership.login.name);
        if is_empty || text == own_removal {
            self.membership.check_now(now);
        }
        let is_hidden = match self.unacked.take(&text) {
            true => self.screen.is_terminal(),
            false => self.membership.is_relayed_check(text.as_bytes()) || is_answer(datagram),
        };
        if !is_hidden && !is_empty {
            self.screen.show(&format!("{text}\n"));
        }
    }

    /// The kernel reports that an earlier datagram did not reach the server.
    fn handle_unreachable(&mut self, why: String, now: Instant) -> Result<(), ClientError> {
        match self.membership.on_unreachable(now) {
            Action::Left { error, .. } => self.join_again(error, why, now),
            action => self.perform(action, now),
        }
    }

    /// Performs an action and those that are due after it.
    fn perform(&mut self, mut action: Action, now: Instant) -> Result<(), ClientError> {
        loop {
            match action {
                Action::Wait => return Ok(()),
                Action::Send(request) => {
                    if let Err(error) = self.socket.send(request.as_bytes()) {
                        return self.handle_unreachable(reason(&error), now);
                    }
                }
                Action::Joined => {
                    self.rejoin = None;
                    let Login { at, name, .. } = &self.membership.login;
                    let message = format!("in the room at {at} again as {name}");
                    self.screen.notice(message);
                }
                Action::Left { error, send_exit } => {
                    if send_exit {
                        let _ = self.socket.send(b"exit");
                    }
                    let name = &self.membership.login.name;
                    let why = match error {
                        RoomError::Forgotten => "the server has forgotten this client".to_owned(),
                        RoomError::NameTaken => format!("the name {name} is taken"),
                        _ => "the server does not answer".to_owned(),
                    };
                    self.join_again(error, why, now)?;
                }
            }
            action = self.membership.next_action(now);
        }
    }

    /// Starts an attempt to join: the first at once, each later one after a pause. All attempts use
    /// the same socket: a server that still has this member recognises it by its address.
    fn join_again(
        &mut self,
        error: RoomError,
        why: String,
        now: Instant,
    ) -> Result<(), ClientError> {
        let Login { at, name, .. } = &self.membership.login;
        let Some(rejoin) = &mut self.rejoin else {
            self.screen.notice(format!(
                "out of the room at {at}: {why}; joining again as {name}"
            ));
            self.rejoin = Some(Rejoin {
                shown_reason: why,
                pause: self.limits.first_pause,
                has_wrong_password: false,
            });
            self.membership.restart(now);
            return Ok(());
        };
        // The first such answer may be a late one, to a membership check.
        if error == RoomError::WrongPassword {
            if rejoin.has_wrong_password {
                return Err(ClientError::failure(format!(
                    "cannot join the room at {at} again: the password is wrong now; \
                     start again with the new one"
                )));
            }
            rejoin.has_wrong_password = true;
        } else if why != rejoin.shown_reason {
            self.screen.notice(format!(
                "still out of the room at {at}: {why}; trying again"
            ));
            rejoin.shown_reason = why;
        }
        self.membership.restart(now + rejoin.pause);
        rejoin.pause = (rejoin.pause * 2).min(self.limits.max_pause);
        Ok(())
    }

    /// Reads from standard input once and queues the complete lines.
    fn read_lines(&mut self) -> Result<(), ClientError> {
        for event in self.screen.read()? {
            match event {
                InputEvent::Line(line) => {
                    let line = clean_lines(line.as_bytes());
                    let word = line.trim();
                    self.is_leaving = word.eq_ignore_ascii_case("exit");
                    if !word.is_empty() && !self.is_leaving {
                        self.unsent.push_back(line);
                    }
                }
                InputEvent::TooLong => {
                    self.has_failed_message = true;
                    let name = &self.membership.login.name;
                    let max_line = self.limits.datagram - name.len() - ": ".len();
                    self.screen.notice(format!(
                        "cannot send a message of more than {max_line} bytes; split it into \
                         shorter lines"
                    ));
                }
                InputEvent::End => self.is_leaving = true,
                InputEvent::Interrupt => {
                    self.unsent.clear();
                    self.is_leaving = true;
                }
            }
            if self.is_leaving {
                self.screen.end_input();
                break;
            }
        }
        Ok(())
    }

    /// Sends the queued lines, one every [`RoomClientLimits::send_interval`].
    fn send_lines(&mut self, now: Instant) {
        while self.line_due().is_some_and(|due| due <= now)
            && let Some(line) = self.unsent.pop_front()
        {
            self.next_send = now + self.limits.send_interval;
            let message = format!("{}: {line}", self.membership.login.name);
            if self.rejoin.is_some() {
                self.has_failed_message = true;
                self.screen
                    .notice(format!("not in the room; this was not sent: {message}"));
                continue;
            }
            self.membership.on_sent(now);
            // On a connected UDP socket, send(2) returns the pending error of an earlier datagram
            // and does not send this one.
            if self.socket.send(message.as_bytes()).is_err() {
                self.membership.check_now(now);
                let _ = self.socket.send(message.as_bytes());
            }
            self.unacked.add(message, now);
        }
    }

    fn report_lost_messages(&mut self, now: Instant) {
        while let Some(message) = self.unacked.next_lost(now) {
            self.has_failed_message = true;
            self.membership.check_now(now);
            let timeout = self.limits.relay_timeout;
            self.screen.notice(format!(
                "the room did not relay this within {timeout:?}: {message}"
            ));
        }
    }
}

/// One datagram becomes one line: with a line end in it, a member could forge another's message.
fn display_text(datagram: &[u8]) -> String {
    let text = clean_lines(datagram);
    text.trim_end_matches('\n').replace('\n', " ")
}
