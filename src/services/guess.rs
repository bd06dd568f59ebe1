//! Takes an upload whose size runs into its data, and mends it once the size is known.
//! Reads nothing and commits nothing: the transfer service does.
//!
//! All digits are taken for the size, which is right unless the data itself begins with digits.
//! Then those digits are missing at the front of the file, and what is stored moves up for them.

use crate::session::protocol::Receive;
use crate::store::Upload;
use crate::wire::puzzle::Digits;
use std::io;

/// An upload whose size is guessed.
pub struct Guess {
    upload: Box<dyn Upload>,
    digits: Digits,
    /// One more than the largest size: the byte too many shows that no size fits.
    most: u64,
}

/// What the end of the stream says about a guess.
pub enum Solved {
    /// All digits were the size: the upload is whole.
    Whole(Box<dyn Upload>),
    /// Some were data: the upload must be mended.
    Mend(Mending),
    /// No size fits what came.
    Nothing,
}

impl Guess {
    /// Begins with what the longest reading of the digits promises.
    pub fn new(upload: Box<dyn Upload>, digits: Digits) -> (Guess, Box<Receive>) {
        let most = digits.largest() + 1;
        let receive = Receive::new(upload.blob(), most);
        (
            Guess {
                upload,
                digits,
                most,
            },
            receive,
        )
    }

    /// Solves the puzzle, with so many bytes of the body still missing at the end of the stream.
    pub fn solve(self, missing: u64) -> Solved {
        let digits = self.digits.text();
        let stored = self.most - missing;
        match self.digits.solve(digits.len() as u64 + stored) {
            None => Solved::Nothing,
            Some(length) if length == digits.len() => Solved::Whole(self.upload),
            Some(length) => {
                let lost = digits[length..].into();
                Solved::Mend(Mending {
                    upload: self.upload,
                    lost,
                    left: stored,
                })
            }
        }
    }
}

/// An upload that lacks its first digits.
pub struct Mending {
    upload: Box<dyn Upload>,
    lost: Box<[u8]>,
    /// Bytes that still stand too low, by the number of lost digits.
    left: u64,
}

impl Mending {
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
