//! A token bucket: what may still be sent, which grows at a rate up to a burst.

/// How fast a bucket fills, and how far.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Messages a second.
    pub per_second: u32,
    /// Messages that may come at once after a silence.
    pub burst: u32,
}

/// What may be sent now.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenBucket {
    /// Messages, in millionths.
    left: u64,
    /// When it was last filled up, in microseconds.
    filled: u64,
}

/// A millionth of a message is what a rate of 1 a second earns in a microsecond.
const MESSAGE: u64 = 1_000_000;

impl TokenBucket {
    /// A bucket that nothing was taken from.
    pub fn full(rate: Rate, now: u64) -> TokenBucket {
        TokenBucket {
            left: u64::from(rate.burst) * MESSAGE,
            filled: now,
        }
    }

    /// Takes the price of a message, if there is enough.
    pub fn pay(&mut self, rate: Rate, now: u64) -> bool {
        self.fill(rate, now);
        let enough = self.left >= MESSAGE;
        if enough {
            self.left -= MESSAGE;
        }
        enough
    }

    /// Whether it equals a new one.
    pub fn is_full(&mut self, rate: Rate, now: u64) -> bool {
        self.fill(rate, now);
        self.left == u64::from(rate.burst) * MESSAGE
    }

    fn fill(&mut self, rate: Rate, now: u64) {
        let earned = now
            .saturating_sub(self.filled)
            .saturating_mul(u64::from(rate.per_second));
        let most = u64::from(rate.burst) * MESSAGE;
        self.left = self.left.saturating_add(earned).min(most);
        self.filled = now;
    }
}
