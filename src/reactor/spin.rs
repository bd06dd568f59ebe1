//! Decides whether the loop polls without sleeping before it sleeps: `--spin`.
//!
//! A wake-up costs about 50 us, more than an echo. A poll that does not sleep saves it if the next
//! event comes soon, and otherwise wastes the time of the core. So the loop spins as long as at
//! least half of its spins find an event. After each empty spin, twice as many waits as before
//! sleep at once. An empty spin is not longer than the wait that it begins; so a loop that spins in
//! vain uses at most one part in `spin_skips` of a core, and an idle loop nothing.
//!
//! Echoes of 64 bytes, each end on a core that other processes keep awake (a core that sleeps wakes
//! up more slowly, so that spinning gains more); an idle server uses 0 ms in 3 s in all cases:
//!
//! | connections | p50, `--spin 0` and `50` | answers/s | server CPU a message |
//! |---|---|---|---|
//! | 1 | 41, 27 us | 23,100, 33,900 | 28.2, 28.0 us |
//! | 4 | 30, 30 us | 111,000, 114,000 | 8.5, 8.3 us |
//! | 50 | 535, 482 us | 90,400, 96,900 | 10.3, 9.8 us |
//!
//! What it costs: one connection at 5,000 echoes/s and `--spin 200` took 190 us of CPU a message
//! instead of 38, at a p50 of 59 us instead of 79.

use super::ReactorLimits;

/// Which waits begin with a spin.
#[derive(Debug)]
pub struct Spin {
    /// The longest spin in microseconds; 0 is never.
    micros: u64,
    /// Waits that still sleep at once.
    skips: u32,
    /// Waits that will sleep at once after the next empty spin.
    penalty: u32,
    most: u32,
}

impl Spin {
    /// Spins for `spin_micros`, if that is not 0.
    pub fn new(limits: &ReactorLimits) -> Spin {
        Spin {
            micros: limits.spin_micros,
            skips: 0,
            penalty: 1,
            most: limits.spin_skips,
        }
    }

    /// A wait begins: for how many microseconds it spins, if at all.
    pub fn begin(&mut self) -> Option<u64> {
        if self.micros == 0 {
            return None;
        }
        let sleeps = self.skips > 0;
        self.skips = self.skips.saturating_sub(1);
        (!sleeps).then_some(self.micros)
    }

    /// A spin is over. `found` says whether it has found an event.
    pub fn end(&mut self, found: bool) {
        if found {
            self.penalty = (self.penalty / 2).max(1);
        } else {
            self.skips = self.penalty;
            self.penalty = (self.penalty * 2).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reactor::REACTOR;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    fn spin() -> Spin {
        Spin::new(&ReactorLimits {
            spin_micros: 50,
            ..REACTOR
        })
    }

    /// Waits that take this long, one after the other; returns the number of found and of empty
    /// spins.
    fn waits(spin: &mut Spin, micros: impl IntoIterator<Item = u64>) -> (u32, u32) {
        let (mut found, mut empty) = (0, 0);
        for micros in micros {
            if let Some(most) = spin.begin() {
                let finds = micros < most;
                spin.end(finds);
                found += u32::from(finds);
                empty += u32::from(!finds);
            }
        }
        (found, empty)
    }

    #[test]
    fn without_the_flag_no_wait_spins() {
        let mut spin = Spin::new(&REACTOR);
        assert_eq!(waits(&mut spin, [1; 1_000]), (0, 0));
    }

    #[test]
    fn every_wait_spins_while_events_come_soon() {
        assert_eq!(waits(&mut spin(), [30; 1_000]), (1_000, 0));
    }

    #[test]
    fn waits_that_are_longer_than_a_spin_hardly_ever_spin() {
        let mut spin = spin();
        let (found, empty) = waits(&mut spin, [51; 10_000]);
        assert_eq!(found, 0);
        assert!(empty <= 10_000 / REACTOR.spin_skips + 7, "{empty}");
    }

    #[test]
    fn spinning_resumes_when_events_come_soon_again() {
        let mut spin = spin();
        waits(&mut spin, [1_000_000; 10_000]);
        let (found, empty) = waits(&mut spin, [30; 1_000]);
        assert_eq!(empty, 0);
        assert!(found >= 1_000 - REACTOR.spin_skips, "{found}");
    }

    #[test]
    fn spins_continue_only_while_half_of_them_find_an_event() {
        // Waits without a period, of which this part is short.
        let short = |tenths: u64| {
            let hasher = BuildHasherDefault::<DefaultHasher>::default();
            let noise = (0..10_000).map(move |wait| hasher.hash_one(wait) % 10);
            noise.map(move |digit| if digit < tenths { 30 } else { 90 })
        };
        let (found, empty) = waits(&mut spin(), short(7));
        assert!(found > 2_500 && found > empty, "{found}, {empty}");
        let (found, empty) = waits(&mut spin(), short(3));
        assert!(found + empty < 500, "{found}, {empty}");
    }
}
