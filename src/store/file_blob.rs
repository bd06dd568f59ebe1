//! An open regular file of the store, for reading or for writing.

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

/// An open regular file. Closing the last descriptor of a file without a name frees its blocks,
/// which is slow for a large file.
pub struct FileBlob {
    /// `Some` until drop.
    file: Option<Arc<File>>,
    workers: Workers,
    /// Its length when it was opened; `None` for an upload.
    length: Option<u64>,
    /// A range of at most this many bytes is copied.
    inline_limit: u64,
    /// A helper thread closes a file of at least this many bytes.
    large: u64,
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
            inline_limit: settings.inline_limit,
            large: settings.large,
        }
    }

    /// The file, for a helper thread.
    pub(super) fn share(&self) -> Arc<File> {
        self.file.clone().expect("it is not being dropped")
    }

    fn file(&self) -> &File {
        self.file.as_ref().expect("it is not being dropped")
    }
}

impl Drop for FileBlob {
    fn drop(&mut self) {
        // Trap: move it, do not clone it. The thread that drops the last clone frees the blocks.
        let file = self.file.take().expect("it is dropped once");
        // Close a small file here, so that its space is free before the client is answered: after
        // "no space left" a smaller upload must fit.
        if self.length.is_some_and(|length| length < self.large) {
            return;
        }
        // Closing a file that still has a name frees nothing.
        let frees = rustix::fs::fstat(&*file)
            .is_ok_and(|stat| stat.st_nlink == 0 && stat.st_size as u64 >= self.large);
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
        if length > self.inline_limit {
            return false;
        }
        let before = bytes.len();
        bytes.resize(before + length as usize, 0);
        let into = &mut bytes[before..];
        // Do not wait for bytes that are not in the page cache. A file that became shorter is
        // detected when it is sent.
        let mut slice = [IoSliceMut::new(into)];
        let got = rustix::io::preadv2(self.file(), &mut slice, range.start, ReadWriteFlags::NOWAIT);
        let got = match got {
            // tmpfs does not support the flag, but never waits.
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
