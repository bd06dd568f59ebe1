//! Reads a folder in bounded pieces and hands its entries out in order.
//! Opens nothing: `store.rs` has opened the folder beneath its root.

use super::disk::{Disk, Lane, Pending};
use super::parts;
use crate::session::notice::PeerId;
use crate::session::world::{Listing, StoreError};
use cap_std::fs::{DirEntry, ReadDir};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

/// Bounds of `ls`.
#[derive(Debug, Clone, Copy)]
pub struct ListingLimits {
    /// Entries read or handed out in one piece of work.
    pub step: usize,
    /// Entries of one folder.
    pub entries: usize,
    /// Bytes of memory that an entry takes beside its name.
    pub entry_overhead: usize,
    /// Bytes of memory that all listings under way may hold together.
    pub memory: usize,
}

/// What all listings under way hold together, in bytes.
pub type ListingBudget = AtomicUsize;

/// A folder being read: a helper reads, and the loop hands out.
pub struct FolderListing {
    folder: At,
    disk: Disk,
    for_peer: PeerId,
}

/// Where the folder is at the moment.
enum At {
    Here(Box<Folder>),
    Helper(Pending<(Box<Folder>, Result<bool, StoreError>)>),
    /// While it moves between the two.
    Nowhere,
}

impl FolderListing {
    pub(super) fn new(
        source: ReadDir,
        limits: ListingLimits,
        budget: Arc<ListingBudget>,
        disk: Disk,
        for_peer: PeerId,
    ) -> FolderListing {
        let folder = Box::new(Folder {
            source: Some(source),
            entries: BTreeSet::new(),
            bytes: 0,
            limits,
            budget,
        });
        FolderListing {
            folder: At::Here(folder),
            disk,
            for_peer,
        }
    }

    fn here(&mut self) -> &mut Folder {
        match &mut self.folder {
            At::Here(folder) => folder,
            At::Helper(_) | At::Nowhere => unreachable!("the folder is not read to its end"),
        }
    }
}

impl Listing for FolderListing {
    fn read_some(&mut self) -> Poll<Result<bool, StoreError>> {
        let pending = match std::mem::replace(&mut self.folder, At::Nowhere) {
            At::Here(mut folder) => self.disk.ask(self.for_peer, move || {
                let read = folder.read_some();
                (folder, read)
            }),
            At::Helper(pending) => pending,
            At::Nowhere => unreachable!("it stays nowhere"),
        };
        match pending.poll() {
            Poll::Pending => {
                self.folder = At::Helper(pending);
                Poll::Pending
            }
            Poll::Ready((folder, read)) => {
                self.folder = At::Here(folder);
                Poll::Ready(read)
            }
        }
    }

    fn totals(&self) -> (u64, u64) {
        match &self.folder {
            At::Here(folder) => (folder.bytes, folder.entries.len() as u64),
            At::Helper(_) | At::Nowhere => (0, 0),
        }
    }

    fn next_batch(&mut self) -> Vec<Box<str>> {
        self.here().next_batch()
    }
}

impl Drop for FolderListing {
    fn drop(&mut self) {
        // A million names are not dropped in no time.
        let folder = std::mem::replace(&mut self.folder, At::Nowhere);
        self.disk.leave(Lane::LookUps, move || drop(folder));
    }
}

/// A folder, as far as it is read.
struct Folder {
    /// Until its end: a peer that is slow to read the list holds no descriptors for it.
    source: Option<ReadDir>,
    /// Sorts as it grows: one big sort at the end would hold all look-ups up.
    entries: BTreeSet<Box<str>>,
    bytes: u64,
    limits: ListingLimits,
    budget: Arc<ListingBudget>,
}

impl Folder {
    fn read_some(&mut self) -> Result<bool, StoreError> {
        for _ in 0..self.limits.step {
            match self.source.as_mut().and_then(Iterator::next) {
                None => {
                    self.source = None;
                    return Ok(true);
                }
                Some(entry) => self.keep(&entry?)?,
            }
        }
        Ok(false)
    }

    fn keep(&mut self, entry: &DirEntry) -> Result<(), StoreError> {
        // A name that is no plain text cannot be asked for in this protocol.
        let Some(mut name) = entry.file_name().to_str().map(str::to_owned) else {
            return Ok(());
        };
        if name.chars().any(char::is_control) || parts::is_own(&name) {
            return Ok(());
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            name.push('/');
        }
        if self.entries.len() == self.limits.entries {
            return Err(StoreError::TooManyEntries(self.limits.entries));
        }
        let (length, memory) = (name.len() as u64, self.memory_of(&name));
        // One helper alone adds: what is seen here can only become less.
        if self.budget.load(Ordering::Relaxed) + memory > self.limits.memory {
            return Err(StoreError::Busy);
        }
        if self.entries.insert(name.into_boxed_str()) {
            self.bytes += length;
            self.budget.fetch_add(memory, Ordering::Relaxed);
        }
        Ok(())
    }

    fn next_batch(&mut self) -> Vec<Box<str>> {
        let mut batch = Vec::new();
        while batch.len() < self.limits.step
            && let Some(entry) = self.entries.pop_first()
        {
            let memory = self.memory_of(&entry);
            self.budget.fetch_sub(memory, Ordering::Relaxed);
            batch.push(entry);
        }
        batch
    }

    fn memory_of(&self, name: &str) -> usize {
        name.len() + self.limits.entry_overhead
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let held: usize = self.entries.iter().map(|entry| self.memory_of(entry)).sum();
        self.budget.fetch_sub(held, Ordering::Relaxed);
    }
}
