//! Clean-up actions that run once when a signal ends the process.

use std::sync::{Mutex, MutexGuard, PoisonError};

type Cleanup = Box<dyn FnOnce() + Send>;

static CLEANUPS: Mutex<Cleanups> = Mutex::new(Cleanups {
    next: 0,
    kept: Vec::new(),
});

struct Cleanups {
    next: u64,
    kept: Vec<(u64, Cleanup)>,
}

impl Cleanups {
    fn keep(&mut self, action: Cleanup) -> u64 {
        self.next += 1;
        self.kept.push((self.next, action));
        self.next
    }

    fn forget(&mut self, number: u64) {
        self.kept.retain(|(kept, _)| *kept != number);
    }

    /// Removes all actions and returns them, the newest first.
    fn take(&mut self) -> impl Iterator<Item = Cleanup> + use<> {
        let kept = std::mem::take(&mut self.kept);
        kept.into_iter().rev().map(|(_, action)| action)
    }
}

fn cleanups() -> MutexGuard<'static, Cleanups> {
    CLEANUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A registered action. Dropping this removes the action without running it.
#[derive(Debug)]
#[must_use]
pub struct OnExit(u64);

impl OnExit {
    /// Registers an action.
    pub fn new(action: impl FnOnce() + Send + 'static) -> OnExit {
        OnExit(cleanups().keep(Box::new(action)))
    }
}

impl Drop for OnExit {
    fn drop(&mut self) {
        cleanups().forget(self.0);
    }
}

/// Runs all registered actions, the newest first. To be called when a signal ends the process.
pub fn run() {
    let kept = cleanups().take();
    kept.for_each(|action| action());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn actions_run_once_newest_first_and_removed_actions_do_not_run() {
        let done = Arc::new(Mutex::new(Vec::new()));
        // Not the list of the process, which other tests use.
        let mut cleanups = Cleanups {
            next: 0,
            kept: Vec::new(),
        };
        let [_, dropped, _] = [1, 2, 3].map(|number| {
            let done = Arc::clone(&done);
            cleanups.keep(Box::new(move || done.lock().unwrap().push(number)))
        });
        cleanups.forget(dropped);
        for _ in 0..2 {
            cleanups.take().for_each(|action| action());
        }
        assert_eq!(*done.lock().unwrap(), [3, 1]);
    }
}
