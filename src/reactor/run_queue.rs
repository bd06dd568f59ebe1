//! Holds who is waiting for a turn: short turns, and bulk turns that move big pieces.
//! Does not know why anybody waits; a connection stands in it at most once.

use super::token::Key;
use std::collections::VecDeque;

/// The two queues. A round serves all short turns that stood there at its beginning and then one
/// bulk turn, so that a small request never waits for more than one big step. Only a round that
/// had no short turn to give moves a few more.
///
/// Measured beside 8 endless downloads, echo at 1,000 a second: every ready transfer a round has
/// p99 1.3 ms, one a round 0.39 ms and loses no throughput. Who had a turn and has more to do waits
/// among the bulk: short turns for 200 that flood an echo made rounds of 40 ms, for 480 that
/// pipeline commands rounds of 100 to 460 ms.
#[derive(Debug, Default)]
pub struct RunQueue {
    short: VecDeque<Key>,
    bulk: VecDeque<Key>,
}

impl RunQueue {
    /// Goes to the end of the short queue.
    pub fn push_short(&mut self, key: Key) {
        self.short.push_back(key);
    }

    /// Goes to the end of the bulk queue.
    pub fn push_bulk(&mut self, key: Key) {
        self.bulk.push_back(key);
    }

    /// How many short turns this round has.
    pub fn short_count(&self) -> usize {
        self.short.len()
    }

    /// The next short turn.
    pub fn pop_short(&mut self) -> Option<Key> {
        self.short.pop_front()
    }

    /// The next bulk turn.
    pub fn pop_bulk(&mut self) -> Option<Key> {
        self.bulk.pop_front()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.short.is_empty() && self.bulk.is_empty()
    }
}
