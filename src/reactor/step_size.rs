//! Chooses how much one step may move so that it lasts no longer than it should.
//!
//! A MiB that is spliced into a file takes 0.4 ms where memory is at hand. Where it is not (a host
//! that lends it page by page, a kernel that has to reclaim it first) it takes 2 to 4 ms, and with
//! 8 uploads under way every other peer waits for the half of that.

/// How big a step may be.
#[derive(Debug, Clone, Copy)]
pub struct StepLimits {
    /// Bytes at once.
    pub most: usize,
    /// Bytes at once where that takes long.
    pub least: usize,
    /// Microseconds that a step should last at most.
    pub micros: u64,
}

/// The size of one kind of step, from what the last ones took.
#[derive(Debug)]
pub struct StepSize {
    limits: StepLimits,
    /// What the longest step takes, in microseconds, from what the last steps took.
    cost: u64,
}

impl StepSize {
    /// Begins with the longest step.
    pub fn new(limits: StepLimits) -> StepSize {
        let cost = limits.micros;
        StepSize { limits, cost }
    }

    /// How many bytes the next step may move.
    pub fn step(&self) -> usize {
        let StepLimits {
            most,
            least,
            micros,
        } = self.limits;
        let fits = most as u64 * micros / self.cost.max(1);
        let whole = fits - fits % least as u64;
        whole.clamp(least as u64, most as u64) as usize
    }

    /// A step has moved so many bytes in so many microseconds.
    pub fn record(&mut self, bytes: usize, micros: u64) {
        // Small steps are mostly the price of a system call.
        if bytes < self.limits.least {
            return;
        }
        // Somebody else may have had the core meanwhile: one step alone is not believed.
        let cost = (micros * self.limits.most as u64 / bytes as u64).min(self.cost * 2 + 1);
        self.cost = (3 * self.cost + cost) / 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    fn size() -> StepSize {
        StepSize::new(StepLimits {
            most: 1024 * KIB,
            least: 64 * KIB,
            micros: 400,
        })
    }

    /// Steps on a machine where a MiB takes so long.
    fn settle(size: &mut StepSize, micros: usize) -> usize {
        for _ in 0..40 {
            let step = size.step();
            size.record(step, (step * micros / (1024 * KIB)) as u64);
        }
        size.step()
    }

    #[test]
    fn a_step_is_as_long_as_it_may_be_and_lasts_no_longer_than_it_should() {
        let mut size = size();
        assert_eq!(size.step(), 1024 * KIB);
        assert_eq!(settle(&mut size, 100), 1024 * KIB);
        let slow = settle(&mut size, 3_000);
        assert!((64 * KIB..=192 * KIB).contains(&slow), "{slow}");
        assert_eq!(settle(&mut size, 100_000), 64 * KIB, "but never less");
        assert_eq!(settle(&mut size, 300), 1024 * KIB, "and it comes back");
    }

    #[test]
    fn one_long_step_changes_little() {
        let mut size = size();
        settle(&mut size, 300);
        size.record(1024 * KIB, 1_000_000);
        assert!(size.step() >= 896 * KIB, "{}", size.step());
    }

    #[test]
    fn a_few_bytes_say_nothing() {
        let mut size = size();
        size.record(1, 1_000);
        assert_eq!(size.step(), 1024 * KIB);
    }
}
