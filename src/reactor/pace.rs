//! Chooses how much one step may move so that it lasts no longer than it should.
//! Reads no clock and moves nothing: who makes the step tells how long it took.
//!
//! A MiB that is spliced into a file takes 0.4 ms where memory is at hand. Where it is not (a host
//! that lends it page by page, a kernel that has to reclaim it first) it takes 2 to 4 ms, and with
//! 8 uploads under way every other peer waits for the half of that.

use super::limits::BodySteps;

/// The pace of one kind of step.
#[derive(Debug)]
pub struct Pace {
    most: usize,
    least: usize,
    micros: u64,
    /// What `most` bytes take, in microseconds, from what the last steps took.
    cost: u64,
}

impl Pace {
    /// Begins with the longest step.
    pub fn new(steps: &BodySteps) -> Pace {
        Pace {
            most: steps.take,
            least: steps.least_take,
            micros: steps.take_micros,
            cost: steps.take_micros,
        }
    }

    /// How many bytes the next step may move.
    pub fn step(&self) -> usize {
        let fits = self.most as u64 * self.micros / self.cost.max(1);
        let whole = fits - fits % self.least as u64;
        (whole.min(self.most as u64) as usize).max(self.least)
    }

    /// A step has moved so many bytes in so many microseconds.
    pub fn took(&mut self, bytes: usize, micros: u64) {
        // Small steps are mostly the price of a system call.
        if bytes < self.least {
            return;
        }
        // Somebody else may have had the core meanwhile: one step alone is not believed.
        let cost = (micros * self.most as u64 / bytes as u64).min(self.cost * 2 + 1);
        self.cost = (3 * self.cost + cost) / 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    fn pace() -> Pace {
        Pace::new(&BodySteps {
            take: 1024 * KIB,
            least_take: 64 * KIB,
            take_micros: 400,
            copy: 0,
            probe: 0,
        })
    }

    /// Steps on a machine where a MiB takes so long.
    fn settle(pace: &mut Pace, micros: usize) -> usize {
        for _ in 0..40 {
            let step = pace.step();
            pace.took(step, (step * micros / (1024 * KIB)) as u64);
        }
        pace.step()
    }

    #[test]
    fn a_step_is_as_long_as_it_may_be_and_lasts_no_longer_than_it_should() {
        let mut pace = pace();
        assert_eq!(pace.step(), 1024 * KIB);
        assert_eq!(settle(&mut pace, 100), 1024 * KIB);
        let slow = settle(&mut pace, 3_000);
        assert!((64 * KIB..=192 * KIB).contains(&slow), "{slow}");
        assert_eq!(settle(&mut pace, 100_000), 64 * KIB, "but never less");
        assert_eq!(settle(&mut pace, 300), 1024 * KIB, "and it comes back");
    }

    #[test]
    fn one_long_step_changes_little() {
        let mut pace = pace();
        settle(&mut pace, 300);
        pace.took(1024 * KIB, 1_000_000);
        assert!(pace.step() >= 896 * KIB, "{}", pace.step());
    }

    #[test]
    fn a_few_bytes_say_nothing() {
        let mut pace = pace();
        pace.took(1, 1_000);
        assert_eq!(pace.step(), 1024 * KIB);
    }
}
