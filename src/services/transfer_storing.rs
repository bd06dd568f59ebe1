//! Ends an upload of the transfer service, mends it where its size was guessed wrong, stores it.
//! Reads no header: `transfer.rs` has the conversation.

use super::guess::{Mending, Solved};
use super::refusal::Refusal;
use super::transfer::{State, Transfer};
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{BodyEnd, Cx, Intake};
use crate::session::world::{Errand, StoreError};
use std::task::Poll;

impl Transfer {
    pub(super) fn end_body(&mut self, end: BodyEnd, cx: &mut Cx<'_>) -> Result<Intake, Refusal> {
        match (std::mem::replace(&mut self.state, State::Command), end) {
            (_, BodyEnd::Abandoned) => Ok(Intake::Close(CloseReason::PeerReset)),
            (_, BodyEnd::StoreFailed(error)) => Err(error.into()),
            (State::Receiving { upload, size }, BodyEnd::Complete) => {
                self.store(upload.commit(cx.me), Some(size), cx)
            }
            (State::Receiving { size, .. }, BodyEnd::PeerFinished { missing }) => {
                let came = size - missing;
                Err(format!("only {came} of {size} bytes came; nothing is stored").into())
            }
            (State::Guessing(guess), BodyEnd::PeerFinished { missing }) => {
                match guess.solve(missing) {
                    Solved::Whole(upload) => self.store(upload.commit(cx.me), None, cx),
                    Solved::Mend(mending) => {
                        self.state = State::Mending(mending);
                        Ok(Intake::Work)
                    }
                    Solved::Nothing => {
                        Err("the size does not fit what came; nothing is stored".into())
                    }
                }
            }
            (State::Guessing(_), BodyEnd::Complete) => {
                Err("more came than the size says; nothing is stored".into())
            }
            _ => unreachable!("a body ended that was not asked for"),
        }
    }

    pub(super) fn mend(
        &mut self,
        mut mending: Mending,
        cx: &mut Cx<'_>,
    ) -> Result<Intake, Refusal> {
        let step = mending.step(self.limits.copy_step);
        if step.map_err(StoreError::from)? {
            return self.store(mending.into_upload().commit(cx.me), None, cx);
        }
        self.state = State::Mending(mending);
        Ok(Intake::Work)
    }

    /// Answers as soon as the store is done.
    pub(super) fn store(
        &mut self,
        mut errand: Box<dyn Errand>,
        size: Option<u64>,
        cx: &mut Cx<'_>,
    ) -> Result<Intake, Refusal> {
        let Poll::Ready(done) = errand.poll() else {
            self.state = State::Storing { errand, size };
            return Ok(Intake::Wait);
        };
        done?;
        self.report.stored();
        match size {
            Some(size) => {
                self.reply(format_args!("OK {size}"), cx);
                Ok(Intake::Bytes)
            }
            // The textbook client has gone: nobody reads a reply.
            None => Ok(Intake::Close(CloseReason::PeerFinished)),
        }
    }
}
