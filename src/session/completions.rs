//! How other threads tell the loop that a session need not wait any more.
//! Carries no outcome: the session asks for it where it asked for the work.

use super::session_id::SessionId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The sessions whose waits are over. The loop makes it and takes them; clones share it.
#[derive(Clone)]
pub struct Completions(Arc<Inner>);

struct Inner {
    peers: Mutex<Vec<SessionId>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Completions {
    /// `wake` is called, from any thread, when there is something to take.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Completions {
        Completions(Arc::new(Inner {
            peers: Mutex::default(),
            wake: Box::new(wake),
        }))
    }

    /// What this session waits for is done.
    pub fn add(&self, peer: SessionId) {
        let mut peers = self.peers();
        peers.push(peer);
        // The first one wakes the loop for all that it has not taken yet.
        if peers.len() == 1 {
            (self.0.wake)();
        }
    }

    /// All that were added since this was last asked.
    pub fn take(&self) -> Vec<SessionId> {
        std::mem::take(&mut *self.peers())
    }

    fn peers(&self) -> MutexGuard<'_, Vec<SessionId>> {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
