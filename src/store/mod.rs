//! Named files below one root, as traits, and the store that keeps them on a disk.

pub mod backlog;
pub mod error;
pub mod file_blob;
pub mod file_store;
pub mod listing;
pub mod part_name;
pub mod pending;
pub mod root;
pub mod upload;
pub mod workers;

use self::error::StoreError;
use self::pending::Pending;
use crate::session::blob::Blob;
use crate::session::session_id::SessionId;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

/// Named files below one root. What has to wait for a disk is done beside the loop: the session
/// that asked is among the completions when its [`Pending`] is worth asking again.
pub trait Store {
    /// Opens a file for reading.
    fn open(&self, name: &str, client: Requester) -> Reply<Content>;
    /// Tells the length of a file.
    fn size(&self, name: &str, client: Requester) -> Reply<u64>;
    /// Removes a file.
    fn remove(&self, name: &str, client: Requester) -> Reply<()>;
    /// Begins a file that nobody sees until it is committed; `size` where it is known beforehand.
    fn create(&self, name: &str, size: Option<u64>, client: Requester) -> Reply<Box<dyn Upload>>;
    /// The largest file that may be stored, in bytes.
    fn largest(&self) -> u64;
    /// Makes the list of a folder, a line an entry; `None` is the root. Sorted; folders end in `/`.
    fn list(&self, folder: Option<&str>, client: Requester) -> Reply<Content>;
}

/// What the store says to a question.
pub type Reply<T> = Pending<Result<T, StoreError>>;

/// Bytes to be read, and how many there are.
pub type Content = (Rc<dyn Blob>, u64);

/// The session that asks.
#[derive(Debug, Clone, Copy)]
pub struct Requester {
    /// Its name for the completions.
    pub session: SessionId,
    /// Where its peer comes from.
    pub address: IpAddr,
}

/// A file on its way in. Dropping it discards it.
pub trait Upload {
    /// Where its bytes belong.
    fn blob(&self) -> Rc<dyn Blob>;
    /// Makes it visible under its name, whole and at once, with `front` before what came. Done
    /// means that the bytes and the name outlive a power cut, where the owner of the store wants
    /// that. Dropping the reply does not take it back.
    fn commit(self: Box<Self>, front: &[u8], client: Requester) -> Reply<()>;
}

/// What the owner of the store decides.
#[derive(Debug, Clone, Copy)]
pub struct StoreSettings {
    /// Refuse everything that would change a file.
    pub read_only: bool,
    /// The largest file taken, in bytes.
    pub largest: u64,
    /// What is stored outlives a power cut before that is said.
    pub sync: bool,
    /// Uploads that may wait for one sync of their folder.
    pub batch: usize,
    /// A body of at most so many bytes is copied into the reply.
    pub short: u64,
    /// Closing a file of at least so many bytes is left to a helper.
    pub heavy: u64,
    /// Bytes that are moved at once where a file lacks its front.
    pub copy_step: usize,
    /// Uploads and removals under way whose peers are gone.
    pub backlog: BacklogLimits,
    /// Bounds of `ls`.
    pub listing: ListingLimits,
}

/// How much may be in the backlog before more is refused.
#[derive(Debug, Clone, Copy)]
pub struct BacklogLimits {
    /// Of one client network.
    pub network: usize,
    /// Of all.
    pub all: usize,
}

/// Bounds of `ls`.
#[derive(Debug, Clone, Copy)]
pub struct ListingLimits {
    /// Entries read or merged in one piece of work.
    pub step: usize,
    /// Entries of one folder.
    pub entries: usize,
    /// Bytes of a list that is copied into the reply.
    pub short: usize,
    /// A helper frees a list of at least this many bytes.
    pub heavy: u64,
    /// Bytes that all lists in files may hold together: at least the largest one.
    pub memory: u64,
    /// Two changes of a folder within this time may have the same time stamp.
    pub tick: Duration,
    /// The same where time stamps are whole seconds.
    pub coarse_tick: Duration,
}
