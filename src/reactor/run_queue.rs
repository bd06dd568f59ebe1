//! The connections that wait for a turn: a short turn, or a bulk turn that may move a big piece.
//! A connection is in the queue at most once.

use crate::session::session_id::SessionId; // slot in the table, and serial against stale events
use std::collections::VecDeque;

/// Two queues. A round gives short turns for a bounded time, cheap ones first. Then it gives bulk
/// turns: one, or as many as take the time that the short turns took. So a small request waits a
/// few milliseconds at most, and neither kind of turn starves the other.
///
/// Measurements, with 1,000 echoes a second beside 8 endless downloads: with a bulk turn for every
/// ready transfer in each round, the echo has a p99 of 1.3 ms; with one bulk turn a round, 0.39 ms,
/// at the same throughput.
///
/// A connection with more work after its turn goes to the bulk queue: with short turns instead, 200
/// connections that flood an echo made rounds of 40 ms. The time of short turns is bounded: without
/// a bound, 1,200 connections that pipeline uploads of empty files made rounds of 265 ms, although
/// no turn took more than 1 ms. Such a turn takes only three times as long as an echo under the
/// same load (90 and 30 us; 8 us on an idle server). So turns are sorted by cost, and not split by
/// a limit.
#[derive(Debug, Default)]
pub struct RunQueue {
    /// Short turns, by the cost of the last turns: below 8 us, below 16, below 32, and so on.
    pub(super) short: [VecDeque<SessionId>; 7],
    /// The short turns of the current round, in order.
    round: VecDeque<SessionId>,
    /// The connection that has the next turn, before all others.
    next: Option<SessionId>,
    pub(super) bulk: VecDeque<SessionId>,
    /// The number of bulk turns given so far.
    given: u64,
    /// The value of `given` at which the deferred connections have had their turn. It is set when
    /// turns are deferred, and stays until connections are accepted again.
    deferred: Option<u64>,
}

impl RunQueue {
    /// Queues a short turn, behind those that cost less. `cost` is in microseconds.
    pub fn push_short(&mut self, id: SessionId, cost: u16) {
        let level = (cost / 8).checked_ilog2().map_or(0, |log| 1 + log as usize);
        self.short[level.min(self.short.len() - 1)].push_back(id);
    }

    /// Queues a turn before all others. The connection may be in the queue already: a turn without
    /// work costs little.
    pub fn push_next(&mut self, id: SessionId) {
        self.next = Some(id);
    }

    /// Queues a bulk turn, behind all others.
    pub fn push_bulk(&mut self, id: SessionId) {
        self.bulk.push_back(id);
    }

    /// Begins a round with the short turns that are queued now. Returns their number.
    pub fn begin_round(&mut self) -> usize {
        // Appending an empty queue takes 100 instructions; in most rounds only one has entries.
        for level in self.short.iter_mut().filter(|level| !level.is_empty()) {
            self.round.append(level);
        }
        self.round.len()
    }

    /// Takes the next short turn of the round.
    pub fn pop_short(&mut self) -> Option<SessionId> {
        self.next.take().or_else(|| self.round.pop_front())
    }

    /// Called when the time for short turns is over. The rest of the round moves to the bulk queue,
    /// so that later requests do not wait behind it.
    pub fn defer_short(&mut self) {
        if !self.round.is_empty() {
            self.bulk.append(&mut self.round);
            let given = self.given + self.bulk.len() as u64;
            self.deferred.get_or_insert(given);
        }
    }

    /// Whether connections may be accepted in this round. Deferred connections have their turn
    /// first; otherwise connections are accepted faster than they are served, and four clients that
    /// abort uploads held 2,909 descriptors. Connections that are deferred later do not count, so
    /// accepting is never blocked for long.
    pub fn accepts(&mut self) -> bool {
        self.deferred = self.deferred.filter(|&deferred| self.given < deferred);
        self.deferred.is_none()
    }

    /// Takes the next bulk turn.
    pub fn pop_bulk(&mut self) -> Option<SessionId> {
        self.given += u64::from(!self.bulk.is_empty());
        self.bulk.pop_front()
    }

    /// Whether no connection waits for a turn.
    pub fn is_empty(&self) -> bool {
        let short = self.short.iter().all(VecDeque::is_empty);
        short && self.next.is_none() && self.bulk.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32) -> SessionId {
        SessionId::new(slot, slot)
    }

    #[test]
    fn accepting_resumes_when_deferred_connections_have_had_their_turn() {
        let mut queue = RunQueue::default();
        (0..3).for_each(|slot| queue.push_short(id(slot), 0));
        queue.begin_round();
        queue.pop_short();
        assert!(queue.accepts());
        queue.defer_short();
        for slot in 10..12 {
            assert!(!queue.accepts());
            // More connections are deferred in each round.
            queue.push_short(id(slot), 0);
            queue.begin_round();
            queue.defer_short();
            queue.pop_bulk();
        }
        assert!(queue.accepts());
    }
}
