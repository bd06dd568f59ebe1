//! The file store: the traits that services use, and the implementation on a disk.

pub mod backlog;
mod buffers;
mod cold_files;
mod digest;
mod disk_file;
mod entry;
pub mod error;
pub mod features;
pub mod file_blob;
pub mod file_store;
mod found;
mod lanes;
pub mod listing;
mod open_files;
pub mod part_name;
pub mod pending;
pub mod place;
pub mod quota;
pub mod root;
mod shared_files;
mod slots;
mod sync_batch;
pub mod upload;
mod walk;
pub mod workers;

use self::error::StoreError;
use self::pending::Pending;
use self::quota::Usage;
use crate::session::blob::Blob;
use crate::session::session_id::SessionId;
use rustix::fs::{Stat, Statx};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

/// Named files below one root. Operations that may wait for the disk run on helper threads; the
/// session is reported as a completion when its [`Pending`] can be polled again.
pub trait Store {
    /// Opens a file for reading.
    fn open(&self, name: &str, client: Requester) -> StoreReply<OpenFile>;
    /// The length of a file, in bytes.
    fn size(&self, name: &str, client: Requester) -> StoreReply<u64>;
    /// Removes a file.
    fn remove(&self, name: &str, client: Requester) -> StoreReply<()>;
    /// Makes a folder.
    fn make_folder(&self, name: &str, client: Requester) -> StoreReply<()>;
    /// Renames a file or a folder. Never replaces anything.
    fn rename(&self, old: &str, new: &str, client: Requester) -> StoreReply<()>;
    /// Computes the SHA-256 of the first `length` bytes of a file, or of all its bytes.
    /// The session is reported after each piece, too.
    fn digest(&self, name: &str, length: Option<u64>, client: Requester) -> StoreReply<FileDigest>;
    /// Creates a file that stays invisible until it is committed. `size` is its length in bytes,
    /// if the client announced it.
    fn create(
        &self,
        name: &str,
        size: Option<u64>,
        client: Requester,
    ) -> StoreReply<Box<dyn Upload>>;
    /// The largest file that may be stored, in bytes.
    fn largest(&self) -> u64;
    /// What all files hold.
    fn usage(&self) -> Usage;
    /// Lists a folder, sorted by name. `None` is the root.
    fn list(
        &self,
        folder: Option<&str>,
        style: ListStyle,
        client: Requester,
    ) -> StoreReply<Content>;
}

/// The result of a store operation, perhaps not available yet.
pub type StoreReply<T> = Pending<Result<T, StoreError>>;

/// The content of a file or a list, and its length in bytes.
pub type Content = (Rc<dyn Blob>, u64);

/// A file that is open for reading.
pub struct OpenFile {
    /// Its content.
    pub blob: Rc<dyn Blob>,
    /// The version that was opened.
    pub version: FileVersion,
    /// The SHA-256 of this version, if it was computed.
    pub sha256: Option<[u8; 32]>,
}

impl OpenFile {
    /// The content and its length.
    pub fn content(self) -> Content {
        (self.blob, self.version.length)
    }
}

/// The digest of a file, or of its front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDigest {
    /// FIPS 180-4.
    pub sha256: [u8; 32],
    /// The version that was read.
    pub version: FileVersion,
}

/// What identifies the content of a file: a changed or replaced file has another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileVersion {
    /// The inode number.
    pub inode: u64,
    /// The length in bytes.
    pub length: u64,
    /// The time of the last change, in nanoseconds since 1970.
    pub modified: i64,
}

impl From<Stat> for FileVersion {
    fn from(stat: Stat) -> FileVersion {
        let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
        FileVersion {
            inode: stat.st_ino,
            length: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat
                .st_mtime
                .saturating_mul(1_000_000_000)
                .saturating_add(nanos),
        }
    }
}

impl From<&Statx> for FileVersion {
    fn from(stat: &Statx) -> FileVersion {
        let modified = stat.stx_mtime;
        FileVersion {
            inode: stat.stx_ino,
            length: stat.stx_size,
            modified: modified
                .tv_sec
                .saturating_mul(1_000_000_000)
                .saturating_add(modified.tv_nsec.into()),
        }
    }
}

/// Whether a commit may replace the file that has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// It may.
    Allowed,
    /// The commit fails with [`StoreError::Exists`].
    Refused,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The name is new.
    Created,
    /// The name had a file or a link.
    Replaced,
}

/// How a list shows its entries.
#[derive(Debug, Clone, Copy)]
pub enum ListStyle {
    /// One name a line; that of a folder ends in `/`.
    Names,
    /// With length and time.
    Details {
        /// Tells this style from others.
        name: &'static str,
        /// Appends an entry to the list.
        write: fn(&ListEntry<'_>, &mut Vec<u8>),
    },
}

impl PartialEq for ListStyle {
    fn eq(&self, other: &ListStyle) -> bool {
        let name = |style: &ListStyle| match style {
            ListStyle::Names => "",
            ListStyle::Details { name, .. } => name,
        };
        name(self) == name(other)
    }
}

/// An entry of a folder.
#[derive(Debug, Clone, Copy)]
pub struct ListEntry<'a> {
    /// The name, without control characters; that of a folder ends in `/`.
    pub name: &'a str,
    /// Its length and time.
    pub version: FileVersion,
    /// Whether no entry precedes it.
    pub is_first: bool,
}

/// The session that requests an operation.
#[derive(Debug, Clone, Copy)]
pub struct Requester {
    /// Its id in the completions.
    pub session: SessionId,
    /// The IP address of its client.
    pub address: IpAddr,
    /// The number of reads of sockets, and of ends of waits, so far. What is found out now holds
    /// for all requests until the next one: they were sent before.
    pub reads: u64,
}

/// A file that is being received. Dropping it discards the file.
pub trait Upload {
    /// Where its bytes are written.
    fn blob(&self) -> Rc<dyn Blob>;
    /// The file or link that had the name when the upload began. Links are not followed.
    fn replaces(&self) -> Option<FileVersion>;
    /// Publishes the file under its name in one step, with `front` before the received bytes.
    /// With [`StoreSettings::sync`], content and name are on disk when the reply is ready.
    /// Dropping the reply does not cancel the commit.
    fn commit(
        self: Box<Self>,
        front: &[u8],
        overwrite: Overwrite,
        client: Requester,
    ) -> StoreReply<Stored>;
}

/// Configuration of the store.
#[derive(Debug, Clone, Copy)]
pub struct StoreSettings {
    /// Reject every operation that changes a file.
    pub read_only: bool,
    /// The largest file accepted, in bytes.
    pub largest: u64,
    /// Bounds of all files together.
    pub quota: QuotaLimits,
    /// A change is synced to disk before it is confirmed.
    pub sync: bool,
    /// Bounds of the helper threads.
    pub workers: WorkerLimits,
    /// Buffers for files that are not in memory.
    pub buffers: BufferLimits,
    /// Pieces of uploads that may wait for one device.
    pub pieces: usize,
    /// Bytes of an upload that are kept in memory before a job writes them.
    pub stage: usize,
    /// A body of at most this many bytes is copied into the reply.
    pub inline_limit: u64,
    /// How often a file that was replaced while it was opened is opened again.
    pub reopens: u32,
    /// A helper thread closes a file of at least this many bytes.
    pub large: u64,
    /// Bytes moved in one step to make room for `front` in [`Upload::commit`].
    pub copy_step: usize,
    /// Bytes of a digest that one job computes.
    pub digest_step: u64,
    /// A digest that is not complete after this time is given up.
    pub digest_time: Duration,
    /// Unfinished uploads and removals of closed connections.
    pub backlog: BacklogLimits,
    /// Bounds of `ls`.
    pub listing: ListingLimits,
}

/// Bounds of all files together.
#[derive(Debug, Clone, Copy)]
pub struct QuotaLimits {
    /// The most bytes that they may hold.
    pub total: Option<u64>,
    /// An upload that does not fit has the files counted again if the last count is this old.
    pub recount: Duration,
    /// No count begins for this multiple of the time that the last one took.
    pub recount_share: u32,
    /// Any other upload has them counted again if the last count is this old.
    pub stale: Duration,
    /// A count waits this long for the changes that run at its end.
    pub last_changes: Duration,
}

/// Bounds of the helper threads.
#[derive(Debug, Clone, Copy)]
pub struct WorkerLimits {
    /// The most threads for one kind of job.
    pub threads: usize,
    /// The most of them that wait for one device at once.
    pub threads_of_lane: usize,
    /// A device whose jobs take this long gets one more thread.
    pub slow: Duration,
    /// What a thread adds to the nice value of the event loop: nice(2).
    pub nice: i32,
    /// Jobs that may wait for one device before more requests are rejected.
    pub waiting: usize,
    /// Digests that may wait for one device, beside the one that is computed.
    pub digests: usize,
    /// The most commits that share one `fsync(2)` of their folder.
    pub batch: usize,
}

/// Bounds of the buffers for files that jobs read.
#[derive(Debug, Clone, Copy)]
pub struct BufferLimits {
    /// The most buffers.
    pub count: usize,
    /// The most unused buffers that are kept.
    pub kept: usize,
    /// Bytes of one.
    pub size: usize,
}

/// Jobs of closed connections that may be unfinished before more are rejected.
#[derive(Debug, Clone, Copy)]
pub struct BacklogLimits {
    /// Jobs of one client network.
    pub network: usize,
    /// Jobs of all networks.
    pub all: usize,
}

/// Bounds of `ls`.
#[derive(Debug, Clone, Copy)]
pub struct ListingLimits {
    /// Entries read or merged in one step of a helper thread.
    pub step: usize,
    /// The most entries of one folder.
    pub entries: usize,
    /// A list of at most this many bytes is copied into the reply.
    pub inline_limit: usize,
    /// A helper thread frees a list of at least this many bytes.
    pub large: u64,
    /// Total bytes of all lists in memory files; at least the largest single list.
    pub memory: u64,
    /// Two changes of a folder within this time may have the same timestamp.
    pub tick: Duration,
    /// The same for file systems with timestamps in whole seconds.
    pub coarse_tick: Duration,
}
