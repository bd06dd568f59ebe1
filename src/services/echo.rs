//! The echo service: sends every byte back, in order, until the end of the peer's stream.
//! Keeps no state: while the peer does not read, `cx.out` stays full and `on_bytes` is not called.

use crate::session::protocol::{Context, Intake, Protocol}; // the trait, its argument and its result
use crate::wire::follows::Follows; // what follows the input: silence, end of stream

/// The echo service.
pub struct Echo;

impl Protocol for Echo {
    fn on_bytes(&mut self, input: &[u8], _: Follows, cx: &mut Context<'_>) -> (usize, Intake) {
        cx.out.bytes(input);
        // All input is consumed; the bytes that follow are input too.
        (input.len(), Intake::Bytes)
    }

    fn is_stream(&self) -> bool {
        true
    }
}
