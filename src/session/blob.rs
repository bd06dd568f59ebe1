//! The trait of a file whose bytes are read and written at offsets, here or by a job.
//! The store implements it for files on a disk, the tests for files in memory.
//!
//! ```text
//!              in memory: sendfile(2), or a copy
//!   readable ──────────────────────────────────────────────────────────▶ socket
//!       └── must wait: busy ── a job reads a piece ── readable: Bytes ────▲
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
    fn readable(&self, range: Range<u64>) -> io::Result<Readable<'_>>;
    /// Whether a job of this blob is running: until it is done, no other method is called.
    fn is_busy(&self) -> bool {
        false
    }
    /// Writes at an offset, like pwrite(2).
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at an offset; fails with `WriteZero` if a write takes no byte.
    fn write_all_at(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => (bytes, at) = (&bytes[count..], at + count as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
    /// Appends a range to `bytes` if it is short and in memory; otherwise returns `false` and
    /// appends nothing. Copying a few pages is cheaper than sendfile(2).
    fn append_short(&self, _range: &Range<u64>, _bytes: &mut Vec<u8>) -> bool {
        false
    }
    /// The descriptor for splice(2). A blob without one is copied through memory.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// What can be sent of a range.
pub enum Readable<'a> {
    /// This number of bytes at its front: they are in memory, and in the file of this descriptor.
    File(BorrowedFd<'a>, usize),
    /// These bytes at its front; none if the file is shorter than the range.
    Bytes(Box<dyn AsRef<[u8]> + 'a>),
    /// Nothing until a job has read it.
    Waits,
}
