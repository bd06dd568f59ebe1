//! Moves a stored upload up in its file, to make room for digits that were data after all.
//! Does a bounded piece at a time and commits nothing.

use crate::session::world::Upload;
use std::io;

/// An upload that begins with digits which were taken for its size.
pub struct Alignment {
    upload: Box<dyn Upload>,
    /// The digits that are data.
    lost: Box<[u8]>,
    /// Bytes that still stand too low, by the number of lost digits.
    left: u64,
}

impl Alignment {
    /// `stored` bytes stand at the front of the upload, where `lost` should stand before them.
    pub fn new(upload: Box<dyn Upload>, lost: &[u8], stored: u64) -> Alignment {
        Alignment {
            upload,
            lost: lost.into(),
            left: stored,
        }
    }

    /// Moves the last bytes that stand too low, at most `most` of them; `true` when all stand
    /// right. From the end, so that nothing is overwritten before it has moved.
    pub fn step(&mut self, most: usize) -> io::Result<bool> {
        let blob = self.upload.blob();
        let count = self.left.min(most as u64);
        let mut bytes = vec![0; count as usize];
        let from = self.left - count;
        blob.read_exact_at(&mut bytes, from)?;
        blob.write_all_at(&bytes, from + self.lost.len() as u64)?;
        self.left = from;
        if from == 0 {
            blob.write_all_at(&self.lost, 0)?;
        }
        Ok(from == 0)
    }

    /// The upload, to be committed.
    pub fn into_upload(self) -> Box<dyn Upload> {
        self.upload
    }
}
