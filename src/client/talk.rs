//! Talks with the operator of a server: lines go there, and what comes is shown at once.
//!
//! One thread, and one `poll` over standard input and the socket:
//!
//! ```text
//!   standard input ──┐            ┌── read_lines ──> unsent ── send ──> socket
//!                    ├──> poll ───┤
//!   socket ──────────┘            └── receive ──> ChatScreen ──> standard output
//!
//!   Talking ── the input ends ──> HearingOut ── the server closes or is silent ──> Over
//!      └────── the server closes ──> Closed
//! ```

use super::chat_screen::{ChatScreen, Entry};
use super::connection::{Address, Connection};
use super::error::{ClientError, is_pause, reason};
use super::screen;
use super::{ClientLimits, TalkLimits};
use crate::terminal::sanitize::Cleaner;
use rustix::event::PollFlags;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::Instant;

struct Talk<'a> {
    at: &'a str,
    stream: TcpStream,
    screen: ChatScreen,
    /// Joins characters that the network has cut.
    cleaner: Cleaner,
    /// Lines that the socket has not taken.
    unsent: Vec<u8>,
    state: State,
    /// When the server spoke last.
    heard: Instant,
    /// A line was not sent because it is too long.
    refused: bool,
    limits: TalkLimits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Talking,
    /// The input is over, and the server has until then to say more.
    HearingOut {
        until: Instant,
    },
    /// The server has closed the connection while we talked.
    Closed,
    Over,
}

/// Talks until the server closes the connection, or the input ends and the server is silent.
pub fn run(at: &str, limits: &ClientLimits) -> Result<(), ClientError> {
    let connection = Connection::open(&Address::read(at)?, limits)?;
    let stream = connection.into_stream();
    let stream = stream.map_err(|error| broken(at, &error))?;
    let screen = ChatScreen::open("talk> ", limits.talk.line, limits.history)?;
    let typed = screen.is_terminal();
    if typed {
        screen::remark(format!("connected to {at}; Ctrl-D leaves"));
    }
    let mut talk = Talk {
        at,
        stream,
        screen,
        cleaner: Cleaner::default(),
        unsent: Vec::new(),
        state: State::Talking,
        heard: Instant::now(),
        refused: false,
        limits: limits.talk,
    };
    while !matches!(talk.state, State::Closed | State::Over) {
        talk.turn()?;
    }
    talk.screen.finish()?;
    if talk.state == State::Closed {
        screen::remark(format!(
            "{at} closed the connection; the conversation is over"
        ));
    }
    match talk.refused && !typed {
        true => Err(ClientError::quiet(1)),
        false => Ok(()),
    }
}

impl Talk<'_> {
    /// Waits until something can be done, and does it.
    fn turn(&mut self) -> Result<(), ClientError> {
        let mut events = PollFlags::IN;
        events.set(PollFlags::OUT, !self.unsent.is_empty());
        let socket = (self.stream.as_fd(), events);
        let ready = self
            .screen
            .wait(self.wants_lines(), socket, self.deadline())?;
        if ready.heard {
            self.receive()?;
        }
        if ready.input && self.state == State::Talking {
            self.read_lines()?;
        }
        self.send()?;
        let now = Instant::now();
        if self.settles_at().is_some_and(|then| then <= now) {
            self.screen.finish_line();
        }
        if matches!(self.state, State::HearingOut { until } if until <= now) {
            self.state = State::Over;
        }
        Ok(())
    }

    /// A pipe waits for a server that takes nothing. A person can press Ctrl-C at any time.
    fn wants_lines(&self) -> bool {
        let can_be_sent = self.unsent.is_empty() || self.screen.is_terminal();
        self.state == State::Talking && can_be_sent
    }

    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::HearingOut { until } => {
                Some(self.settles_at().map_or(until, |at| at.min(until)))
            }
            _ => self.settles_at(),
        }
    }

    /// When a line without an end is shown to a person.
    fn settles_at(&self) -> Option<Instant> {
        (self.screen.held() > 0).then(|| self.heard + self.limits.settle)
    }

    /// Shows what the server says.
    fn receive(&mut self) -> Result<(), ClientError> {
        let mut piece = vec![0; self.limits.piece];
        match self.stream.read(&mut piece) {
            Ok(0) => {
                self.screen.show(std::mem::take(&mut self.cleaner).finish());
                self.screen.finish_line();
                self.state = match self.state {
                    State::Talking => State::Closed,
                    _ => State::Over,
                };
            }
            Ok(count) => {
                self.screen.show(&self.cleaner.clean(&piece[..count]));
                // Whoever sends no line end for so long means no line.
                if self.screen.held() > self.limits.line {
                    self.screen.finish_line();
                }
                self.heard = Instant::now();
                self.moved();
            }
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(broken(self.at, &error)),
        }
        Ok(())
    }

    fn read_lines(&mut self) -> Result<(), ClientError> {
        for entry in self.screen.read()? {
            match entry {
                Entry::Line(line) => self.unsent.extend((line + "\n").bytes()),
                Entry::TooLong => {
                    self.refused = true;
                    self.screen.notice(format!(
                        "cannot send a line of more than {} bytes; say it in several",
                        self.limits.line
                    ));
                }
                Entry::End | Entry::Interrupt => {
                    if entry == Entry::Interrupt {
                        self.unsent.clear();
                    }
                    self.screen.end_input();
                    let until = Instant::now() + self.limits.last_words;
                    self.state = State::HearingOut { until };
                    break;
                }
            }
        }
        Ok(())
    }

    /// Sends what the socket takes. Behind the last line the server is told that it was the last.
    fn send(&mut self) -> Result<(), ClientError> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => {
                    self.unsent.drain(..count);
                    self.moved();
                }
                Err(error) if is_pause(&error) => return Ok(()),
                Err(error) => return Err(broken(self.at, &error)),
            }
        }
        if self.state != State::Talking {
            // When the connection is broken, reading tells it.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// The server took or sent something.
    fn moved(&mut self) {
        if let State::HearingOut { until } = &mut self.state {
            *until = Instant::now() + self.limits.last_words;
        }
    }
}

fn broken(at: &str, error: &io::Error) -> ClientError {
    ClientError::failure(format!(
        "the connection to {at} broke: {}; what was written last may be lost, connect again",
        reason(error)
    ))
}
