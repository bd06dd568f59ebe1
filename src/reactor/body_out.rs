//! Sends a piece of a blob down a socket, with `sendfile(2)` or by reading and writing.
//! Keeps no position: the outbox knows what has been sent.

use crate::session::world::Blob;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// Hands up to `most` bytes to the kernel without copying them. 0 says that the file ends at `at`.
///
/// A page that is not in memory blocks the thread while the disk reads it: the step bounds that,
/// it does not remove it.
pub fn send(socket: impl AsFd, blob: impl AsFd, at: u64, most: usize) -> io::Result<usize> {
    let mut at = at;
    Ok(rustix::fs::sendfile(socket, blob, Some(&mut at), most)?)
}

/// The plain twin: what the socket does not take is read again next time.
pub fn copy(
    socket: &mut impl Write,
    blob: &dyn Blob,
    at: u64,
    most: usize,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let most = most.min(buffer.len());
    match blob.read_at(&mut buffer[..most], at)? {
        0 => Ok(0),
        count => socket.write(&buffer[..count]),
    }
}
