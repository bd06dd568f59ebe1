//! A token bucket: a rate limit that allows bursts.

/// Rate and size of a bucket.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Messages a second.
    pub per_second: u32,
    /// Messages at once after a silence.
    pub burst: u32,
}

/// The messages that may be sent now.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenBucket {
    /// In millionths of a message.
    tokens: u64,
    /// Time of the last refill, in microseconds.
    filled_at: u64,
}

/// At a rate of 1 a second, a microsecond adds a millionth of a message.
const MESSAGE: u64 = 1_000_000;

impl TokenBucket {
    /// A full bucket.
    pub fn full(rate: Rate, now: u64) -> TokenBucket {
        TokenBucket {
            tokens: u64::from(rate.burst) * MESSAGE,
            filled_at: now,
        }
    }

    /// Takes one message, if there is one. `now` is in microseconds.
    pub fn take(&mut self, rate: Rate, now: u64) -> bool {
        self.fill(rate, now);
        let enough = self.tokens >= MESSAGE;
        if enough {
            self.tokens -= MESSAGE;
        }
        enough
    }

    /// Whether the bucket is full.
    pub fn is_full(&mut self, rate: Rate, now: u64) -> bool {
        self.fill(rate, now);
        self.tokens == u64::from(rate.burst) * MESSAGE
    }

    fn fill(&mut self, rate: Rate, now: u64) {
        let earned = now
            .saturating_sub(self.filled_at)
            .saturating_mul(u64::from(rate.per_second));
        let most = u64::from(rate.burst) * MESSAGE;
        self.tokens = self.tokens.saturating_add(earned).min(most);
        self.filled_at = now;
    }
}
