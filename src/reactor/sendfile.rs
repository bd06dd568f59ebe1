//! Sends a range of a file to a socket, by sendfile(2) or by read(2) and write(2).

use super::io::Sent;
use crate::session::blob::Blob;
use rustix::io::{Errno, ReadWriteFlags};
use std::io::{self, IoSliceMut, Write};
use std::os::fd::AsFd;

/// Sends up to `most` bytes without copying them. 0 bytes mean that the file ends at `at`.
///
/// sendfile(2) blocks on a page that is not in memory, until the disk has read it. So the pages are
/// probed first. A probe of a page that is not in memory makes the kernel read ahead.
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

/// How many of the `most` bytes are in memory. Files are read in order, so if the last page is in
/// memory, those before it are.
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

/// Reads one byte without blocking: preadv2(2) with `RWF_NOWAIT`.
fn is_warm(file: &impl AsFd, at: u64) -> bool {
    let mut byte = [0];
    let mut into = [IoSliceMut::new(&mut byte)];
    // tmpfs fails with EOPNOTSUPP, and is always in memory. Other errors come from sendfile again.
    rustix::io::preadv2(file, &mut into, at, ReadWriteFlags::NOWAIT) != Err(Errno::AGAIN)
}

/// Sends by read and write. Bytes that do not fit into the socket are read again next time.
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
