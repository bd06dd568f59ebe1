//! An open regular file of the store, for reading or for writing.

use super::buffers::{Buffers, Piece};
use super::cold_files::Warmth;
use super::disk_file::DiskFile;
use super::place::FsKind;
use super::workers::JobKind;
use crate::session::blob::{Blob, Readable};
use crate::session::session_id::SessionId;
use crate::store::pending::Pending;
use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;

/// An open regular file.
pub struct FileBlob {
    file: DiskFile,
    /// The session that reads or writes it.
    session: SessionId,
    /// A range of at most this many bytes is copied.
    inline_limit: u64,
    warmth: Warmth,
    buffers: Arc<Buffers>,
    job: RefCell<BlobJob>,
}

/// The job of a blob. It has one at most.
#[derive(Default)]
enum BlobJob {
    #[default]
    None,
    /// It reads from this offset on.
    Reads(u64, Pending<io::Result<Piece>>),
    /// It has read from this offset on.
    HasRead(u64, Piece),
    Failed(io::Error),
}

impl FileBlob {
    pub(super) fn new(
        file: DiskFile,
        session: SessionId,
        inline_limit: u64,
        warmth: Warmth,
        buffers: &Arc<Buffers>,
    ) -> FileBlob {
        FileBlob {
            file,
            session,
            inline_limit,
            warmth,
            buffers: buffers.clone(),
            job: RefCell::default(),
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

    /// Whether the front of the range is in memory, and how much of it.
    fn in_memory(&self, range: &Range<u64>) -> Option<usize> {
        let length = (range.end - range.start) as usize;
        match self.file.place.kind {
            FsKind::Memory => Some(length),
            FsKind::Remote => None,
            FsKind::Local if self.warmth.is_cold() => None,
            // Files are read in order, so if the last page is in memory, those before it are.
            FsKind::Local if self.is_warm(range.end - 1) => Some(length),
            FsKind::Local => {
                self.warmth.set_cold();
                None
            }
        }
    }

    /// Reads one byte without blocking. At the end of the file, and after an error, sendfile(2)
    /// tells more.
    fn is_warm(&self, at: u64) -> bool {
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        let read = rustix::io::preadv2(self.file(), &mut into, at, ReadWriteFlags::NOWAIT);
        !matches!(read, Err(Errno::AGAIN | Errno::OPNOTSUPP))
    }

    /// Starts a job that reads the front of the range.
    fn read_piece(&self, range: Range<u64>) {
        let (file, buffers) = (self.file.get().clone(), self.buffers.clone());
        let at = range.start;
        let work = move || {
            buffers.fill(|into| {
                let most = into.len().min((range.end - at) as usize);
                let count = FileExt::read_at(&*file, &mut into[..most], at)?;
                // The disk works while the socket takes this piece.
                let (next, length) = (at + count as u64, NonZeroU64::new(into.len() as u64));
                let _ = rustix::fs::fadvise(&*file, next, length, Advice::WillNeed);
                Ok(count)
            })
        };
        let lane = self.file.place.lane(JobKind::Reads);
        let reading = self.file.workers.spawn(lane, self.session, work);
        *self.job.borrow_mut() = BlobJob::Reads(at, reading);
    }
}

impl Blob for FileBlob {
    fn readable(&self, range: Range<u64>) -> io::Result<Readable<'_>> {
        assert!(!self.is_busy(), "a job of the blob is running");
        match std::mem::take(&mut *self.job.borrow_mut()) {
            BlobJob::HasRead(at, piece) if at == range.start => {
                return Ok(Readable::Bytes(Box::new(piece)));
            }
            BlobJob::Failed(error) => return Err(error),
            _ => {}
        }
        match self.in_memory(&range) {
            Some(count) => Ok(Readable::File(self.file().as_fd(), count)),
            None => {
                self.read_piece(range);
                Ok(Readable::Waits)
            }
        }
    }

    fn is_busy(&self) -> bool {
        let mut job = self.job.borrow_mut();
        *job = match std::mem::take(&mut *job) {
            BlobJob::Reads(at, reading) => match reading.take() {
                Ok(Ok(piece)) => BlobJob::HasRead(at, piece),
                Ok(Err(error)) => BlobJob::Failed(error),
                Err(reading) => BlobJob::Reads(at, reading),
            },
            other => other,
        };
        matches!(*job, BlobJob::Reads(..))
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        FileExt::write_at(self.file(), bytes, at)
    }

    fn append_short(&self, range: &Range<u64>, bytes: &mut Vec<u8>) -> bool {
        let length = range.end - range.start;
        let is_remote = self.file.place.kind == FsKind::Remote;
        if length > self.inline_limit || is_remote || self.warmth.is_cold() {
            return false;
        }
        let before = bytes.len();
        bytes.resize(before + length as usize, 0);
        let into = &mut bytes[before..];
        // Do not wait for bytes that are not in the page cache. A file that became shorter is
        // detected when it is sent.
        let got = match self.file.place.kind {
            FsKind::Memory => rustix::io::pread(self.file(), into, range.start),
            _ => {
                let mut slice = [IoSliceMut::new(into)];
                rustix::io::preadv2(self.file(), &mut slice, range.start, ReadWriteFlags::NOWAIT)
            }
        };
        let all = got == Ok(length as usize);
        if !all {
            bytes.truncate(before);
        }
        if matches!(got, Err(Errno::AGAIN | Errno::OPNOTSUPP)) {
            self.warmth.set_cold();
        }
        all
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file().as_fd())
    }
}
