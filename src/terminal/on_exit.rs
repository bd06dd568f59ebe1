//! Keeps what must still be done when a signal ends the process, and has it done once.

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

impl Acts {
    fn keep(&mut self, act: Act) -> u64 {
        self.next += 1;
        self.kept.push((self.next, act));
        self.next
    }

    fn forget(&mut self, number: u64) {
        self.kept.retain(|(kept, _)| *kept != number);
    }

    /// Takes all out, the newest first.
    fn take(&mut self) -> impl Iterator<Item = Act> + use<> {
        let kept = std::mem::take(&mut self.kept);
        kept.into_iter().rev().map(|(_, act)| act)
    }
}

fn acts() -> MutexGuard<'static, Acts> {
    ACTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something to do at the end; dropped, it need not be done any more.
#[derive(Debug)]
#[must_use]
pub struct OnExit(u64);

impl OnExit {
    /// Keeps the act until it is dropped or a signal comes.
    pub fn new(act: impl FnOnce() + Send + 'static) -> OnExit {
        OnExit(acts().keep(Box::new(act)))
    }
}

impl Drop for OnExit {
    fn drop(&mut self) {
        acts().forget(self.0);
    }
}

/// Does all that is kept, the newest first. For a process that a signal is about to end.
pub fn run() {
    let kept = acts().take();
    kept.for_each(|act| act());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_is_kept_is_done_once_newest_first_and_what_was_dropped_is_not() {
        let done = Arc::new(Mutex::new(Vec::new()));
        // Not the one of the process: other tests have things to do at its end, too.
        let mut acts = Acts {
            next: 0,
            kept: Vec::new(),
        };
        let [_, dropped, _] = [1, 2, 3].map(|number| {
            let done = Arc::clone(&done);
            acts.keep(Box::new(move || done.lock().unwrap().push(number)))
        });
        acts.forget(dropped);
        for _ in 0..2 {
            acts.take().for_each(|act| act());
        }
        assert_eq!(*done.lock().unwrap(), [3, 1]);
    }
}
