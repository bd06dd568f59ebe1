//! The list by which worker threads report completed operations to the event loop.
//! It holds no results: the session gets the result from the store.

use super::session_id::SessionId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The sessions whose operation has completed. Clones share one list.
#[derive(Clone)]
pub struct Completions(Arc<Inner>);

struct Inner {
    ids: Mutex<Vec<SessionId>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Completions {
    /// An empty list. `wake` is called, from any thread, when it is no longer empty.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Completions {
        Completions(Arc::new(Inner {
            ids: Mutex::default(),
            wake: Box::new(wake),
        }))
    }

    /// Adds a session whose operation has completed.
    pub fn add(&self, id: SessionId) {
        let mut ids = self.ids();
        ids.push(id);
        // One wake-up is enough for all ids that the loop has not taken.
        if ids.len() == 1 {
            (self.0.wake)();
        }
    }

    /// Wakes the loop, which then also writes the log.
    pub fn wake(&self) {
        (self.0.wake)();
    }

    /// Takes all ids out of the list.
    pub fn take(&self) -> Vec<SessionId> {
        std::mem::take(&mut *self.ids())
    }

    fn ids(&self) -> MutexGuard<'_, Vec<SessionId>> {
        self.0.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
