//! The buffers for pieces of files that jobs read. Their number is bounded; a job waits for one.

use super::BufferLimits;
use memmap2::MmapMut;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The buffers. A buffer in use belongs to a job, or to the blob whose session is about to send it.
pub(super) struct Buffers {
    limits: BufferLimits,
    state: Mutex<BuffersState>,
    returned: Condvar,
}

#[derive(Default)]
struct BuffersState {
    /// Anonymous mappings, which go back to the kernel when dropped.
    free: Vec<MmapMut>,
    used: usize,
}

impl Buffers {
    /// No buffer is allocated yet.
    pub fn new(limits: BufferLimits) -> Arc<Buffers> {
        Arc::new(Buffers {
            limits,
            state: Mutex::default(),
            returned: Condvar::new(),
        })
    }

    /// Fills a buffer by `read`, which returns the number of bytes. Waits for a free one.
    pub fn fill(
        self: &Arc<Self>,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Piece> {
        let mut state = self.lock();
        while state.used == self.limits.count {
            state = self
                .returned
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let buffer = match state.free.pop() {
            Some(buffer) => buffer,
            None => MmapMut::map_anon(self.limits.size)?,
        };
        state.used += 1;
        drop(state);
        let mut piece = Piece {
            buffer: Some(buffer),
            length: 0,
            home: self.clone(),
        };
        piece.length = read(piece.buffer.as_mut().expect("it is not dropped"))?;
        Ok(piece)
    }

    fn lock(&self) -> MutexGuard<'_, BuffersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes that were read. Dropping it returns the buffer.
pub(super) struct Piece {
    /// `Some` until drop.
    buffer: Option<MmapMut>,
    length: usize,
    home: Arc<Buffers>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.buffer.as_ref().expect("it is not dropped")[..self.length]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut state = self.home.lock();
        state.used -= 1;
        let buffer = self.buffer.take().expect("it is dropped once");
        if state.free.len() < self.home.limits.kept {
            state.free.push(buffer);
        }
        self.home.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_reader_waits_for_a_free_buffer() {
        let buffers = Buffers::new(BufferLimits {
            count: 2,
            kept: 1,
            size: 4096,
        });
        let fill = |buffers: &Arc<Buffers>, byte| {
            let read = |into: &mut [u8]| {
                into[..3].fill(byte);
                Ok(3)
            };
            buffers.fill(read).unwrap()
        };
        let (first, second) = (fill(&buffers, b'a'), fill(&buffers, b'b'));
        let waiting = buffers.clone();
        let third = thread::spawn(move || fill(&waiting, b'c').as_ref().to_vec());
        assert_eq!(
            (first.as_ref(), second.as_ref()),
            (&b"aaa"[..], &b"bbb"[..])
        );
        drop(first);
        assert_eq!(third.join().unwrap(), b"ccc");
        let failed = buffers.fill(|_| Err(io::ErrorKind::Other.into()));
        assert!(failed.is_err());
        assert_eq!(buffers.lock().used, 1, "a failed read returns its buffer");
    }
}
