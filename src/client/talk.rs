//! Talks with the person at a server: lines go there, and what comes is shown at once.
//! Edits no lines and tears none: `window.rs` does the one and prevents the other.

use super::connection::{Address, Connection};
use super::error::{ClientError, Trouble, reason};
use super::screen;
use super::window::{Line, Lines, Shown, Window};
use super::{ClientLimits, TalkLimits};
use crate::terminal::sanitize::Cleaner;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

/// What the two threads tell the one that decides when the conversation is over.
enum Event {
    /// The server said something.
    Heard,
    /// The server said its last.
    Closed,
    /// The connection broke.
    Broken(io::Error),
    /// A line was not sent because it is too long.
    TooLong,
    /// The input ended, and the server is about to be told.
    InputOver,
    /// The input or the output failed.
    Failed(ClientError),
}

/// Talks until the server closes the connection, or the input ends and the server is silent.
pub fn run(at: &str, limits: &ClientLimits) -> Result<(), ClientError> {
    let connection = Connection::open(&Address::read(at)?, limits)?;
    let stream = connection.into_patient_stream();
    let stream = Arc::new(stream.map_err(|error| broken(at, &error))?);
    let window = Window::open(limits.prompt_wait)?;
    let typed = window.is_terminal();
    if typed {
        screen::remark(format!("connected to {at}; Ctrl-D leaves"));
    }
    let (sender, events) = mpsc::channel();
    let Window { lines, shown, seat } = window;
    let talk = limits.talk;
    thread::spawn({
        let (stream, sender) = (Arc::clone(&stream), sender.clone());
        move || {
            let last = listen(&stream, shown, talk, &sender);
            let _ = sender.send(last);
        }
    });
    thread::spawn(move || {
        let over = speak(&stream, lines, talk.line, &sender);
        let last = over.map_or_else(|event| event, |()| Event::InputOver);
        let _ = sender.send(last);
        // After the event, or the server's answer to it might overtake it. That it fails when
        // the connection is broken is told by the other thread.
        let _ = stream.shutdown(Shutdown::Write);
    });
    let outcome = watch(&events, at, &talk);
    drop(seat);
    if outcome.result.is_ok() && !outcome.input_over {
        screen::remark(format!(
            "{at} closed the connection; the conversation is over"
        ));
    }
    match outcome.refused && !typed {
        true => outcome.result.and(Err(ClientError::quiet(1))),
        false => outcome.result,
    }
}

struct Outcome {
    result: Result<(), ClientError>,
    input_over: bool,
    refused: bool,
}

fn watch(events: &Receiver<Event>, at: &str, limits: &TalkLimits) -> Outcome {
    let mut outcome = Outcome {
        result: Ok(()),
        input_over: false,
        refused: false,
    };
    loop {
        let event = match outcome.input_over {
            true => events.recv_timeout(limits.last_words).ok(),
            false => events.recv().ok(),
        };
        match event {
            Some(Event::Heard) => {}
            Some(Event::TooLong) => outcome.refused = true,
            Some(Event::InputOver) => outcome.input_over = true,
            Some(Event::Closed) | None => return outcome,
            Some(Event::Broken(error)) => {
                outcome.result = Err(broken(at, &error));
                return outcome;
            }
            Some(Event::Failed(error)) => {
                outcome.result = Err(error);
                return outcome;
            }
        }
    }
}

/// Shows what comes until no more does; says how it ended.
fn listen(
    mut stream: &TcpStream,
    mut shown: Shown,
    limits: TalkLimits,
    events: &Sender<Event>,
) -> Event {
    let mut cleaner = Cleaner::default();
    let mut piece = vec![0; limits.piece];
    let failed = |trouble: Trouble| Event::Failed(trouble.in_context("cannot go on"));
    loop {
        let settle = (shown.held() > 0).then_some(limits.settle);
        if let Err(error) = stream.set_read_timeout(settle) {
            return Event::Broken(error);
        }
        let result = match stream.read(&mut piece) {
            Ok(0) => {
                let end = shown
                    .show(cleaner.finish())
                    .and_then(|()| shown.finish_line())
                    .and_then(|()| shown.settle());
                return end.map_or_else(failed, |()| Event::Closed);
            }
            Ok(count) => {
                let _ = events.send(Event::Heard);
                shown.show(&cleaner.clean(&piece[..count]))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => shown.finish_line(),
            Err(error) => return Event::Broken(error),
        };
        // Whoever sends no line end for so long means no line.
        let result = result.and_then(|()| match shown.held() > limits.line {
            true => shown.finish_line(),
            false => Ok(()),
        });
        if let Err(trouble) = result {
            return failed(trouble);
        }
    }
}

/// Sends what is typed until the input ends; the error is what ended it early.
fn speak(
    mut stream: &TcpStream,
    mut lines: Lines,
    most: usize,
    events: &Sender<Event>,
) -> Result<(), Event> {
    loop {
        let line = match lines.next("talk> ", most) {
            Ok(Some(Line::Text(line))) => line + "\n",
            Ok(Some(Line::TooLong)) => {
                screen::remark(format!(
                    "cannot send a line of more than {most} bytes; say it in several"
                ));
                let _ = events.send(Event::TooLong);
                continue;
            }
            Ok(None) => return Ok(()),
            Err(error) => return Err(Event::Failed(error)),
        };
        if let Err(error) = stream.write_all(line.as_bytes()) {
            return Err(Event::Broken(error));
        }
    }
}

fn broken(at: &str, error: &io::Error) -> ClientError {
    ClientError::failure(format!(
        "the connection to {at} broke: {}; what was written last may be lost, connect again",
        reason(error)
    ))
}
