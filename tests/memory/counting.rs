//! Wraps a protocol and counts the bodies that it begins and whose end it is notified of.

use loket::session::close_reason::CloseReason;
use loket::session::notice::Notice;
use loket::session::protocol::{BodyEnd, Context, Intake, Protocol, Reaction};
use loket::wire::follows::{Follows, Timer};
use std::cell::Cell;
use std::rc::Rc;

/// The numbers of bodies that began and that ended, and of calls.
#[derive(Clone, Default)]
pub struct Bodies {
    began: Rc<Cell<usize>>,
    ended: Rc<Cell<usize>>,
    calls: Rc<Cell<usize>>,
}

impl Bodies {
    /// Bodies that the protocol began.
    pub fn began(&self) -> usize {
        self.began.get()
    }

    /// Bodies whose end the protocol was notified of.
    pub fn ended(&self) -> usize {
        self.ended.get()
    }

    /// Calls of `on_bytes`.
    pub fn calls(&self) -> usize {
        self.calls.get()
    }
}

/// The wrapper.
pub struct Counting {
    inner: Box<dyn Protocol>,
    bodies: Bodies,
}

impl Counting {
    /// Counts into `bodies`.
    pub fn new(inner: Box<dyn Protocol>, bodies: Bodies) -> Counting {
        Counting { inner, bodies }
    }

    fn seen(&self, intake: Intake) -> Intake {
        if matches!(intake, Intake::Body(_)) {
            self.bodies.began.update(|count| count + 1);
        }
        intake
    }

    fn no_body_is_open(&self) {
        let (began, ended) = (self.bodies.began(), self.bodies.ended());
        assert_eq!(
            began, ended,
            "the protocol was called in the middle of a body"
        );
    }
}

impl Protocol for Counting {
    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        self.no_body_is_open();
        self.bodies.calls.update(|count| count + 1);
        let (taken, intake) = self.inner.on_bytes(input, follows, cx);
        (taken, self.seen(intake))
    }

    fn on_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Intake {
        self.bodies.ended.update(|count| count + 1);
        self.no_body_is_open();
        let intake = self.inner.on_body(end, cx);
        self.seen(intake)
    }

    fn on_work(&mut self, cx: &mut Context<'_>) -> Intake {
        self.no_body_is_open();
        let intake = self.inner.on_work(cx);
        self.seen(intake)
    }

    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.inner.on_open(cx);
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut Context<'_>) -> Reaction {
        self.inner.on_notice(notice, cx)
    }

    fn on_close(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        self.no_body_is_open();
        self.inner.on_close(reason, cx);
    }

    fn may_idle(&self) -> bool {
        self.inner.may_idle()
    }

    fn awaited(&self) -> Option<Timer> {
        self.inner.awaited()
    }
}
