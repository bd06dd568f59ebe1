//! The bytes of one file, as a trait.
//! The store has files on a disk, the tests have some in memory.

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// The bytes of one file. Offsets are explicit: readers and writers share no position.
pub trait Blob {
    /// Reads at an offset, as `pread(2)` does; 0 is the end of the file.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes at an offset, as `pwrite(2)` does.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;
    /// Fills `into` from an offset on.
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
    /// Writes all of `bytes` at an offset.
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
    /// Appends a range to `bytes` if it is short and at hand; otherwise `false`, and nothing is.
    /// To copy a few pages is cheaper than to have the kernel send them.
    fn append_short(&self, _range: &Range<u64>, _bytes: &mut Vec<u8>) -> bool {
        false
    }
    /// The descriptor, for `sendfile(2)` and `splice(2)`; a blob without one goes the plain way.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}
