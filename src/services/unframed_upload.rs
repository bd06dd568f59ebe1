//! Receives an upload without a delimiter between its size and its data, and finds the size at the
//! end of the stream.
//!
//! All digits are taken for the size. If the data itself begins with digits, these are missing at
//! the front of the file, and the commit inserts them.

use crate::session::protocol::Receive;
use crate::store::Upload;
use crate::wire::ambiguous_size::Digits;

/// An upload whose size is not known before its end.
pub struct UnframedUpload {
    upload: Box<dyn Upload>,
    digits: Digits,
    /// One byte more than the largest size, so that a body that is too long is detected.
    most: u64,
}

impl UnframedUpload {
    /// Begins to receive, for the longest reading of the digits.
    pub fn new(upload: Box<dyn Upload>, digits: Digits) -> (UnframedUpload, Box<Receive>) {
        let most = digits.largest() + 1;
        let receive = Receive::new(upload.blob(), most);
        (
            UnframedUpload {
                upload,
                digits,
                most,
            },
            receive,
        )
    }

    /// Finds the size at the end of the stream, `missing` bytes before the longest reading ends.
    /// Returns the upload and the digits that belong in front of it, or `None` if no size fits.
    pub fn solve(self, missing: u64) -> Option<(Box<dyn Upload>, Vec<u8>)> {
        let digits = self.digits.text();
        let stored = self.most - missing;
        let length = self.digits.solve(digits.len() as u64 + stored)?;
        Some((self.upload, digits[length..].into()))
    }
}
