//! Jobs that only lack the sync of their folder: one fsync(2) serves all jobs of a folder.

use super::backlog::JobGuard;
use crate::store::error::StoreError;
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// The jobs that a thread has run since its last sync.
#[derive(Default)]
pub(super) struct SyncBatch {
    unsynced: Vec<Unsynced>,
    /// A large job was added: do not delay the answers by further jobs.
    full: bool,
}

/// A job that is done except for the sync of its folder.
pub(super) struct Unsynced {
    pub folder: OwnedFd,
    pub answer: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
    pub end: JobGuard,
}

impl SyncBatch {
    /// Adds a job; `large` if no other job may be added.
    pub fn add(&mut self, job: Unsynced, large: bool) {
        self.unsynced.push(job);
        self.full |= large;
    }

    /// Whether one more job may share the sync.
    pub fn may_grow(&self) -> bool {
        !self.full && !self.unsynced.is_empty()
    }

    /// Syncs every folder once and delivers the results.
    pub fn sync(self) {
        let mut synced: Vec<((u64, u64), Result<(), Errno>)> = Vec::new();
        for Unsynced {
            folder,
            answer,
            end,
        } in self.unsynced
        {
            if !end.0.is_awaited() {
                continue;
            }
            let identity = rustix::fs::fstat(&folder).map(|stat| (stat.st_dev, stat.st_ino));
            let done = synced
                .iter()
                .find(|(known, _)| Ok(*known) == identity)
                .map(|(_, done)| *done);
            let done = done.unwrap_or_else(|| rustix::fs::fsync(&folder));
            if let Ok(identity) = identity {
                synced.push((identity, done));
            }
            drop(folder);
            answer(done.map_err(StoreError::from));
        }
    }
}
