//! Ends an upload of the files service, and answers once the store is done with a file.
//! Knows no command: `files.rs` has the conversation.

use super::files::{CREATED, Files, REMOVED, State, Then};
use super::refusal::Refusal;
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{BodyEnd, Cx, Intake};
use crate::session::world::{Errand, StoreError};
use std::task::Poll;

impl Files {
    pub(super) fn end_body(&mut self, end: BodyEnd, cx: &mut Cx<'_>) -> Result<Intake, Refusal> {
        let state = std::mem::replace(&mut self.state, State::Command);
        let State::Receiving { upload, size, most } = state else {
            unreachable!("a body ended that was not asked for")
        };
        let then = match (end, size) {
            (BodyEnd::Complete, Some(_)) => Then::Created,
            (BodyEnd::PeerFinished { .. }, None) => Then::CreatedLast,
            (BodyEnd::Complete, None) => return Err(StoreError::TooLarge(most - 1).into()),
            (BodyEnd::PeerFinished { missing }, Some(size)) => {
                let came = size - missing;
                return Err(format!("only {came} of {size} bytes came; nothing is stored").into());
            }
            (BodyEnd::StoreFailed(error), _) => return Err(error.into()),
            (BodyEnd::Abandoned, _) => return Ok(Intake::Close(CloseReason::PeerReset)),
        };
        self.go_on(upload.commit(cx.me), then, cx)
    }

    /// Answers as soon as the store is done.
    pub(super) fn go_on(
        &mut self,
        mut errand: Box<dyn Errand>,
        then: Then,
        cx: &mut Cx<'_>,
    ) -> Result<Intake, Refusal> {
        let Poll::Ready(done) = errand.poll() else {
            self.state = State::Waiting { errand, then };
            return Ok(Intake::Wait);
        };
        if done.is_ok() {
            self.report.stored();
        }
        match (done, then) {
            (Ok(()), Then::Removed) => Ok(self.agree(&format!("OK {REMOVED}"), REMOVED, cx)),
            (Err(error), Then::Removed) => Ok(self.decline(&error, cx)),
            (Ok(()), Then::Created) => Ok(self.agree(&format!("OK {CREATED}"), CREATED, cx)),
            (Ok(()), Then::CreatedLast) => {
                self.agree(&format!("OK {CREATED}"), CREATED, cx);
                Ok(Intake::Close(CloseReason::PeerFinished))
            }
            (Err(error), Then::Created | Then::CreatedLast) => Err(error.into()),
        }
    }
}
