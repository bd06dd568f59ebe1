//! Names what a protocol may call: a store of files, given as traits.
//! Implements none of them: `services/store.rs` has the real one, the tests have one in memory.

use super::notice::{PeerId, Post};
use super::outbox::Outbox;
use super::protocol::Cx;
use rustix::io::Errno;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::task::Poll;

/// All that a session can reach beside its own peer.
pub struct World {
    /// The files.
    pub store: Box<dyn Store>,
    /// What sessions have to tell each other, to be delivered after the turn.
    pub posts: Vec<Post>,
    /// Whole seconds since the server started.
    pub now: u32,
    /// A session takes nothing in while it owes its peer this many bytes.
    pub high_water: usize,
    /// Protocols may be shown bytes so often before somebody else has a turn.
    pub calls: usize,
}

impl World {
    /// A world at its beginning, with nothing posted.
    pub fn new(store: Box<dyn Store>, high_water: usize) -> World {
        World {
            store,
            posts: Vec::new(),
            now: 0,
            high_water,
            calls: usize::MAX,
        }
    }

    /// What a protocol gets to see of it during one call.
    pub fn lend<'a>(&'a mut self, out: &'a mut Outbox, me: PeerId) -> Cx<'a> {
        Cx {
            out,
            store: &mut *self.store,
            posts: &mut self.posts,
            me,
            now: self.now,
        }
    }
}

/// The bytes of one file. Offsets are explicit: readers and writers share no position.
pub trait Blob {
    /// Reads at an offset, as `pread(2)` does; 0 is the end of the file.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes at an offset, as `pwrite(2)` does.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;
    /// Fills `into` from an offset on.
    fn read_exact_at(&self, mut into: &mut [u8], mut at: u64) -> io::Result<()> {
        while !into.is_empty() {
            match self.read_at(into, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => (into, at) = (&mut into[count..], at + count as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
    /// Writes all of `bytes` at an offset.
    fn write_all_at(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => (bytes, at) = (&bytes[count..], at + count as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
    /// Appends a range to `bytes` if it is short and at hand; otherwise `false`, and nothing is.
    /// To copy a few pages is cheaper than to have the kernel send them.
    fn append_short(&self, _range: &Range<u64>, _bytes: &mut Vec<u8>) -> bool {
        false
    }
    /// The descriptor, for `sendfile(2)` and `splice(2)`; a blob without one goes the plain way.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

/// Named files below one root. Opening a name that is at hand is quick on Linux, so these are
/// calls, not requests. What may wait for a disk is given the session that asks: where it answers
/// `Poll::Pending`, that session is among [`Store::finished`] when it is worth asking again.
pub trait Store {
    /// Where the peer comes from for whom the next file is begun or removed.
    fn serve(&mut self, _address: IpAddr) {}
    /// Has the disk asked for a name; `None` if it is at hand already. What is there, and whether
    /// anything is, the call that follows will see: nobody needs to ask twice.
    fn look_up(
        &mut self,
        name: &str,
        purpose: Purpose,
        for_peer: PeerId,
    ) -> Option<Box<dyn Errand>>;
    /// Opens a file for reading and tells its length.
    fn open(&mut self, name: &str) -> Result<(Rc<dyn Blob>, u64), StoreError>;
    /// Tells the length of a file.
    fn size(&mut self, name: &str) -> Result<u64, StoreError>;
    /// Removes a file: freeing what a big one held takes its time.
    fn remove(&mut self, name: &str, for_peer: PeerId) -> Result<Box<dyn Errand>, StoreError>;
    /// Begins a file that nobody sees until it is committed; `size` where it is known beforehand.
    fn create(&mut self, name: &str, size: Option<u64>) -> Result<Box<dyn Upload>, StoreError>;
    /// The largest file that may be stored, in bytes.
    fn largest(&self) -> u64;
    /// Asks for the list of a folder; `None` is the root.
    fn list(
        &mut self,
        folder: Option<&str>,
        for_peer: PeerId,
    ) -> Result<Box<dyn Listing>, StoreError>;
    /// Whose waits have come to an end since this was last asked.
    fn finished(&mut self) -> Vec<PeerId>;
    /// Called once a second as long as something happens: the store may look after itself.
    fn look_after(&mut self) {}
    /// From now on waits may be left to somebody else, who calls `wake` when one is over.
    fn wake_with(&mut self, wake: Box<dyn Fn() + Send>);
}

/// What a name is looked up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To open the file right after, for reading.
    Open,
    /// To look at what stands there, or to take it away.
    Look,
    /// To put a file there.
    Put,
}

/// Something that may have to wait for a disk. Dropping it does not take it back.
pub trait Errand {
    /// How it went, once that is known.
    fn poll(&mut self) -> Poll<Result<(), StoreError>>;
}

/// A file on its way in. Dropping it discards it.
pub trait Upload {
    /// Where its bytes belong.
    fn blob(&self) -> Rc<dyn Blob>;
    /// Makes it visible under its name, whole and at once. Done means that the bytes and the name
    /// outlive a power cut, where the owner of the store wants that.
    fn commit(self: Box<Self>, for_peer: PeerId) -> Box<dyn Errand>;
}

/// The text of a folder's list, a line an entry, and its length. Sorted; folders end in `/`.
pub type List = (Rc<dyn Blob>, u64);

/// A list on its way.
pub trait Listing {
    /// The list, once it is made.
    fn poll(&mut self) -> Poll<Result<List, StoreError>>;
}

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
