//! The trait of a file whose bytes are read and written at offsets, here or by a job.
//! The store implements it for files on a disk, the tests for files in memory.
//!
//! ```text
//!              in memory: sendfile(2), or a copy
//!   readable ──────────────────────────────────────────────────────────▶ socket
//!       └── must wait: busy ── a job reads a piece ── readable: Bytes ────▲
//!
//!            few bytes: kept for the commit
//!   socket ──────────────────────────────────────────────────▶ write
//!       └── splice(2) ──▶ pipe ── fill: busy ── a job writes it
//! ```
//!
//! A blob belongs to one session, which is added to the completions when a job of the blob is done.

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// The bytes of one file. There is no file position, so readers and writers do not disturb each
/// other.
pub trait Blob {
    /// What can be sent now of a range that is not empty.
    fn readable(&self, _range: Range<u64>) -> io::Result<Readable<'_>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Appends a range to `bytes` if it is short and in memory; otherwise returns `false` and
    /// appends nothing. Copying a few pages is cheaper than sendfile(2).
    fn append_short(&self, _range: &Range<u64>, _bytes: &mut Vec<u8>) -> bool {
        false
    }
    /// Writes bytes at an offset, perhaps later: by a job, or when the file is committed.
    fn write(&self, _bytes: &[u8], _at: u64) {
        unreachable!("it is not written")
    }
    /// Writes what `take` returns at an offset, by a job if that may wait, and returns the number
    /// of bytes. `None`: `take` was not called, because too much waits to be written; the blob is
    /// busy until that has changed. An error is one of `take`.
    fn fill(
        &self,
        _at: u64,
        _take: &mut dyn FnMut() -> io::Result<Taken>,
    ) -> io::Result<Option<usize>> {
        unreachable!("it is not written")
    }
    /// Whether a job of this blob is running: until it is done, the methods above are not called.
    fn is_busy(&self) -> bool {
        false
    }
    /// Whether a write that is done has failed.
    fn has_failed(&self) -> bool {
        false
    }
    /// The error of that write, once.
    fn take_error(&self) -> Option<io::Error> {
        None
    }
    /// Whether a body of which `left` bytes are missing ends: it is complete, or has failed.
    fn ends(&self, left: u64) -> bool {
        left == 0 || self.has_failed()
    }
}

/// Bytes of a stream, between a socket and a blob.
pub enum Taken {
    /// In memory.
    Bytes(Vec<u8>),
    /// This number of bytes, and what writes them to a file.
    Carrier(usize, Carrier),
}

/// Writes bytes to a file, on any thread. Dropping it discards them.
pub type Carrier = Box<dyn FnOnce(BorrowedFd<'_>) -> io::Result<()> + Send>;

/// What can be sent of a range.
pub enum Readable<'a> {
    /// This number of bytes at its front: they are in memory, and in the file of this descriptor.
    File(BorrowedFd<'a>, usize),
    /// These bytes at its front; none if the file is shorter than the range.
    Bytes(Box<dyn AsRef<[u8]> + 'a>),
    /// Nothing until a job has read it.
    Waits,
}
