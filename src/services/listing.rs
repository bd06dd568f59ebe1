//! Reads a folder in bounded pieces and hands its entries out in order.
//! Opens nothing: `store.rs` has opened the folder beneath its root.

use super::upload;
use crate::session::world::{Listing, StoreError};
use cap_std::fs::{DirEntry, ReadDir};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

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

/// What all listings under way hold together.
#[derive(Debug, Default)]
pub struct ListingBudget {
    memory: Cell<usize>,
}

/// A folder being read.
pub struct FolderListing {
    /// Until its end: a peer that is slow to read the list holds no descriptors for it.
    source: Option<ReadDir>,
    /// Sorts as it grows: one big sort at the end would hold the loop up.
    entries: BTreeSet<Box<str>>,
    bytes: u64,
    limits: ListingLimits,
    budget: Rc<ListingBudget>,
}

impl FolderListing {
    pub(super) fn new(
        source: ReadDir,
        limits: ListingLimits,
        budget: Rc<ListingBudget>,
    ) -> FolderListing {
        FolderListing {
            source: Some(source),
            entries: BTreeSet::new(),
            bytes: 0,
            limits,
            budget,
        }
    }

    fn keep(&mut self, entry: &DirEntry) -> Result<(), StoreError> {
        // A name that is no plain text cannot be asked for in this protocol.
        let Some(mut name) = entry.file_name().to_str().map(str::to_owned) else {
            return Ok(());
        };
        if name.chars().any(char::is_control) || upload::is_own(&name) {
            return Ok(());
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            name.push('/');
        }
        if self.entries.len() == self.limits.entries {
            return Err(StoreError::TooManyEntries(self.limits.entries));
        }
        let (length, memory) = (name.len() as u64, self.memory_of(&name));
        if self.budget.memory.get() + memory > self.limits.memory {
            return Err(StoreError::Busy);
        }
        if self.entries.insert(name.into_boxed_str()) {
            self.bytes += length;
            self.budget.memory.update(|held| held + memory);
        }
        Ok(())
    }

    fn memory_of(&self, name: &str) -> usize {
        name.len() + self.limits.entry_overhead
    }
}

impl Listing for FolderListing {
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

    fn totals(&self) -> (u64, u64) {
        (self.bytes, self.entries.len() as u64)
    }

    fn next_batch(&mut self) -> Vec<Box<str>> {
        let mut batch = Vec::new();
        while batch.len() < self.limits.step
            && let Some(entry) = self.entries.pop_first()
        {
            self.budget
                .memory
                .update(|held| held - self.memory_of(&entry));
            batch.push(entry);
        }
        batch
    }
}

impl Drop for FolderListing {
    fn drop(&mut self) {
        let held: usize = self.entries.iter().map(|entry| self.memory_of(entry)).sum();
        self.budget.memory.update(|all| all - held);
    }
}
