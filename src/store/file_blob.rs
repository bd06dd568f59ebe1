//! One open regular file of the store, for reading or for writing.

use super::StoreSettings;
use super::workers::{Worker, Workers};
use crate::session::blob::Blob;
use rustix::io::{Errno, ReadWriteFlags};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// An open regular file. When it is closed the last time, and nobody can name it any more, what it
/// held is freed, which takes its time.
pub struct FileBlob {
    /// There until it is dropped.
    file: Option<Arc<File>>,
    workers: Workers,
    /// As long as it was when it was opened; `None` of one that is being written.
    length: Option<u64>,
    /// A range of at most so many bytes is copied.
    short: u64,
    /// From so many bytes on a helper closes it.
    heavy: u64,
}

impl FileBlob {
    pub(super) fn new(
        file: File,
        workers: Workers,
        settings: &StoreSettings,
        length: Option<u64>,
    ) -> FileBlob {
        FileBlob {
            file: Some(Arc::new(file)),
            workers,
            length,
            short: settings.short,
            heavy: settings.heavy,
        }
    }

    /// The file, for a helper.
    pub(super) fn share(&self) -> Arc<File> {
        self.file.clone().expect("it is not being dropped")
    }

    fn file(&self) -> &File {
        self.file.as_ref().expect("it is not being dropped")
    }
}

impl Drop for FileBlob {
    fn drop(&mut self) {
        // Taken, not cloned: whoever drops the last one does the work.
        let file = self.file.take().expect("it is dropped once");
        // A small one at once: who is told that the disk is full finds room for something smaller.
        if self.length.is_some_and(|length| length < self.heavy) {
            return;
        }
        // One that has a name is only closed.
        let frees = rustix::fs::fstat(&*file)
            .is_ok_and(|stat| stat.st_nlink == 0 && stat.st_size as u64 >= self.heavy);
        if frees {
            self.workers
                .spawn_detached(Worker::Commits, move || drop(file));
        }
    }
}

impl Blob for FileBlob {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self.file(), into, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        FileExt::write_at(self.file(), bytes, at)
    }

    fn append_short(&self, range: &Range<u64>, bytes: &mut Vec<u8>) -> bool {
        let length = range.end - range.start;
        if length > self.short {
            return false;
        }
        let before = bytes.len();
        bytes.resize(before + length as usize, 0);
        let into = &mut bytes[before..];
        // What only the disk has is not waited for, and what is no longer there is found out later.
        let mut slice = [IoSliceMut::new(into)];
        let got = rustix::io::preadv2(self.file(), &mut slice, range.start, ReadWriteFlags::NOWAIT);
        let got = match got {
            // Tmpfs cannot say; it has all in memory.
            Err(Errno::OPNOTSUPP) => rustix::io::pread(self.file(), into, range.start),
            got => got,
        };
        let all = got == Ok(length as usize);
        if !all {
            bytes.truncate(before);
        }
        all
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file().as_fd())
    }
}
