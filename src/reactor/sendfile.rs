//! Sends a piece of a blob down a socket, with `sendfile(2)` or by reading and writing.

use super::io::Sent;
use crate::session::blob::Blob;
use rustix::io::{Errno, ReadWriteFlags};
use std::io::{self, IoSliceMut, Write};
use std::os::fd::AsFd;

/// Hands up to `most` bytes to the kernel without copying them. 0 says that the file ends at `at`.
///
/// A page that is not in memory would block the thread while the disk reads it. So it is asked
/// first how far the pages are there; where they are not, the question makes the kernel read ahead.
pub fn send(
    socket: impl AsFd,
    file: impl AsFd,
    at: u64,
    most: usize,
    probe_step: usize,
) -> io::Result<Sent> {
    let warm = warm_part(&file, at, most, probe_step);
    if warm == 0 {
        return Ok(Sent::Cold);
    }
    let mut at = at;
    let sent = rustix::fs::sendfile(socket, file, Some(&mut at), warm)?;
    Ok(Sent::Bytes(sent))
}

/// How many of the `most` bytes can be sent without waiting for the disk. Files are read in order:
/// where the last page is there, those before it are.
fn warm_part(file: &impl AsFd, at: u64, most: usize, probe_step: usize) -> usize {
    if is_warm(file, at + most as u64 - 1) {
        return most;
    }
    let pieces = (0..most).step_by(probe_step);
    pieces
        .take_while(|piece| is_warm(file, at + *piece as u64))
        .last()
        .map_or(0, |piece| most.min(piece + probe_step))
}

/// Reads a byte in a way that does not wait (`preadv2(2)` with `RWF_NOWAIT`).
fn is_warm(file: &impl AsFd, at: u64) -> bool {
    let mut byte = [0];
    let mut into = [IoSliceMut::new(&mut byte)];
    // What cannot say (tmpfs, EOPNOTSUPP) is always in memory; errors are sendfile's to tell.
    rustix::io::preadv2(file, &mut into, at, ReadWriteFlags::NOWAIT) != Err(Errno::AGAIN)
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
