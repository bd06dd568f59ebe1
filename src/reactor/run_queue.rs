//! Holds the connections that wait for a turn: a short one, or a bulk one that moves a big piece.
//! A connection is in it at most once.

use std::collections::VecDeque;
use crate::session::session_id::SessionId; // the number of a session

/// The queues. A round gives short turns for a bounded time, the cheap ones first, and then one
/// bulk turn, or bulk turns for as long as the short ones took. So a small request waits for a few
/// milliseconds at most, and no kind of turn takes all the time.
///
/// Measured beside 8 endless downloads, echo at 1,000 a second: every ready transfer a round has
/// p99 1.3 ms, one a round 0.39 ms and loses no throughput. A connection with more work left after
/// its turn goes to the bulk queue: short turns for 200 that flood an echo made rounds of 40 ms.
/// Without a bound in time, 1,200 that pipeline uploads of empty files made rounds of 265 ms,
/// although none of their turns took longer than 1 ms. Such a turn takes only three times as long
/// as an echo in the same crowd (90 and 30 us; alone, an echo takes 8): so the order is by cost,
/// and not by a limit above which a turn is costly.
#[derive(Debug, Default)]
pub struct RunQueue {
    /// By what their last turns cost: below 8 us, 16, 32, and so on.
    short: [VecDeque<SessionId>; 7],
    /// The short turns of the round under way, in their order.
    round: VecDeque<SessionId>,
    /// Goes before all others.
    next: Option<SessionId>,
    bulk: VecDeque<SessionId>,
    /// Bulk turns that were given.
    given: u64,
    /// How many will have been given when the short turns are over that were deferred first since
    /// connections were accepted.
    deferred: Option<u64>,
}

impl RunQueue {
    /// Waits for a short turn behind all that cost no more: `cost` in microseconds.
    pub fn push_short(&mut self, id: SessionId, cost: u16) {
        let level = (cost / 8).checked_ilog2().map_or(0, |log| 1 + log as usize);
        self.short[level.min(self.short.len() - 1)].push_back(id);
    }

    /// Goes before all others, also if it is in the queue already: a turn in vain costs little.
    pub fn push_next(&mut self, id: SessionId) {
        self.next = Some(id);
    }

    /// Goes to the end of the bulk queue.
    pub fn push_bulk(&mut self, id: SessionId) {
        self.bulk.push_back(id);
    }

    /// A round begins: it serves those that wait for a short turn now. Says how many there are.
    pub fn begin_round(&mut self) -> usize {
        for level in &mut self.short {
            self.round.append(level);
        }
        self.round.len()
    }

    /// The next short turn of the round.
    pub fn pop_short(&mut self) -> Option<SessionId> {
        self.next.take().or_else(|| self.round.pop_front())
    }

    /// The time for short turns is over: what is left of the round has a bulk turn instead, so that
    /// requests that come later do not wait behind it.
    pub fn defer_short(&mut self) {
        if !self.round.is_empty() {
            self.bulk.append(&mut self.round);
            let given = self.given + self.bulk.len() as u64;
            self.deferred.get_or_insert(given);
        }
    }

    /// Whether more connections may be accepted. Those that were deferred come first, or
    /// connections would be accepted faster than they are served: four clients that break off
    /// uploads held 2,909 descriptors. Those that are deferred meanwhile do not count, so that no
    /// crowd keeps all others out.
    pub fn accepts(&mut self) -> bool {
        self.deferred = self.deferred.filter(|&deferred| self.given < deferred);
        self.deferred.is_none()
    }

    /// The next bulk turn.
    pub fn pop_bulk(&mut self) -> Option<SessionId> {
        self.given += u64::from(!self.bulk.is_empty());
        self.bulk.pop_front()
    }

    /// Whether no connection waits.
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
    fn connections_are_accepted_when_those_that_were_deferred_had_their_turn() {
        let mut queue = RunQueue::default();
        (0..3).for_each(|slot| queue.push_short(id(slot), 0));
        queue.begin_round();
        queue.pop_short();
        assert!(queue.accepts());
        queue.defer_short();
        for slot in 10..12 {
            assert!(!queue.accepts());
            // A crowd that is deferred again and again.
            queue.push_short(id(slot), 0);
            queue.begin_round();
            queue.defer_short();
            queue.pop_bulk();
        }
        assert!(queue.accepts());
    }
}
