//! Keeps what must still be done when a signal ends the process, and has it done once.
//! Catches no signals: `main.rs` does.

use std::sync::{Mutex, MutexGuard, PoisonError};

type Act = Box<dyn FnOnce() + Send>;

static ACTS: Mutex<Acts> = Mutex::new(Acts {
    next: 0,
    kept: Vec::new(),
});

struct Acts {
    next: u64,
    kept: Vec<(u64, Act)>,
}

fn acts() -> MutexGuard<'static, Acts> {
    ACTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something to do at the end; dropped, it need not be done any more.
#[derive(Debug)]
#[must_use]
pub struct Farewell(u64);

impl Farewell {
    /// Keeps the act until it is dropped or a signal comes.
    pub fn new(act: impl FnOnce() + Send + 'static) -> Farewell {
        let mut acts = acts();
        acts.next += 1;
        let number = acts.next;
        acts.kept.push((number, Box::new(act)));
        Farewell(number)
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        acts().kept.retain(|(number, _)| *number != self.0);
    }
}

/// Does all that is kept, the newest first. For a process that a signal is about to end.
pub fn say() {
    let kept = std::mem::take(&mut acts().kept);
    for (_, act) in kept.into_iter().rev() {
        act();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn what_is_kept_is_done_once_and_what_was_dropped_is_not() {
        let done = Arc::new(AtomicU32::new(0));
        let [kept, dropped] = [1, 10].map(|worth| {
            let done = Arc::clone(&done);
            Farewell::new(move || {
                done.fetch_add(worth, Ordering::SeqCst);
            })
        });
        drop(dropped);
        say();
        say();
        assert_eq!(done.load(Ordering::SeqCst), 1);
        drop(kept);
    }
}
