//! Takes an upload whose size runs into its data, and finds the size once all has come.
//!
//! All digits are taken for the size, which is right unless the data itself begins with digits.
//! Then those digits are missing at the front of the file, and the commit puts them there.

use crate::session::protocol::Receive;
use crate::store::Upload;
use crate::wire::ambiguous_size::Digits;

/// An upload whose size is guessed.
pub struct Guess {
    upload: Box<dyn Upload>,
    digits: Digits,
    /// One more than the largest size: the byte too many shows that no size fits.
    most: u64,
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
    /// The answer is the upload and the digits that belong in front of it; `None` if no size fits.
    pub fn solve(self, missing: u64) -> Option<(Box<dyn Upload>, Vec<u8>)> {
        let digits = self.digits.text();
        let stored = self.most - missing;
        let length = self.digits.solve(digits.len() as u64 + stored)?;
        Some((self.upload, digits[length..].into()))
    }
}
