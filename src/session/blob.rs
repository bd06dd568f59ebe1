//! The trait of a file whose bytes are read and written at offsets.
//! The store implements it for files on a disk, the tests for files in memory.

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// The bytes of one file. There is no file position, so readers and writers do not disturb each
/// other.
pub trait Blob {
    /// Reads at an offset, like pread(2); 0 is the end of the file.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes at an offset, like pwrite(2).
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;
    /// Fills `into` from an offset on; fails with `UnexpectedEof` at the end of the file.
    fn read_exact_at(&self, mut into: &mut [u8], mut at: u64) -> io::Result<()> {
        while !into.is_empty() {
            match self.read_at(into, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => (into, at) = (&mut into[count..], at + count as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
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
    /// The descriptor for sendfile(2) and splice(2). A blob without one is copied through memory.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}
