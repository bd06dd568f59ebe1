//! An open regular file of the store, for reading or for writing.

use super::buffers::{Buffers, Piece};
use super::cold_files::{ColdFiles, Warmth};
use super::disk_file::DiskFile;
use super::open_files::OpenFiles;
use super::place::FsKind;
use super::quota::Reservation;
use super::slots::{Slot, Slots, Ticket};
use super::workers::JobKind;
use crate::session::blob::{Blob, Readable, Taken};
use crate::session::session_id::SessionId;
use crate::store::pending::Pending;
use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;

/// An open regular file.
pub struct FileBlob {
    file: Rc<DiskFile>,
    /// The session that reads or writes it.
    session: SessionId,
    shared: Rc<BlobShared>,
    warmth: Warmth,
    job: RefCell<BlobJob>,
    stage: RefCell<Stage>,
    /// Behind the last byte that was written.
    end: Cell<u64>,
    /// The bytes that may be written; `None` for a file to be read.
    reservation: Option<Arc<Reservation>>,
}

/// What all blobs of a store share.
pub(super) struct BlobShared {
    /// A range of at most this many bytes is copied.
    pub inline_limit: u64,
    /// A stage of at least this many bytes is written.
    pub stage_limit: usize,
    pub cold_files: ColdFiles,
    pub open_files: OpenFiles,
    pub buffers: Arc<Buffers>,
    pub slots: Arc<Slots>,
}

/// Bytes that are not written yet, and the offset of the first.
#[derive(Default)]
pub(super) struct Stage {
    at: u64,
    bytes: Vec<u8>,
}

impl Stage {
    /// Writes the bytes.
    pub fn write(&self, file: &File) -> io::Result<()> {
        file.write_all_at(&self.bytes, self.at)
    }
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
    /// It waits for its turn to write.
    WaitsForSlot(Arc<Ticket>),
    HasSlot(Slot),
    Writes(Pending<io::Result<()>>),
    Failed(io::Error),
}

impl FileBlob {
    /// `inode` is the number of a file to be read.
    pub(super) fn new(
        file: Rc<DiskFile>,
        inode: u64,
        session: SessionId,
        shared: Rc<BlobShared>,
    ) -> FileBlob {
        FileBlob {
            warmth: shared.cold_files.open((file.place.device, inode)),
            file,
            session,
            shared,
            job: RefCell::default(),
            stage: RefCell::default(),
            end: Cell::new(0),
            reservation: None,
        }
    }

    /// A file to be written, up to what can be reserved.
    pub(super) fn to_write(
        file: DiskFile,
        reservation: Arc<Reservation>,
        session: SessionId,
        shared: Rc<BlobShared>,
    ) -> FileBlob {
        FileBlob {
            reservation: Some(reservation),
            ..FileBlob::new(Rc::new(file), 0, session, shared)
        }
    }

    /// The file, the bytes to be written to it, and its length with them: for the job that commits
    /// it.
    pub(super) fn into_parts(blob: Rc<FileBlob>) -> (Arc<File>, Stage, u64) {
        let (stage, end) = (blob.stage.take(), blob.end.get());
        let file = match Rc::try_unwrap(blob) {
            Ok(blob) => blob.file,
            Err(shared) => shared.file.clone(),
        };
        let file = match Rc::try_unwrap(file) {
            Ok(file) => file.take(),
            Err(shared) => shared.get().clone(),
        };
        (file, stage, end)
    }

    /// Called before a name changes.
    pub(super) fn forget_name(&self) {
        self.shared.open_files.forget_name();
    }

    fn file(&self) -> &File {
        self.file.get()
    }

    /// Runs a write, and writes the stage before it: here if the file is in memory, otherwise in a
    /// job.
    fn run(&self, write: impl FnOnce(&File) -> io::Result<()> + Send + 'static) {
        let file = self.file.get().clone();
        let stage = self.stage.take();
        let (reservation, end) = (self.reservation.clone(), self.end.get());
        let work = move || {
            stage.write(&file)?;
            write(&file)?;
            if let Some(reservation) = reservation {
                reservation.wrote(end);
            }
            Ok(())
        };
        let job = match self.file.place.kind {
            FsKind::Memory => work().map_or_else(BlobJob::Failed, |()| BlobJob::None),
            FsKind::Local | FsKind::Remote => {
                let lane = self.file.place.lane(JobKind::Writes);
                BlobJob::Writes(self.file.workers.spawn(lane, self.session, work))
            }
        };
        *self.job.borrow_mut() = job;
    }

    /// The next byte to be written is that at `end`. If it must not be, the blob fails.
    fn advance(&self, end: u64) -> bool {
        let grown = match &self.reservation {
            Some(reservation) => reservation.grow(end),
            None => Ok(()),
        };
        match grown {
            Ok(()) => {
                self.end.set(end);
                true
            }
            Err(error) => {
                *self.job.borrow_mut() = BlobJob::Failed(error.into());
                false
            }
        }
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
        let (file, buffers) = (self.file.get().clone(), self.shared.buffers.clone());
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
            BlobJob::WaitsForSlot(ticket) => match ticket.slot() {
                Some(slot) => BlobJob::HasSlot(slot),
                None => BlobJob::WaitsForSlot(ticket),
            },
            BlobJob::Writes(writing) => match writing.take() {
                Ok(Ok(())) => BlobJob::None,
                Ok(Err(error)) => BlobJob::Failed(error),
                Err(writing) => BlobJob::Writes(writing),
            },
            other => other,
        };
        matches!(
            *job,
            BlobJob::Reads(..) | BlobJob::WaitsForSlot(_) | BlobJob::Writes(_)
        )
    }

    fn has_failed(&self) -> bool {
        !self.is_busy() && matches!(*self.job.borrow(), BlobJob::Failed(_))
    }

    fn take_error(&self) -> Option<io::Error> {
        let mut job = self.job.borrow_mut();
        match std::mem::take(&mut *job) {
            BlobJob::Failed(error) => Some(error),
            other => {
                *job = other;
                None
            }
        }
    }

    fn write(&self, bytes: &[u8], at: u64) {
        if !self.advance(at + bytes.len() as u64) {
            return;
        }
        if self.file.place.kind == FsKind::Memory {
            let written = self.file().write_all_at(bytes, at);
            if let Some(reservation) = &self.reservation {
                reservation.wrote(self.end.get());
            }
            *self.job.borrow_mut() = written.map_or_else(BlobJob::Failed, |()| BlobJob::None);
            return;
        }
        // A slot that was not used passes on.
        *self.job.borrow_mut() = BlobJob::None;
        let mut stage = self.stage.borrow_mut();
        if stage.bytes.is_empty() {
            stage.at = at;
        }
        let end = stage.at + stage.bytes.len() as u64;
        assert_eq!(end, at, "a blob is written in order");
        stage.bytes.extend_from_slice(bytes);
        if stage.bytes.len() >= self.shared.stage_limit {
            drop(stage);
            self.run(|_| Ok(()));
        }
    }

    fn fill(
        &self,
        at: u64,
        take: &mut dyn FnMut() -> io::Result<Taken>,
    ) -> io::Result<Option<usize>> {
        let slot = match (self.file.place.kind, self.job.take()) {
            (FsKind::Memory, _) => None,
            (_, BlobJob::HasSlot(slot)) => Some(slot),
            _ => match self.shared.slots.take(self.file.place.device, self.session) {
                Ok(slot) => Some(slot),
                Err(ticket) => {
                    *self.job.borrow_mut() = BlobJob::WaitsForSlot(ticket);
                    return Ok(None);
                }
            },
        };
        match take()? {
            Taken::Bytes(bytes) => {
                self.write(&bytes, at);
                Ok(Some(bytes.len()))
            }
            Taken::Carrier(0, _) => Ok(Some(0)),
            Taken::Carrier(count, _) if !self.advance(at + count as u64) => Ok(Some(count)),
            Taken::Carrier(count, carrier) => {
                self.run(move |file| {
                    let written = carrier(file.as_fd());
                    drop(slot);
                    written
                });
                Ok(Some(count))
            }
        }
    }

    fn append_short(&self, range: &Range<u64>, bytes: &mut Vec<u8>) -> bool {
        let length = range.end - range.start;
        let is_remote = self.file.place.kind == FsKind::Remote;
        if length > self.shared.inline_limit || is_remote || self.warmth.is_cold() {
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
}
