//! Counts answered requests by method and class of status.

use crate::session::loop_metrics::Count;

/// The methods that have counters of their own. All others are counted as the last one.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "other"];

/// Counts answered requests.
#[derive(Debug, Default)]
pub struct RequestCounts {
    /// By method, and class of status from 1xx on.
    counts: [[Count; 5]; METHODS.len()],
}

impl RequestCounts {
    /// Counts an answer. `method` is `""` when the request could not be parsed.
    pub fn add(&self, method: &str, status: u16) {
        let known = METHODS.iter().position(|name| *name == method);
        let method = known.unwrap_or(METHODS.len() - 1);
        let class = usize::from(status / 100).clamp(1, 5);
        self.counts[method][class - 1].add(1);
    }

    /// The counters above 0: method, class of status, number.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, usize, u64)> {
        let of = |(name, counts): (&'static str, &[Count; 5])| {
            let counts: [u64; 5] = std::array::from_fn(|class| counts[class].get());
            let counts = counts.into_iter().enumerate();
            counts.map(move |(class, count)| (name, class + 1, count))
        };
        let all = METHODS.into_iter().zip(&self.counts).flat_map(of);
        all.filter(|(_, _, count)| *count > 0)
    }
}
