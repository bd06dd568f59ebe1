//! Errors of store operations, and their texts for clients.

use rustix::io::Errno;
use std::fmt;
use std::io;
use std::time::Duration;

/// Why a store operation failed.
#[derive(Debug, Clone)]
pub enum StoreError {
    /// The file does not exist, or the name leads out of the root.
    NotFound,
    /// The name belongs to a pipe, a socket or a device.
    NotAFile,
    /// The name belongs to a folder.
    Folder,
    /// The name belongs to something that must not be replaced.
    Exists,
    /// The file has only this number of bytes.
    TooShort(u64),
    /// The file was changed while it was read.
    Changed,
    /// The digest takes longer than this time.
    TooSlow(Duration),
    /// The server was started with `--read-only`.
    ReadOnly,
    /// The file would be larger than the limit carried here, in bytes.
    TooLarge(u64),
    /// The disk is full.
    NoSpace,
    /// All files together would hold more than they may.
    Full {
        /// The most bytes that they may hold.
        limit: u64,
        /// How many more they may hold now.
        free: u64,
    },
    /// The files could not be counted.
    Uncounted,
    /// The user of the server lacks the permission.
    Denied,
    /// The name is too long for the file system, or is reserved for the server.
    BadName,
    /// The folder does not exist.
    NoFolder,
    /// A folder cannot be moved into itself.
    IntoItself,
    /// The new name is on another file system.
    OtherDevice,
    /// The new name of a file ends with a slash.
    SlashOfFile,
    /// The root folder was removed.
    RootRemoved,
    /// Too many unfinished jobs of closed connections from this network.
    Backlog,
    /// Too many files or lists are open.
    Busy,
    /// The disk is too slow: this number of requests wait for it.
    DiskBusy(usize),
    /// The folder has more entries than the limit carried here.
    TooManyEntries(usize),
    /// Any other error of the system.
    Other(io::ErrorKind),
}

impl fmt::Display for StoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::NotFound => write!(out, "there is no such file"),
            StoreError::NotAFile | StoreError::Folder => write!(out, "it is not a regular file"),
            StoreError::Exists => write!(out, "the name is taken already"),
            StoreError::TooShort(length) => write!(out, "the file has only {length} bytes"),
            StoreError::Changed => write!(out, "the file was changed meanwhile; try again"),
            StoreError::TooSlow(limit) => {
                let seconds = limit.as_secs();
                write!(
                    out,
                    "it takes longer than {seconds} s; try fewer bytes, or try later"
                )
            }
            StoreError::ReadOnly => write!(out, "this server is read-only"),
            StoreError::TooLarge(limit) => {
                write!(
                    out,
                    "the file is too large; at most {limit} bytes are taken"
                )
            }
            StoreError::NoSpace => write!(out, "there is no space left for the file"),
            StoreError::Full { limit, free } => write!(
                out,
                "there is no space left for the file: all files together may have at most {limit} \
                 bytes, and {free} are free"
            ),
            StoreError::Uncounted => write!(
                out,
                "it is not known how much the files hold; try again later"
            ),
            StoreError::Denied => write!(out, "the server has no permission for it"),
            StoreError::BadName => write!(out, "the name cannot be used"),
            StoreError::NoFolder => write!(out, "there is no such folder"),
            StoreError::IntoItself => write!(out, "a folder cannot be moved into itself"),
            StoreError::OtherDevice => write!(
                out,
                "the new name is on another file system; download it, upload it there, and then \
                 remove it here"
            ),
            StoreError::SlashOfFile => {
                write!(out, "only the name of a folder may end with a slash")
            }
            StoreError::Backlog => write!(
                out,
                "earlier uploads from your network are still being stored; try again later"
            ),
            StoreError::RootRemoved => write!(
                out,
                "the folder that is served was removed; the server must be started again"
            ),
            StoreError::Busy => write!(out, "too much is open at this moment; try again later"),
            StoreError::DiskBusy(waiting) => write!(
                out,
                "the disk does not answer and {waiting} requests wait for it; try again later"
            ),
            StoreError::TooManyEntries(limit) => {
                write!(out, "the folder has more than {limit} entries")
            }
            StoreError::Other(kind) => write!(out, "the file system failed: {kind}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> StoreError {
        if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref()) {
            return StoreError::clone(error);
        }
        // cap-std reports a name that leaves the root as an error without a number. The answer
        // is that there is no such file.
        let Some(errno) = Errno::from_io_error(&error) else {
            return match error.kind() {
                io::ErrorKind::PermissionDenied => StoreError::NotFound,
                _ => StoreError::Other(error.kind()),
            };
        };
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP => StoreError::NotFound,
            Errno::ISDIR => StoreError::Folder,
            Errno::NXIO => StoreError::NotAFile,
            Errno::EXIST => StoreError::Exists,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => StoreError::Denied,
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => StoreError::NoSpace,
            Errno::NAMETOOLONG | Errno::INVAL => StoreError::BadName,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => StoreError::Busy,
            _ => StoreError::Other(error.kind()),
        }
    }
}

/// An upload that fails in the middle reports this as an error of its file.
impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> io::Error {
        io::Error::other(error)
    }
}

impl From<Errno> for StoreError {
    fn from(errno: Errno) -> StoreError {
        StoreError::from(io::Error::from(errno))
    }
}
