//! A blob without bytes: the kernel moves a body into it through a pipe, and copies nothing.

use crate::session::blob::{Blob, Taken};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// `/dev/null` as a blob.
pub struct Discard(File);

impl Discard {
    /// Opens it.
    pub fn new() -> io::Result<Discard> {
        File::options().write(true).open("/dev/null").map(Discard)
    }
}

impl Blob for Discard {
    fn write(&self, _: &[u8], _: u64) {}

    fn fill(
        &self,
        _: u64,
        take: &mut dyn FnMut() -> io::Result<Taken>,
    ) -> io::Result<Option<usize>> {
        match take()? {
            Taken::Bytes(bytes) => Ok(Some(bytes.len())),
            Taken::Carrier(count, carrier) => {
                carrier(self.0.as_fd())?;
                Ok(Some(count))
            }
        }
    }
}
