//! The talk client: sends typed lines to the operator of a server and shows the operator's lines.
//!
//! It is one thread with one `poll` loop over standard input and the socket:
//!
//! ```text
//!   standard input ──┐            ┌── read_lines ──> unsent ── send ──> socket
//!                    ├──> poll ───┤
//!   socket ──────────┘            └── receive ──> ChatScreen ──> standard output
//!
//!   Open ── end of input ──> Draining ── end of stream, or a silence ──> Done
//!     └──── end of stream ──> ClosedByServer
//! ```

use super::chat_screen::{ChatScreen, InputEvent};
use super::connection::{Address, BlockingConnection};
use super::error::{ClientError, reason, would_block};
use super::output;
use super::{ClientLimits, TalkClientLimits};
use crate::terminal::sanitize::Sanitizer;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::Instant;

struct TalkLoop<'a> {
    /// The server address as the user wrote it.
    at: &'a str,
    stream: TcpStream,
    screen: ChatScreen,
    /// Joins a character whose bytes arrive in two reads.
    sanitizer: Sanitizer,
    /// Lines read from standard input but not yet written to the socket.
    unsent: Vec<u8>,
    state: TalkState,
    last_received: Instant,
    /// Whether a line was too long and was not sent.
    has_refused_line: bool,
    limits: TalkClientLimits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TalkState {
    /// Both directions are open.
    Open,
    /// The input has ended. Data from the server is shown until the deadline, which moves forward
    /// with every byte that is sent or received.
    Draining { deadline: Instant },
    /// The server closed the connection before the input ended.
    ClosedByServer,
    /// The input has ended, and the server has closed the connection or sends nothing more.
    Done,
}

/// Runs until the server closes the connection, or until the input has ended and the server is
/// silent for [`TalkClientLimits::drain_timeout`].
pub fn run(at: &str, limits: &ClientLimits) -> Result<(), ClientError> {
    let stream = BlockingConnection::open(&Address::read(at)?, limits)?
        .into_stream()
        .map_err(|error| connection_failed(at, &error))?;
    let screen = ChatScreen::open("talk> ", limits.talk.line, limits.history)?;
    let is_terminal = screen.is_terminal();
    if is_terminal {
        output::diagnostic(format!("connected to {at}; Ctrl-D leaves"));
    }
    let mut client = TalkLoop {
        at,
        stream,
        screen,
        sanitizer: Sanitizer::default(),
        unsent: Vec::new(),
        state: TalkState::Open,
        last_received: Instant::now(),
        has_refused_line: false,
        limits: limits.talk,
    };
    while !matches!(client.state, TalkState::ClosedByServer | TalkState::Done) {
        client.turn()?;
    }
    client.screen.flush()?;
    if client.state == TalkState::ClosedByServer {
        output::diagnostic(format!(
            "{at} closed the connection; the conversation is over"
        ));
    }
    ClientError::after_printed(client.has_refused_line, is_terminal)
}

impl TalkLoop<'_> {
    /// Waits for an event or a deadline and handles it.
    fn turn(&mut self) -> Result<(), ClientError> {
        let (socket, has_unsent) = (self.stream.as_fd(), !self.unsent.is_empty());
        let ready = self
            .screen
            .wait(self.reads_input(), socket, has_unsent, self.deadline())?;
        if ready.socket {
            self.receive()?;
        }
        if ready.input && self.state == TalkState::Open {
            self.read_lines()?;
        }
        self.send()?;
        let now = Instant::now();
        if self.partial_line_deadline().is_some_and(|due| due <= now) {
            self.screen.end_partial_line();
        }
        if matches!(self.state, TalkState::Draining { deadline } if deadline <= now) {
            self.state = TalkState::Done;
        }
        Ok(())
    }

    /// A pipe is read only when everything before has been sent, so that `unsent` stays small. A
    /// terminal is always read, so that Ctrl-C works.
    fn reads_input(&self) -> bool {
        let has_room = self.unsent.is_empty() || self.screen.is_terminal();
        self.state == TalkState::Open && has_room
    }

    fn deadline(&self) -> Option<Instant> {
        let drain = match self.state {
            TalkState::Draining { deadline } => Some(deadline),
            _ => None,
        };
        let deadlines = [drain, self.partial_line_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// When the beginning of a line is shown on a terminal although its line end is missing.
    fn partial_line_deadline(&self) -> Option<Instant> {
        let has_partial_line = self.screen.partial_len() > 0;
        has_partial_line.then(|| self.last_received + self.limits.settle)
    }

    /// Reads from the socket once and shows the text.
    fn receive(&mut self) -> Result<(), ClientError> {
        let mut buffer = vec![0; self.limits.piece];
        match self.stream.read(&mut buffer) {
            Ok(0) => {
                self.screen
                    .show(std::mem::take(&mut self.sanitizer).finish());
                self.screen.end_partial_line();
                self.state = match self.state {
                    TalkState::Open => TalkState::ClosedByServer,
                    _ => TalkState::Done,
                };
            }
            Ok(count) => {
                self.screen.show(&self.sanitizer.clean(&buffer[..count]));
                // Bounds the memory if the server never sends a line end.
                if self.screen.partial_len() > self.limits.line {
                    self.screen.end_partial_line();
                }
                self.last_received = Instant::now();
                self.extend_drain();
            }
            Err(error) if would_block(&error) => {}
            Err(error) => return Err(connection_failed(self.at, &error)),
        }
        Ok(())
    }

    /// Reads from standard input once and queues the complete lines.
    fn read_lines(&mut self) -> Result<(), ClientError> {
        for event in self.screen.read()? {
            match event {
                InputEvent::Line(line) => self.unsent.extend((line + "\n").bytes()),
                InputEvent::TooLong => {
                    self.has_refused_line = true;
                    self.screen.notice(format!(
                        "cannot send a line of more than {} bytes; split it into shorter lines",
                        self.limits.line
                    ));
                }
                InputEvent::End | InputEvent::Interrupt => {
                    if event == InputEvent::Interrupt {
                        self.unsent.clear();
                    }
                    self.screen.end_input();
                    let deadline = Instant::now() + self.limits.drain_timeout;
                    self.state = TalkState::Draining { deadline };
                    break;
                }
            }
        }
        Ok(())
    }

    /// Writes until the socket buffer is full. After the last line it closes the sending side.
    fn send(&mut self) -> Result<(), ClientError> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => {
                    self.unsent.drain(..count);
                    self.extend_drain();
                }
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) => return Err(connection_failed(self.at, &error)),
            }
        }
        if self.state != TalkState::Open {
            // An error is ignored: the next read reports a broken connection.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// Moves the drain deadline after bytes were sent or received.
    fn extend_drain(&mut self) {
        if let TalkState::Draining { deadline } = &mut self.state {
            *deadline = Instant::now() + self.limits.drain_timeout;
        }
    }
}

fn connection_failed(at: &str, error: &io::Error) -> ClientError {
    ClientError::failure(format!(
        "the connection to {at} broke: {}; the last lines may be lost, connect again",
        reason(error)
    ))
}
