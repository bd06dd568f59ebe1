//! Divides what all talk clients together may have printed each second.
//! Holds no client back: each asks for its share, and a new one for words beyond it.

use crate::services::limits::TalkRate;
use std::cell::Cell;
use std::rc::Rc;

/// All talk clients of a server; each of them holds it.
#[derive(Debug, Default)]
pub struct Crowd {
    /// The second of the newest words of new clients, and what those of that second have cost.
    newcomers: Cell<(u32, usize)>,
}

impl Crowd {
    /// Bytes that each second adds for one client.
    pub fn share(self: &Rc<Crowd>, rate: &TalkRate) -> usize {
        rate.each_second.min(rate.all / Rc::strong_count(self))
    }

    /// Whether a client that has saved nothing yet may have this number of bytes printed: clients
    /// that come, speak and go would have no rate otherwise.
    pub fn grants(&self, cost: usize, rate: &TalkRate, now: u32) -> bool {
        let (second, spent) = self.newcomers.get();
        let spent = cost + if second == now { spent } else { 0 };
        let grants = spent <= rate.all;
        if grants {
            self.newcomers.set((now, spent));
        }
        grants
    }
}
