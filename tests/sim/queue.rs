//! Keeps an account of who waits for a turn, from what the loop tells its observer.
//! Asserts that everybody gets a turn in time: a short one in its round, bulk ones in their order.

use loket::reactor::clock::Moment;
use std::collections::{BTreeMap, VecDeque};

/// Where somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Since that round.
    Short(u64),
    /// With that number.
    Bulk(u64),
}

/// The account.
#[derive(Debug, Default)]
pub struct Queue {
    places: BTreeMap<u32, Place>,
    round: u64,
    next_number: u64,
    /// Bulk waiters that were closed, whose entries are still in the real queue.
    gone: usize,
    short_turns: usize,
    bulk_turns: usize,
    bulk_at_start: bool,
    /// Whose files are cold, and until when.
    cold: VecDeque<(Moment, u32)>,
}

impl Queue {
    /// Waits for a short turn, unless it waits already.
    pub fn push_short(&mut self, serial: u32) {
        let place = Place::Short(self.round);
        self.places.entry(serial).or_insert(place);
    }

    /// Waits for a bulk turn.
    pub fn push_bulk(&mut self, serial: u32) {
        self.next_number += 1;
        let before = self.places.insert(serial, Place::Bulk(self.next_number));
        assert_eq!(before, None, "{serial} waits twice");
    }

    /// Waits for a bulk turn from that moment on.
    pub fn push_cold(&mut self, until: Moment, serial: u32) {
        self.cold.push_back((until, serial));
    }

    /// The clock says that it is worth looking again whether files are still cold.
    pub fn warm_up(&mut self, now: Moment, is_live: impl Fn(u32) -> bool) {
        while let Some(&(until, serial)) = self.cold.front()
            && until <= now
        {
            self.cold.pop_front();
            if is_live(serial) && !self.places.contains_key(&serial) {
                self.push_bulk(serial);
            }
        }
    }

    /// A turn begins. Says whether it is a bulk one.
    pub fn turn(&mut self, serial: u32) -> bool {
        let place = self.places.remove(&serial);
        let Some(Place::Bulk(number)) = place else {
            self.short_turns += 1;
            assert_eq!(self.bulk_turns, 0, "a short turn behind a bulk one");
            return false;
        };
        let earlier = self.places.iter().find(|(_, place)| match place {
            Place::Bulk(other) => *other < number,
            Place::Short(_) => false,
        });
        assert_eq!(earlier, None, "{serial} overtakes another bulk waiter");
        self.bulk_turns += 1;
        assert!(
            self.short_turns == 0 || self.bulk_turns == 1,
            "a second bulk turn in a round with short turns"
        );
        true
    }

    /// A connection is gone. Its entry stays in the real queue, also one that the same look at the
    /// clock has just put there.
    pub fn forget(&mut self, serial: u32, now: Moment) {
        let just_warm = |(until, cold): &(Moment, u32)| *cold == serial && *until <= now;
        match self.places.remove(&serial) {
            Some(Place::Bulk(_)) => self.gone += 1,
            None if self.cold.iter().any(just_warm) => self.gone += 1,
            Some(Place::Short(_)) | None => {}
        }
    }

    /// A round begins.
    pub fn begin_round(&mut self) {
        self.round += 1;
        (self.short_turns, self.bulk_turns) = (0, 0);
        let is_bulk = |place: &Place| matches!(place, Place::Bulk(_));
        self.bulk_at_start = self.places.values().any(is_bulk);
    }

    /// A round ends: all who waited for a short turn at its beginning have had it, and one who
    /// waited for a bulk one.
    pub fn end_round(&mut self) {
        for (serial, place) in &self.places {
            let late = matches!(place, Place::Short(since) if *since < self.round);
            assert!(!late, "{serial} waits for its short turn");
        }
        if self.bulk_at_start && self.bulk_turns == 0 {
            assert!(self.gone > 0, "nobody had a bulk turn");
            self.gone -= 1;
        }
    }

    /// Whether it is known to wait.
    pub fn holds(&self, serial: u32) -> bool {
        self.places.contains_key(&serial)
    }

    /// Whether anybody is known to wait.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}
