//! Why the store did not do what it was asked for.

use rustix::io::Errno;
use std::fmt;
use std::io;

/// Why the store did not do what it was asked for.
#[derive(Debug, Clone)]
pub enum StoreError {
    /// There is no such file, or the name leads out of the root.
    NotFound,
    /// It is a folder, a pipe, a socket or a device.
    NotAFile,
    /// The server was started with `--read-only`.
    ReadOnly,
    /// The file would be larger than the limit carried here, in bytes.
    TooLarge(u64),
    /// The disk has no room for it.
    NoSpace,
    /// The server's user may not do it.
    Denied,
    /// The name is longer than the file system takes, or is one of the server's own.
    BadName,
    /// There is no folder to put it in.
    NoFolder,
    /// The root itself is gone, for good.
    RootRemoved,
    /// Too much is still to be done for peers of this network that are gone.
    Backlog,
    /// Too many files or listings are open at this moment.
    Busy,
    /// The folder has more entries than the limit carried here.
    TooManyEntries(usize),
    /// Anything else that the system said.
    Other(io::ErrorKind),
}

impl fmt::Display for StoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::NotFound => write!(out, "there is no such file"),
            StoreError::NotAFile => write!(out, "it is not a regular file"),
            StoreError::ReadOnly => write!(out, "this server is read-only"),
            StoreError::TooLarge(limit) => {
                write!(
                    out,
                    "the file is too large; at most {limit} bytes are taken"
                )
            }
            StoreError::NoSpace => write!(out, "there is no space left for the file"),
            StoreError::Denied => write!(out, "the server has no permission for it"),
            StoreError::BadName => write!(out, "the name cannot be used"),
            StoreError::NoFolder => write!(out, "there is no such folder"),
            StoreError::Backlog => write!(
                out,
                "earlier uploads from your network are still being stored; try again later"
            ),
            StoreError::RootRemoved => write!(
                out,
                "the folder that is served was removed; the server must be started again"
            ),
            StoreError::Busy => write!(out, "too much is open at this moment; try again later"),
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
        // An error without a number is cap-std's word that the name would leave the root. To a
        // peer that is as if nothing were there.
        let Some(errno) = Errno::from_io_error(&error) else {
            return match error.kind() {
                io::ErrorKind::PermissionDenied => StoreError::NotFound,
                _ => StoreError::Other(error.kind()),
            };
        };
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP => StoreError::NotFound,
            Errno::ISDIR | Errno::NXIO => StoreError::NotAFile,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => StoreError::Denied,
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => StoreError::NoSpace,
            Errno::NAMETOOLONG | Errno::INVAL => StoreError::BadName,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => StoreError::Busy,
            _ => StoreError::Other(error.kind()),
        }
    }
}

impl From<Errno> for StoreError {
    fn from(errno: Errno) -> StoreError {
        StoreError::from(io::Error::from(errno))
    }
}
