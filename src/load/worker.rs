//! One connection of a run: sends requests when they are due, and checks the answers.

use super::errors::{RequestFailure, reason};
use super::requests::{Checked, LoadJob, LoadTask, Requests};
use super::run_state::{Closed, RunStage, RunState};
use crate::reactor::clock::Moment;
use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::outbox::Outbox;
use crate::session::protocol::{BodyEnd, Context, Intake, Protocol, Reaction, Receive};
use crate::wire::follows::Follows;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// How a worker uses its connections.
#[derive(Debug, Clone, Copy)]
pub struct ConnMode {
    /// The most requests without an answer on one connection.
    pub pipeline: usize,
    /// Each request uses a new connection.
    pub reconnects: bool,
    /// The connection sends no requests.
    pub idles: bool,
}

/// A request without an answer yet.
#[derive(Debug, Clone, Copy)]
enum InFlight {
    Probe,
    Preparation,
    Request { kind: usize, due: Moment },
    CleanUp,
}

/// The protocol of one connection.
pub struct LoadWorker {
    number: usize,
    mode: ConnMode,
    state: Rc<RefCell<RunState>>,
    /// Returned to the run state when the connection closes.
    job: Option<LoadJob>,
    in_flight: VecDeque<InFlight>,
    /// The connection is in `RunState::idle`.
    listed: bool,
    done: bool,
    /// The server has answered on this connection.
    has_answers: bool,
    /// An answer was wrong or a refusal.
    was_wrong: bool,
}

impl LoadWorker {
    /// The connection of this worker.
    pub fn new(job: LoadJob, mode: ConnMode, state: Rc<RefCell<RunState>>) -> LoadWorker {
        LoadWorker {
            number: job.worker,
            mode,
            state,
            job: Some(job),
            in_flight: VecDeque::new(),
            listed: false,
            done: false,
            has_answers: false,
            was_wrong: false,
        }
    }

    fn job(&mut self) -> &mut LoadJob {
        let job = self.job.as_mut();
        job.expect("present until the connection closes")
    }

    fn requests(&mut self) -> &mut dyn Requests {
        &mut *self.job().requests
    }

    fn request(&mut self, due: Moment, out: &mut Outbox) {
        let kind = self.requests().next_request(out);
        self.in_flight.push_back(InFlight::Request { kind, due });
    }

    /// Sends the requests that are due, up to the pipeline depth.
    fn send_due(&mut self, cx: &mut Context<'_>) {
        if self.mode.reconnects || self.mode.idles || self.done {
            return;
        }
        while self.in_flight.len() < self.mode.pipeline {
            let due = self.state.borrow_mut().take();
            let Some(due) = due else {
                if !std::mem::replace(&mut self.listed, true) {
                    self.state.borrow_mut().idle.push_back(cx.me);
                }
                return;
            };
            self.request(due, cx.out);
        }
    }

    /// Handles a complete answer. Returns whether the connection is done.
    fn answered(&mut self, cx: &mut Context<'_>) -> bool {
        let request = self.in_flight.pop_front().expect("checked by the caller");
        self.has_answers = true;
        match request {
            InFlight::Request { kind, due } => self.state.borrow_mut().answered(kind, due),
            InFlight::Preparation => self.state.borrow_mut().ready += 1,
            InFlight::Probe | InFlight::CleanUp => {}
        }
        if self.state.borrow().stage == RunStage::CleaningUp {
            return self.in_flight.is_empty() && !self.clean_up(cx.out);
        }
        if matches!(request, InFlight::Probe) {
            self.prepare(cx.out);
            return false;
        }
        if self.mode.reconnects || self.requests().must_close() {
            return true;
        }
        self.send_due(cx);
        false
    }

    /// Handles the result of a check. Returns what follows if it is not input for a check.
    fn checked(&mut self, checked: Checked, cx: &mut Context<'_>) -> Option<Intake> {
        match checked {
            Checked::Part => None,
            Checked::Discard(length) => {
                let sink = self.requests().sink();
                Some(Intake::Body(Receive::new(sink, length)))
            }
            Checked::Answer if self.answered(cx) => {
                self.done = true;
                Some(Intake::Close(CloseReason::Goodbye))
            }
            Checked::Answer => None,
            Checked::Wrong(text) => Some(self.fail(RequestFailure::WrongBytes, &text)),
            Checked::Refused(text) => Some(self.fail(RequestFailure::Refused, &text)),
        }
    }

    /// Checks the input, with the number of consumed bytes.
    fn check(&mut self, input: &[u8], cx: &mut Context<'_>) -> (usize, Intake) {
        let mut rest = input;
        while !rest.is_empty() {
            if self.in_flight.is_empty() {
                let intake = self.fail(
                    RequestFailure::WrongBytes,
                    "the server sent bytes that no request asked for",
                );
                return (input.len(), intake);
            }
            let (taken, checked) = self.requests().check(rest);
            rest = &rest[taken..];
            let needs_more = taken == 0 && checked == Checked::Part;
            match self.checked(checked, cx) {
                Some(Intake::Close(reason)) => return (input.len(), Intake::Close(reason)),
                Some(intake) => return (input.len() - rest.len(), intake),
                None if needs_more => break,
                None => {}
            }
        }
        (input.len() - rest.len(), Intake::Bytes)
    }

    /// Handles the end of the stream, if it is no error.
    fn check_eof(&mut self, cx: &mut Context<'_>) -> Option<Intake> {
        let checked = self.requests().check_eof()?;
        let intake = self.checked(checked, cx);
        self.done |= intake.is_none();
        intake.or(Some(Intake::Close(CloseReason::Goodbye)))
    }

    /// Whether the server closed a connection that it need not keep: RFC 9112, section 9.3.1.
    fn was_dispensable(&mut self, reason: CloseReason) -> bool {
        let by_peer = matches!(reason, CloseReason::PeerFinished | CloseReason::PeerReset);
        let is_request = |request: &InFlight| matches!(request, InFlight::Request { .. });
        by_peer
            && self.has_answers
            && self.in_flight.iter().all(is_request)
            && self.requests().may_be_closed()
    }

    fn prepare(&mut self, out: &mut Outbox) {
        self.requests().prepare(out);
        self.in_flight.push_back(InFlight::Preparation);
    }

    /// Removes the file of this worker from the server; `false` if there is none.
    fn clean_up(&mut self, out: &mut Outbox) -> bool {
        let leftover = self.requests().leftover().is_some();
        if leftover {
            self.requests().clean_up(out);
            self.in_flight.push_back(InFlight::CleanUp);
        }
        leftover
    }

    fn fail(&mut self, error: RequestFailure, text: &str) -> Intake {
        self.was_wrong = true;
        let number = self.number;
        let mut state = self.state.borrow_mut();
        let count = (self.in_flight.len() as u64).max(1);
        let text = || format!("connection {number}: {text}");
        state.recorder.record_error(error, count, text);
        Intake::Close(CloseReason::Refused)
    }
}

impl Protocol for LoadWorker {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        match self.job().task {
            LoadTask::Prepare => match self.requests().probe(cx.out) {
                true => self.in_flight.push_back(InFlight::Probe),
                false => self.prepare(cx.out),
            },
            LoadTask::Serve => self.send_due(cx),
            LoadTask::One(due) => self.request(due, cx.out),
            // If there is nothing to remove, only a notice can close the connection.
            LoadTask::CleanUp => cx.posts.push(Post {
                to: Audience::One(cx.me),
                notice: Notice::Due,
            }),
        }
    }

    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        let (taken, mut intake) = self.check(input, cx);
        if follows == Follows::Eof && taken == input.len() && matches!(intake, Intake::Bytes) {
            intake = self.check_eof(cx).unwrap_or(intake);
        }
        (taken, intake)
    }

    /// The end of bytes that were discarded.
    fn on_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Intake {
        match end {
            BodyEnd::Complete => {
                let (_, checked) = self.requests().check(&[]);
                self.checked(checked, cx).unwrap_or(Intake::Bytes)
            }
            BodyEnd::PeerFinished { .. } => Intake::Close(CloseReason::PeerFinished),
            BodyEnd::Abandoned => Intake::Bytes,
            BodyEnd::BlobFailed(error) => self.fail(
                RequestFailure::Broken,
                &format!("cannot discard a body: {}", reason(&error)),
            ),
        }
    }

    fn on_notice(&mut self, _: &Notice, cx: &mut Context<'_>) -> Reaction {
        self.listed = false;
        let stage = self.state.borrow().stage;
        if stage != RunStage::CleaningUp {
            self.send_due(cx);
            return Reaction::Stay;
        }
        if self.in_flight.is_empty() && !self.clean_up(cx.out) {
            self.done = true;
            return Reaction::Close(CloseReason::Goodbye);
        }
        Reaction::Stay
    }

    fn on_close(&mut self, reason: CloseReason, _: &mut Context<'_>) {
        self.done |= self.job.is_some() && self.was_dispensable(reason);
        let Some(mut job) = self.job.take() else {
            return;
        };
        job.requests.reset();
        let dues = self.in_flight.iter().filter_map(|request| match request {
            InFlight::Request { due, .. } => Some(*due),
            _ => None,
        });
        let mut state = self.state.borrow_mut();
        let mut unanswered = dues.clone().count() as u64;
        if self.done {
            // The server does not answer these.
            dues.for_each(|due| state.give_back(due));
            unanswered = 0;
        }
        state.in_flight -= unanswered;
        state.closed.push(Closed {
            job,
            done: self.done,
            was_wrong: self.was_wrong,
            unanswered,
        });
    }

    fn may_idle(&self) -> bool {
        self.in_flight.is_empty()
    }
}
