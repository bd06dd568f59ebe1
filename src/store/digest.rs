//! The SHA-256 of a file, computed by jobs: those of other files run between two pieces. The work
//! ends with the session: at once if the peer resets the connection, but a peer that closes it may
//! only have ended its own stream. So the time is limited, too.

use super::disk_file::DiskFile;
use super::workers::{JobKind, Workers};
use super::{FileDigest, FileVersion, StoreReply, StoreSettings};
use crate::session::session_id::SessionId;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::Instant;

/// Computes the digest of the first `length` bytes, or of all. `version` is that of the open file.
pub(super) fn start(
    file: DiskFile,
    version: FileVersion,
    length: Option<u64>,
    workers: &Workers,
    settings: &StoreSettings,
    session: SessionId,
) -> StoreReply<FileDigest> {
    let length = length.unwrap_or(version.length);
    if length > version.length {
        return Pending::Ready(Err(StoreError::TooShort(version.length)));
    }
    let lane = file.place.lane(JobKind::Digests);
    if let Err(error) = workers.check(lane) {
        return Pending::Ready(Err(error));
    }
    let (step, read, time) = (
        settings.digest_step,
        settings.copy_step,
        settings.digest_time,
    );
    let (mut hasher, mut at, begin) = (Sha256::new(), 0, Instant::now());
    workers.spawn_until(lane, session, move || {
        if begin.elapsed() >= time {
            return Some(Err(StoreError::TooSlow(time)));
        }
        let end = length.min(at + step);
        if let Err(error) = hash(file.get(), &mut hasher, at..end, read) {
            return Some(Err(error));
        }
        at = end;
        (at == length).then(|| {
            let now = rustix::fs::fstat(&**file.get())?;
            match FileVersion::from(now) == version {
                true => Ok(FileDigest {
                    sha256: hasher.finalize_reset().into(),
                    version,
                }),
                false => Err(StoreError::Changed),
            }
        })
    })
}

fn hash(
    file: &File,
    hasher: &mut Sha256,
    range: Range<u64>,
    read: usize,
) -> Result<(), StoreError> {
    let Range { start: mut at, end } = range;
    // Not kept between two pieces: many digests may wait.
    let mut buffer = vec![0; read];
    while at < end {
        let most = buffer.len().min((end - at) as usize);
        match file.read_at(&mut buffer[..most], at) {
            Ok(0) => return Err(StoreError::Changed),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                at += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
