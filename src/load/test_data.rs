//! The bytes that are sent, and the comparison with the bytes that come back.

use crate::session::blob::{Blob, Readable};
use crate::session::outbox::Outbox;
use rustix::fs::MemfdFlags;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::AsFd;
use std::rc::Rc;

/// Pseudo-random bytes that repeat. The period is prime: if a server stores or sends a piece at an
/// offset that is wrong by a multiple of its buffer size, the bytes differ.
pub struct TestData {
    bytes: Box<[u8]>,
    /// The same bytes in a memory file, for `sendfile(2)`.
    file: Rc<dyn Blob>,
}

struct MemoryFile(File);

impl Blob for MemoryFile {
    fn readable(&self, range: Range<u64>) -> io::Result<Readable<'_>> {
        let count = (range.end - range.start) as usize;
        Ok(Readable::File(self.0.as_fd(), count))
    }
}

impl TestData {
    /// Test data with this period in bytes.
    pub fn new(period: usize) -> io::Result<TestData> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut step = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        let bytes: Box<[u8]> = (0..period).map(|_| step()).collect();
        let mut file = File::from(rustix::fs::memfd_create("load", MemfdFlags::CLOEXEC)?);
        file.write_all(&bytes)?;
        Ok(TestData {
            bytes,
            file: Rc::new(MemoryFile(file)),
        })
    }

    /// Copies `length` bytes from the offset `at` into the outbox.
    pub fn write(&self, at: u64, length: u64, out: &mut Outbox) {
        for piece in self.pieces(at, length) {
            out.bytes(&self.bytes[piece]);
        }
    }

    /// Queues the same bytes for `sendfile(2)`, without a copy.
    pub fn send(&self, at: u64, length: u64, out: &mut Outbox) {
        for piece in self.pieces(at, length) {
            out.body(self.file.clone(), piece.start as u64..piece.end as u64);
        }
    }

    /// Writes the first `length` bytes to a file for a server: `loket load http --path` recognizes
    /// them.
    pub fn fill(&self, file: &mut impl Write, length: u64) -> io::Result<()> {
        for piece in self.pieces(0, length) {
            file.write_all(&self.bytes[piece])?;
        }
        Ok(())
    }

    /// The index of the first byte of `found` that differs from the bytes at the offset `at`.
    pub fn difference(&self, at: u64, found: &[u8]) -> Option<usize> {
        let mut rest = found;
        for piece in self.pieces(at, found.len() as u64) {
            let (front, behind) = rest.split_at(piece.len());
            let wanted = &self.bytes[piece];
            if front != wanted {
                let same = front.iter().zip(wanted).take_while(|(a, b)| a == b);
                return Some(found.len() - rest.len() + same.count());
            }
            rest = behind;
        }
        None
    }

    /// The bytes at the offset `at` as letters and digits.
    pub fn text(&self, at: u64, length: usize) -> String {
        let letters = b"abcdefghijklmnopqrstuvwxyz234567";
        let pieces = self.pieces(at, length as u64);
        let bytes = pieces.flat_map(|piece| &self.bytes[piece]);
        bytes
            .map(|byte| char::from(letters[usize::from(byte % 32)]))
            .collect()
    }

    fn pieces(&self, at: u64, length: u64) -> impl Iterator<Item = Range<usize>> {
        let period = self.bytes.len();
        let mut start = (at % period as u64) as usize;
        let mut left = length;
        std::iter::from_fn(move || {
            let count = left.min((period - start) as u64) as usize;
            let piece = start..start + count;
            (start, left) = (0, left - count as u64);
            (count > 0).then_some(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_found_also_across_the_end_of_the_period() {
        let data = TestData::new(101).expect("memory");
        let mut found = [&data.bytes[90..], &data.bytes[..], &data.bytes[..9]].concat();
        assert_eq!(data.difference(90, &found), None);
        assert_eq!(data.difference(90 + 101 * 7, &found), None);
        for offset in [0, 10, 11, 111, 112, 120] {
            found[offset] ^= 1;
            assert_eq!(data.difference(90, &found), Some(offset));
            found[offset] ^= 1;
        }
    }

    #[test]
    fn a_body_and_a_copy_of_the_same_offset_have_the_same_length() {
        let data = TestData::new(101).expect("memory");
        let mut copied = Outbox::default();
        data.write(77, 300, &mut copied);
        let mut sent = Outbox::default();
        data.send(77, 300, &mut sent);
        assert_eq!(copied.pending(), 300);
        assert_eq!(sent.body_left(), 300);
    }
}
