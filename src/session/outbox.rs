//! The output queue of a session: bytes in memory and ranges of blobs, in order.
//! The turn sends from the front what fits into the socket.

use super::held::Held;
use crate::session::blob::Blob;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

/// A piece of output.
pub enum Segment {
    /// Bytes in memory.
    Bytes(Held),
    /// A range of a blob. Its start moves with the bytes that have been sent.
    Body(Rc<dyn Blob>, Range<u64>),
}

/// The front of an outbox.
pub enum Front<'a> {
    /// Bytes to write.
    Bytes(&'a [u8]),
    /// A range to send.
    Body(&'a Rc<dyn Blob>, Range<u64>),
}

/// A queue of output.
#[derive(Default)]
pub struct Outbox {
    /// Complete segments; `tail` follows them.
    queue: VecDeque<Segment>,
    /// New bytes are collected here, so that many small replies are sent by one write(2).
    tail: Vec<u8>,
    /// Bytes of the front segment that have been written.
    written: usize,
    /// Bytes in memory that have not been written.
    pending: usize,
    bodies: usize,
}

impl Outbox {
    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.pending += bytes.len();
    }

    /// Appends a range of a blob. A short range is copied as bytes, and an empty one ignored.
    pub fn body(&mut self, blob: Rc<dyn Blob>, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let before = self.tail.len();
        if blob.append_short(&range, &mut self.tail) {
            self.pending += self.tail.len() - before;
            return;
        }
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.queue.push_back(Segment::Bytes(Held::Heap(tail)));
        }
        self.queue.push_back(Segment::Body(blob, range));
        self.bodies += 1;
    }

    /// Bytes in memory that have not been written. Ranges of blobs do not count.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Whether a range of a blob is in the queue.
    pub fn has_body(&self) -> bool {
        self.bodies > 0
    }

    /// Bytes of all ranges in the queue.
    pub fn body_left(&self) -> u64 {
        let bodies = self.queue.iter().map(|segment| match segment {
            Segment::Bytes(_) => 0,
            Segment::Body(_, range) => range.end - range.start,
        });
        bodies.sum()
    }

    /// Bytes that have not been sent, of memory and of blobs.
    pub fn owed(&self) -> u64 {
        self.pending as u64 + self.body_left()
    }

    /// Whether all output has been sent.
    pub fn is_empty(&self) -> bool {
        self.pending == 0 && self.bodies == 0
    }

    /// The next output to send.
    pub fn front(&self) -> Option<Front<'_>> {
        match self.queue.front() {
            Some(Segment::Bytes(bytes)) => Some(Front::Bytes(&bytes[self.written..])),
            Some(Segment::Body(blob, range)) => Some(Front::Body(blob, range.clone())),
            None if self.tail.len() > self.written => {
                Some(Front::Bytes(&self.tail[self.written..]))
            }
            None => None,
        }
    }

    /// Removes the first `count` bytes of the front, which have been sent.
    pub fn advance(&mut self, count: usize) {
        match self.queue.front_mut() {
            Some(Segment::Bytes(bytes)) => {
                self.written += count;
                self.pending -= count;
                if self.written == bytes.len() {
                    self.queue.pop_front();
                    self.written = 0;
                }
            }
            Some(Segment::Body(_, range)) => {
                range.start += count as u64;
                assert!(range.start <= range.end, "sent past the end of a body");
                if range.is_empty() {
                    self.queue.pop_front();
                    self.bodies -= 1;
                }
            }
            None => self.advance_tail(count),
        }
    }

    fn advance_tail(&mut self, count: usize) {
        self.written += count;
        self.pending -= count;
        if self.pending == 0 {
            self.tail.clear();
            self.written = 0;
        } else if self.written > self.tail.len() / 2 {
            // Without this, a reader that is always a little behind would make the tail grow.
            self.tail.drain(..self.written);
            self.written = 0;
        }
    }

    /// Frees the memory that the rest of the output does not need.
    pub fn compact(&mut self) {
        if self.queue.is_empty() {
            self.tail.drain(..std::mem::take(&mut self.written));
        }
        match Held::new(std::mem::take(&mut self.tail)) {
            Held::Heap(bytes) => self.tail = bytes,
            pages => self.queue.push_back(Segment::Bytes(pages)),
        }
        for segment in &mut self.queue {
            if let Segment::Bytes(bytes) = segment {
                bytes.compact();
            }
        }
        self.queue.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::blob::Readable;

    fn drain(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(front) = outbox.front() {
            let count = match front {
                Front::Bytes(bytes) => {
                    let count = bytes.len().min(step);
                    all.extend_from_slice(&bytes[..count]);
                    count
                }
                Front::Body(blob, range) => {
                    let most = step.min((range.end - range.start) as usize) as u64;
                    let Readable::Bytes(piece) = blob
                        .readable(range.start..range.start + most)
                        .expect("memory")
                    else {
                        unreachable!("it is in memory")
                    };
                    all.extend_from_slice((*piece).as_ref());
                    (*piece).as_ref().len()
                }
            };
            outbox.advance(count);
        }
        all
    }

    struct Memory(Vec<u8>);

    impl Blob for Memory {
        fn readable(&self, range: Range<u64>) -> std::io::Result<Readable<'_>> {
            let bytes = &self.0[range.start as usize..range.end as usize];
            Ok(Readable::Bytes(Box::new(bytes)))
        }
        fn append_short(&self, range: &Range<u64>, bytes: &mut Vec<u8>) -> bool {
            let short = range.end - range.start <= 3;
            if short {
                bytes.extend_from_slice(&self.0[range.start as usize..range.end as usize]);
            }
            short
        }
    }

    #[test]
    fn a_short_body_is_sent_together_with_its_header() {
        let mut outbox = Outbox::default();
        outbox.bytes(b"header ");
        outbox.body(Rc::new(Memory(b"0123456789".to_vec())), 2..5);
        assert!(!outbox.has_body());
        assert_eq!(outbox.pending(), 10);
        assert!(matches!(outbox.front(), Some(Front::Bytes(b"header 234"))));
        outbox.body(Rc::new(Memory(b"0123456789".to_vec())), 2..6);
        assert!(outbox.has_body());
        assert_eq!(drain(&mut outbox, 4), b"header 2342345");
    }

    #[test]
    fn header_body_and_trailer_are_sent_in_order_with_any_step() {
        for step in 1..12 {
            let mut outbox = Outbox::default();
            outbox.bytes(b"head ");
            outbox.bytes(b"er ");
            outbox.body(Rc::new(Memory(b"0123456789".to_vec())), 2..8);
            outbox.body(Rc::new(Memory(Vec::new())), 0..0);
            outbox.bytes(b" trailer");
            assert_eq!(outbox.pending(), 16);
            assert_eq!(drain(&mut outbox, step), b"head er 234567 trailer");
            assert!(outbox.is_empty());
        }
    }

    #[test]
    fn memory_does_not_grow_with_a_reader_that_is_always_behind() {
        let mut outbox = Outbox::default();
        outbox.bytes(&[0; 1000]);
        for _ in 0..10_000 {
            outbox.bytes(&[0; 500]);
            outbox.advance(500);
        }
        assert_eq!(outbox.pending(), 1000);
        assert!(
            outbox.tail.capacity() < 10_000,
            "{}",
            outbox.tail.capacity()
        );
    }
}
