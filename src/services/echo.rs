//! The echo service: sends every byte back, in order, until the end of the peer's stream.
//! Keeps no state, and asks for a relay: the turn writes from the buffer that it has read into.

use crate::session::protocol::{Context, Intake, Protocol}; // the trait, its argument and its result
use crate::wire::follows::Follows; // what follows the input: silence, end of stream

/// The echo service.
pub struct Echo;

impl Protocol for Echo {
    fn on_bytes(&mut self, _: &[u8], _: Follows, _: &mut Context<'_>) -> (usize, Intake) {
        // No input is consumed: the relay begins with it.
        (0, Intake::Relay)
    }
}
