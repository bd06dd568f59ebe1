//! Sends every byte back, in order, until the peer's end of stream.
//! Keeps no state: while a peer does not read, `cx.out` stays full and nothing more is shown.

use crate::session::protocol::{Context, Intake, Protocol}; // the trait, what a call gets and says
use crate::wire::follows::Follows; // no bytes for a while, or the end of the stream

/// The echo service.
pub struct Echo;

impl Protocol for Echo {
    fn on_bytes(&mut self, input: &[u8], _: Follows, cx: &mut Context<'_>) -> (usize, Intake) {
        cx.out.bytes(input);
        // All is taken, and what follows is bytes again.
        (input.len(), Intake::Bytes)
    }

    fn is_stream(&self) -> bool {
        true
    }
}
