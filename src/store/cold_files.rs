//! The files that are not all in memory: jobs read them.
//!
//! Before each sendfile(2), a file is asked for its last page (`RWF_NOWAIT` of preadv2(2)). The
//! first time that this is not in memory, the kernel begins to read ahead, which completes out of
//! order: a page in memory proves nothing about the ones before it. So from then on jobs read the
//! file for all its readers, until the last of those is done.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Device and inode.
pub(super) type FileId = (u64, u64);

/// The number of readers of each file that is not in memory. Clones share it.
#[derive(Clone, Default)]
pub(super) struct ColdFiles(Rc<RefCell<HashMap<FileId, usize>>>);

/// One open file.
pub(super) struct Warmth {
    file: FileId,
    is_cold: Cell<bool>,
    files: ColdFiles,
}

impl ColdFiles {
    /// A file that was opened.
    pub fn open(&self, file: FileId) -> Warmth {
        Warmth {
            file,
            is_cold: Cell::new(false),
            files: self.clone(),
        }
    }
}

impl Warmth {
    /// Whether jobs must read it.
    pub fn is_cold(&self) -> bool {
        if !self.is_cold.get() && self.files.0.borrow().contains_key(&self.file) {
            self.set_cold();
        }
        self.is_cold.get()
    }

    /// Notes that it is not in memory.
    pub fn set_cold(&self) {
        if !self.is_cold.replace(true) {
            *self.files.0.borrow_mut().entry(self.file).or_insert(0) += 1;
        }
    }
}

impl Drop for Warmth {
    fn drop(&mut self) {
        if self.is_cold.get() {
            let mut files = self.files.0.borrow_mut();
            let readers = files.get_mut(&self.file).expect("counted by set_cold");
            *readers -= 1;
            if *readers == 0 {
                files.remove(&self.file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cold_for_all_its_readers_until_the_last_one_is_done() {
        let files = ColdFiles::default();
        let (first, second, other) = (files.open((1, 2)), files.open((1, 2)), files.open((1, 3)));
        first.set_cold();
        assert!(first.is_cold() && second.is_cold() && !other.is_cold());
        drop(first);
        assert!(files.open((1, 2)).is_cold());
        drop(second);
        assert!(!files.open((1, 2)).is_cold());
    }
}
