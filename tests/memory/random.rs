//! Pseudorandom numbers: the same seed gives the same numbers on every machine.
//! SplitMix64, for its few lines and its speed; not for secrets.

use proptest::prelude::ProptestConfig;
use std::cell::Cell;
use std::ops::RangeInclusive;

/// A generator that is shared by reference.
pub struct Random(Cell<u64>);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Random {
        Random(Cell::new(
            seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x6c6f_6b65_7421,
        ))
    }

    /// Any number.
    pub fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A number of the range.
    pub fn within(&self, range: RangeInclusive<usize>) -> usize {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// True with this probability.
    pub fn chance(&self, percent: usize) -> bool {
        percent > 0 && self.below(100) < percent
    }

    /// One of the elements.
    pub fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Bytes for a body: letters, digits alone, line ends, or binary data.
    pub fn body(&self, length: usize) -> Vec<u8> {
        let alphabet: &[u8] = match self.below(4) {
            0 => b"0123456789",
            1 => b"ab\n\r <SEPARATOR>",
            2 => b"abcdefghijklmnopqrstuvwxyz0123456789",
            _ => &[0, 1, 10, 13, 27, 32, 48, 57, 65, 127, 128, 200, 255],
        };
        (0..length).map(|_| self.pick(alphabet)).collect()
    }
}

/// A failure prints the whole input, so no file needs to store it.
pub fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(count)
    }
}
