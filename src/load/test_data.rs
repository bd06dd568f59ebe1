//! Makes the bytes that are sent, and finds the first of those that came back changed.

use crate::session::blob::Blob;
use crate::session::outbox::Outbox;
use rustix::fs::MemfdFlags;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// Noise that repeats. The period is a prime: a piece that a server stored or sent at another
/// place, off by a step of its own, meets other bytes there.
pub struct Pattern {
    bytes: Box<[u8]>,
    /// The same in a file that only this process knows, for `sendfile(2)`.
    file: Rc<dyn Blob>,
}

struct MemoryFile(OwnedFd);

impl Blob for MemoryFile {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        Ok(rustix::io::pread(&self.0, into, at)?)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        Ok(rustix::io::pwrite(&self.0, bytes, at)?)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

impl Pattern {
    /// Noise of this period.
    pub fn new(period: usize) -> io::Result<Pattern> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut step = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        let bytes: Box<[u8]> = (0..period).map(|_| step()).collect();
        let file = MemoryFile(rustix::fs::memfd_create("load", MemfdFlags::CLOEXEC)?);
        file.write_all_at(&bytes, 0)?;
        Ok(Pattern {
            bytes,
            file: Rc::new(file),
        })
    }

    /// Writes so many bytes from a place on into memory.
    pub fn write(&self, at: u64, length: u64, out: &mut Outbox) {
        for piece in self.pieces(at, length) {
            out.bytes(&self.bytes[piece]);
        }
    }

    /// Hands them out without copying.
    pub fn send(&self, at: u64, length: u64, out: &mut Outbox) {
        for piece in self.pieces(at, length) {
            out.body(self.file.clone(), piece.start as u64..piece.end as u64);
        }
    }

    /// Where in `found`, which should be what stands at a place, the first other byte is.
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

    /// As text: letters and digits that say the same.
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
    fn a_changed_byte_is_found_at_its_place_also_behind_the_period() {
        let pattern = Pattern::new(101).expect("memory");
        let mut found = [
            &pattern.bytes[90..],
            &pattern.bytes[..],
            &pattern.bytes[..9],
        ]
        .concat();
        assert_eq!(pattern.difference(90, &found), None);
        assert_eq!(pattern.difference(90 + 101 * 7, &found), None);
        for place in [0, 10, 11, 111, 112, 120] {
            found[place] ^= 1;
            assert_eq!(pattern.difference(90, &found), Some(place));
            found[place] ^= 1;
        }
    }

    #[test]
    fn a_body_and_a_copy_of_the_same_place_are_the_same() {
        let pattern = Pattern::new(101).expect("memory");
        let mut copied = Outbox::default();
        pattern.write(77, 300, &mut copied);
        let mut sent = Outbox::default();
        pattern.send(77, 300, &mut sent);
        assert_eq!(copied.pending(), 300);
        assert_eq!(sent.body_left(), 300);
    }
}
