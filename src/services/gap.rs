//! Keeps a body back for a moment, so that a bare peer does not take its bytes for the header's.

use crate::session::blob::Blob;
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{Cx, Intake};
use crate::wire::pause::Pause;
use crate::wire::unit::Heal;
use std::rc::Rc;

/// A body whose header has gone out.
pub struct Gap {
    blob: Rc<dyn Blob>,
    length: u64,
}

impl Gap {
    /// The whole of a blob.
    pub fn new(blob: Rc<dyn Blob>, length: u64) -> Gap {
        Gap { blob, length }
    }

    /// Takes what the peer says meanwhile, `came` bytes of it. Gives itself back unless it is over.
    pub fn on_bytes(
        self,
        healed: Heal,
        came: usize,
        pause: Pause,
        cx: &mut Cx<'_>,
    ) -> (usize, Intake, Option<Gap>) {
        match (healed, pause) {
            (Heal::Undecided, _) => (0, Intake::Bytes, Some(self)),
            (Heal::Line { taken }, _) => {
                cx.out.bytes(b"\n");
                cx.out.body(self.blob, 0..self.length);
                (taken, Intake::Bytes, None)
            }
            (Heal::Bare, Pause::Quiet(_)) => {
                cx.out.body(self.blob, 0..self.length);
                (came, Intake::Close(CloseReason::Goodbye), None)
            }
            (Heal::Bare, Pause::Finished) => (0, Intake::Hold, Some(self)),
            // Nothing that a bare client says now means anything.
            (Heal::Bare, Pause::None) => (came, Intake::Bytes, Some(self)),
        }
    }
}
