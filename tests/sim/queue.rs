//! A model of the run queue, built from the events of the observer.
//! Asserts that short turns run in their round and bulk turns in their order.

use std::collections::BTreeMap;

/// The queue in which a connection waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Since this round.
    Short(u64),
    /// With this number.
    Bulk(u64),
}

/// The model of the queue.
#[derive(Debug, Default)]
pub struct Queue {
    places: BTreeMap<u32, Place>,
    round: u64,
    next_number: u64,
    /// Closed connections that still have an entry in the real bulk queue.
    gone: usize,
    short_turns: usize,
    bulk_turns: usize,
    bulk_at_start: bool,
}

impl Queue {
    /// The connection waits for a short turn, unless it waits already.
    pub fn push_short(&mut self, serial: u32) {
        let place = Place::Short(self.round);
        self.places.entry(serial).or_insert(place);
    }

    /// The connection waits for a bulk turn.
    pub fn push_bulk(&mut self, serial: u32) {
        self.next_number += 1;
        let before = self.places.insert(serial, Place::Bulk(self.next_number));
        assert_eq!(before, None, "{serial} waits twice");
    }

    /// A turn begins; true if it is a bulk turn.
    pub fn turn(&mut self, serial: u32) -> bool {
        let place = self.places.remove(&serial);
        let Some(Place::Bulk(number)) = place else {
            self.short_turns += 1;
            assert_eq!(self.bulk_turns, 0, "a short turn after a bulk turn");
            return false;
        };
        let earlier = self.places.iter().find(|(_, place)| match place {
            Place::Bulk(other) => *other < number,
            Place::Short(_) => false,
        });
        assert_eq!(earlier, None, "{serial} overtakes another bulk connection");
        self.bulk_turns += 1;
        assert!(
            self.short_turns == 0 || self.bulk_turns == 1,
            "a second bulk turn in a round with short turns"
        );
        true
    }

    /// A connection is closed. Its entry stays in the real queue.
    pub fn forget(&mut self, serial: u32) {
        if let Some(Place::Bulk(_)) = self.places.remove(&serial) {
            self.gone += 1;
        }
    }

    /// A round begins.
    pub fn begin_round(&mut self) {
        self.round += 1;
        (self.short_turns, self.bulk_turns) = (0, 0);
        let is_bulk = |place: &Place| matches!(place, Place::Bulk(_));
        self.bulk_at_start = self.places.values().any(is_bulk);
    }

    /// A round ends: all short turns that were waiting at its start are done, and one bulk turn.
    pub fn end_round(&mut self) {
        for (serial, place) in &self.places {
            let late = matches!(place, Place::Short(since) if *since < self.round);
            assert!(!late, "{serial} waits for its short turn");
        }
        if self.bulk_at_start && self.bulk_turns == 0 {
            assert!(self.gone > 0, "no bulk turn in a round");
            self.gone -= 1;
        }
    }

    /// Whether the connection waits for a turn.
    pub fn holds(&self, serial: u32) -> bool {
        self.places.contains_key(&serial)
    }

    /// Whether no connection waits for a turn.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}
