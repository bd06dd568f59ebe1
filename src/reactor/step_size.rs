//! Chooses how many bytes one sendfile(2) or splice(2) may move, so that it does not take too long.
//!
//! To splice a MiB into a file takes 0.4 ms if memory is free. In a virtual machine that gets its
//! memory page by page, or when the kernel must reclaim pages first, it takes 2 to 4 ms, and with 8
//! running uploads every other peer waits for half of that.

/// The bounds of a step.
#[derive(Debug, Clone, Copy)]
pub struct StepLimits {
    /// The largest step in bytes.
    pub most: usize,
    /// The smallest step in bytes.
    pub least: usize,
    /// Microseconds that a step should take at most.
    pub micros: u64,
}

/// The size of the next step, computed from how long the last ones took.
#[derive(Debug)]
pub struct StepSize {
    limits: StepLimits,
    /// How long the largest step would take: a smoothed value in microseconds.
    cost: u64,
}

impl StepSize {
    /// Begins with the largest step.
    pub fn new(limits: StepLimits) -> StepSize {
        let cost = limits.micros;
        StepSize { limits, cost }
    }

    /// The size of the next step in bytes.
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

    /// Notes that a step moved `bytes` in `micros` microseconds.
    pub fn record(&mut self, bytes: usize, micros: u64) {
        // The time of a small step is mostly the overhead of the system call.
        if bytes < self.limits.least {
            return;
        }
        // One long step counts little: another process may have had the core.
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

    /// Runs steps on a machine that moves a MiB in `micros`. Returns the size they settle at.
    fn settle(size: &mut StepSize, micros: usize) -> usize {
        for _ in 0..40 {
            let step = size.step();
            size.record(step, (step * micros / (1024 * KIB)) as u64);
        }
        size.step()
    }

    #[test]
    fn a_step_is_as_large_as_its_time_limit_allows() {
        let mut size = size();
        assert_eq!(size.step(), 1024 * KIB);
        assert_eq!(settle(&mut size, 100), 1024 * KIB);
        let slow = settle(&mut size, 3_000);
        assert!((64 * KIB..=192 * KIB).contains(&slow), "{slow}");
        assert_eq!(settle(&mut size, 100_000), 64 * KIB, "never less");
        assert_eq!(settle(&mut size, 300), 1024 * KIB, "it grows again");
    }

    #[test]
    fn one_long_step_changes_little() {
        let mut size = size();
        settle(&mut size, 300);
        size.record(1024 * KIB, 1_000_000);
        assert!(size.step() >= 896 * KIB, "{}", size.step());
    }

    #[test]
    fn a_step_of_a_few_bytes_does_not_count() {
        let mut size = size();
        size.record(1, 1_000);
        assert_eq!(size.step(), 1024 * KIB);
    }
}
