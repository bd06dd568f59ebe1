//! Named files below one root, as traits, and the store that keeps them on a disk.
//! Knows no service and no reactor.

pub mod backlog;
pub mod error;
pub mod file_blob;
pub mod file_store;
pub mod listing;
pub mod part_name;
pub mod root;
pub mod upload;
pub mod workers;

use self::error::StoreError;
use crate::session::blob::Blob;
use crate::session::notice::PeerId;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Poll;

/// Named files below one root. Opening a name that is at hand is quick on Linux, so these are
/// calls, not requests. What may wait for a disk is given the session that asks: where it answers
/// `Poll::Pending`, that session is among the completions when it is worth asking again.
pub trait Store {
    /// Where the peer comes from for whom the next file is begun or removed.
    fn serve(&self, _address: IpAddr) {}
    /// Has the disk asked for a name; `None` if it is at hand already. What is there, and whether
    /// anything is, the call that follows will see: nobody needs to ask twice.
    fn look_up(&self, name: &str, purpose: Purpose, for_peer: PeerId) -> Option<Box<dyn Errand>>;
    /// Opens a file for reading and tells its length.
    fn open(&self, name: &str) -> Result<(Rc<dyn Blob>, u64), StoreError>;
    /// Tells the length of a file.
    fn size(&self, name: &str) -> Result<u64, StoreError>;
    /// Removes a file: freeing what a big one held takes its time.
    fn remove(&self, name: &str, for_peer: PeerId) -> Result<Box<dyn Errand>, StoreError>;
    /// Begins a file that nobody sees until it is committed; `size` where it is known beforehand.
    fn create(&self, name: &str, size: Option<u64>) -> Result<Box<dyn Upload>, StoreError>;
    /// The largest file that may be stored, in bytes.
    fn largest(&self) -> u64;
    /// Asks for the list of a folder; `None` is the root.
    fn list(&self, folder: Option<&str>, for_peer: PeerId) -> Result<Box<dyn Listing>, StoreError>;
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
