//! Sends every byte back, in order, until the peer's end of stream.
//! Keeps no state: the outbox's high-water mark sees to peers that do not read.

use crate::session::protocol::{Cx, Intake, Protocol};
use crate::wire::pause::Pause;

/// The echo service.
pub struct Echo;

impl Protocol for Echo {
    fn on_bytes(&mut self, input: &[u8], _: Pause, cx: &mut Cx<'_>) -> (usize, Intake) {
        cx.out.bytes(input);
        (input.len(), Intake::Bytes)
    }

    fn is_stream(&self) -> bool {
        true
    }
}
