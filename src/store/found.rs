//! What the store has found out about a path before it opens the file.

use super::FileVersion;
use super::place::Place;
use rustix::fs::{FileType, Statx};
use std::os::fd::OwnedFd;

/// What the caches of the kernel know about a path.
pub(super) struct Cached {
    /// The file; `None` for the root, and if it was not found.
    pub found: Option<Found>,
    /// Whether the answer is known, be it an error.
    pub is_known: bool,
    /// Of the file, or of its last folder that the caches know.
    pub place: Place,
}

/// A file that was found.
pub(super) struct Found {
    /// A descriptor with O_PATH.
    pub fd: OwnedFd,
    /// What it is: a file, a folder, or something else.
    pub kind: FileType,
    /// Its inode, length and time.
    pub version: FileVersion,
    /// Where it is.
    pub place: Place,
}

impl Found {
    /// What the open descriptor and its metadata tell.
    pub fn new(fd: OwnedFd, stat: &Statx, place: Place) -> Found {
        Found {
            fd,
            kind: FileType::from_raw_mode(stat.stx_mode.into()),
            version: stat.into(),
            place,
        }
    }
}
