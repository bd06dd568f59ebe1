//! Drives one connection of a run: asks when something is due, hears, and asks again.

use super::errors::Fault;
use super::requests::{Call, Errand, Heard, Requests};
use super::run_state::{Board, Gone, Stage};
use crate::reactor::clock::Moment;
use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::outbox::Outbox;
use crate::session::protocol::{Context, Intake, Protocol, Reaction};
use crate::wire::follows::Follows;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// How a lane uses its connections.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// Requests under way at once.
    pub pipeline: usize,
    /// Each request has a connection of its own.
    pub reconnects: bool,
    /// It makes no requests.
    pub idles: bool,
}

/// Something that was asked for.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Greeting,
    Preparation,
    Request { kind: usize, due: Moment },
    CleaningUp,
}

/// One connection.
pub struct Lane {
    number: usize,
    manners: Manners,
    board: Rc<RefCell<Board>>,
    /// Goes back to the board with the end of the connection.
    call: Option<Call>,
    asked: VecDeque<Asked>,
    /// Stands among the idle lanes of the board.
    listed: bool,
    done: bool,
    /// An answer was not as it should have been.
    at_fault: bool,
}

impl Lane {
    /// A connection of a lane.
    pub fn new(call: Call, manners: Manners, board: Rc<RefCell<Board>>) -> Lane {
        Lane {
            number: call.lane,
            manners,
            board,
            call: Some(call),
            asked: VecDeque::new(),
            listed: false,
            done: false,
            at_fault: false,
        }
    }

    fn call(&mut self) -> &mut Call {
        let call = self.call.as_mut();
        call.expect("it is given away with the end of the connection")
    }

    fn requests(&mut self) -> &mut dyn Requests {
        &mut *self.call().requests
    }

    fn request(&mut self, due: Moment, out: &mut Outbox) {
        let kind = self.requests().ask(out);
        self.asked.push_back(Asked::Request { kind, due });
    }

    /// Makes the requests that are due, as many as may be under way.
    fn ask(&mut self, cx: &mut Context<'_>) {
        if self.manners.reconnects || self.manners.idles || self.done {
            return;
        }
        while self.asked.len() < self.manners.pipeline {
            let due = self.board.borrow_mut().take();
            let Some(due) = due else {
                if !std::mem::replace(&mut self.listed, true) {
                    self.board.borrow_mut().idle.push_back(cx.me);
                }
                return;
            };
            self.request(due, cx.out);
        }
    }

    /// An answer is whole. Says whether the connection is done.
    fn answered(&mut self, cx: &mut Context<'_>) -> bool {
        let asked = self.asked.pop_front().expect("somebody asked");
        match asked {
            Asked::Request { kind, due } => self.board.borrow_mut().answered(kind, due),
            Asked::Preparation => self.board.borrow_mut().ready += 1,
            Asked::Greeting | Asked::CleaningUp => {}
        }
        if self.board.borrow().stage == Stage::CleaningUp {
            return self.asked.is_empty() && !self.clean_up(cx.out);
        }
        if matches!(asked, Asked::Greeting) {
            self.prepare(cx.out);
            return false;
        }
        if self.manners.reconnects {
            return true;
        }
        self.ask(cx);
        false
    }

    fn prepare(&mut self, out: &mut Outbox) {
        self.requests().prepare(out);
        self.asked.push_back(Asked::Preparation);
    }

    /// Clears away what this lane leaves on the server. Says whether there is anything.
    fn clean_up(&mut self, out: &mut Outbox) -> bool {
        let leaves = self.requests().leaves().is_some();
        if leaves {
            self.requests().clean_up(out);
            self.asked.push_back(Asked::CleaningUp);
        }
        leaves
    }

    fn fault(&mut self, fault: Fault, text: &str) -> Intake {
        self.at_fault = true;
        let number = self.number;
        let mut board = self.board.borrow_mut();
        let count = (self.asked.len() as u64).max(1);
        let text = || format!("connection {number}: {text}");
        board.recorder.fault(fault, count, text);
        Intake::Close(CloseReason::Refused)
    }
}

impl Protocol for Lane {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        match self.call().errand {
            Errand::Prepare => match self.requests().greet(cx.out) {
                true => self.asked.push_back(Asked::Greeting),
                false => self.prepare(cx.out),
            },
            Errand::Serve => self.ask(cx),
            Errand::One(due) => self.request(due, cx.out),
            // There may be nothing to do, and only a notice can end a conversation.
            Errand::CleanUp => cx.posts.push(Post {
                to: Audience::One(cx.me),
                notice: Notice::Due,
            }),
        }
    }

    fn on_bytes(&mut self, input: &[u8], _: Follows, cx: &mut Context<'_>) -> (usize, Intake) {
        let mut rest = input;
        while !rest.is_empty() {
            if self.asked.is_empty() {
                let intake = self.fault(Fault::Wrong, "bytes came that nobody had asked for");
                return (input.len(), intake);
            }
            let (taken, heard) = self.requests().hear(rest);
            rest = &rest[taken..];
            let intake = match heard {
                Heard::Part => continue,
                Heard::Answer if self.answered(cx) => {
                    self.done = true;
                    Intake::Close(CloseReason::Goodbye)
                }
                Heard::Answer => continue,
                Heard::Wrong(text) => self.fault(Fault::Wrong, &text),
                Heard::Refused(text) => self.fault(Fault::Refused, &text),
            };
            return (input.len(), intake);
        }
        (input.len(), Intake::Bytes)
    }

    fn on_notice(&mut self, _: &Notice, cx: &mut Context<'_>) -> Reaction {
        self.listed = false;
        let stage = self.board.borrow().stage;
        if stage != Stage::CleaningUp {
            self.ask(cx);
            return Reaction::Stay;
        }
        if self.asked.is_empty() && !self.clean_up(cx.out) {
            self.done = true;
            return Reaction::Close(CloseReason::Goodbye);
        }
        Reaction::Stay
    }

    fn on_close(&mut self, _: CloseReason, _: &mut Context<'_>) {
        let Some(mut call) = self.call.take() else {
            return;
        };
        call.requests.forget();
        let made = |asked: &&Asked| matches!(asked, Asked::Request { .. });
        let unanswered = self.asked.iter().filter(made).count() as u64;
        let mut board = self.board.borrow_mut();
        board.under_way -= unanswered;
        board.gone.push(Gone {
            call,
            done: self.done,
            at_fault: self.at_fault,
            unanswered,
        });
    }

    fn may_idle(&self) -> bool {
        self.asked.is_empty()
    }
}
