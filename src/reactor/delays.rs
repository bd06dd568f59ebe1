//! Remembers whose short silence is being measured.
//! Does not know whether the peer has spoken since: the dispatcher asks when an entry is due.
//!
//! Each kind of delay has one fixed length, so a queue in order of arrival is in order of time.
//! An entry that moved on goes back to its place, which is near the end.

use super::clock::Moment;
use super::token::Key;
use crate::wire::pause::Delay;
use std::collections::VecDeque;

/// One sorted queue a kind.
pub struct Delays {
    lengths: [u64; Delay::ALL.len()],
    queues: [VecDeque<(Moment, Key)>; Delay::ALL.len()],
}

impl Delays {
    /// `lengths` in microseconds, by `Delay::index`.
    pub fn new(lengths: [u64; Delay::ALL.len()]) -> Delays {
        Delays {
            lengths,
            queues: Default::default(),
        }
    }

    /// When a silence that began at `since` has lasted long enough.
    pub fn due(&self, delay: Delay, since: Moment) -> Moment {
        since.after(self.lengths[delay.index()])
    }

    /// Measures a silence that began at `since`.
    pub fn arm(&mut self, delay: Delay, since: Moment, key: Key) {
        let due = self.due(delay, since);
        let queue = &mut self.queues[delay.index()];
        let place = queue.partition_point(|&(earlier, _)| earlier <= due);
        queue.insert(place, (due, key));
    }

    /// Takes an entry that is due by now.
    pub fn pop_due(&mut self, now: Moment) -> Option<(Delay, Key)> {
        Delay::ALL.into_iter().find_map(|delay| {
            let queue = &mut self.queues[delay.index()];
            match queue.front() {
                Some(&(due, key)) if due <= now => {
                    queue.pop_front();
                    Some((delay, key))
                }
                _ => None,
            }
        })
    }

    /// When the next entry is due.
    pub fn next_due(&self) -> Option<Moment> {
        self.queues
            .iter()
            .filter_map(|queue| queue.front())
            .map(|&(due, _)| due)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> Key {
        Key { slot, serial: slot }
    }

    #[test]
    fn entries_come_out_in_order_of_time_also_when_one_moved_on() {
        let mut delays = Delays::new([5, 50, 1000, 20, 2000, 2000, 100]);
        delays.arm(Delay::Settle, Moment(0), key(1));
        delays.arm(Delay::Settle, Moment(45), key(2));
        assert_eq!(delays.next_due(), Some(Moment(50)));
        assert_eq!(delays.pop_due(Moment(49)), None);
        assert_eq!(delays.pop_due(Moment(50)), Some((Delay::Settle, key(1))));
        delays.arm(Delay::Settle, Moment(10), key(1));
        assert_eq!(delays.pop_due(Moment(60)), Some((Delay::Settle, key(1))));
        assert_eq!(delays.pop_due(Moment(95)), Some((Delay::Settle, key(2))));
        assert_eq!(delays.next_due(), None);
    }
}
