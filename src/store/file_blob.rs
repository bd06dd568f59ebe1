//! An open regular file of the store, for reading or for writing.

use super::StoreSettings;
use super::disk_file::DiskFile;
use crate::session::blob::Blob;
use rustix::io::{Errno, ReadWriteFlags};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;

/// An open regular file.
pub struct FileBlob {
    file: DiskFile,
    /// A range of at most this many bytes is copied.
    inline_limit: u64,
}

impl FileBlob {
    pub(super) fn new(file: DiskFile, settings: &StoreSettings) -> FileBlob {
        FileBlob {
            file,
            inline_limit: settings.inline_limit,
        }
    }

    /// The file, for the job that commits it.
    pub(super) fn into_file(blob: Rc<FileBlob>) -> Arc<File> {
        match Rc::try_unwrap(blob) {
            Ok(blob) => blob.file.take(),
            Err(shared) => shared.file.get().clone(),
        }
    }

    fn file(&self) -> &File {
        self.file.get()
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
