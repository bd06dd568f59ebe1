//! A store in memory with configurable faults, which counts open blobs and uploads.
//! It has no links and does not check names.

use super::disk::Disk;
use loket::config::store::STORE;
use loket::session::blob::{Blob, Readable, Taken};
use loket::session::session_id::SessionId;
use loket::store::error::StoreError;
use loket::store::pending::Pending;
use loket::store::quota::{Counted, Exchange, Quota, Reservation, Usage};
use loket::store::{
    Content, FileDigest, FileVersion, ListEntry, ListStyle, OpenFile, Overwrite, QuotaLimits,
    Requester, Store, StoreReply, Stored, Upload,
};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Every file with its content.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A fault of a file.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Writes fail from this byte on.
    Full(u64),
    /// The commit fails.
    Denied,
    /// Reads end at this byte, before the reported length.
    Ends(u64),
}

/// The faults of a store.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The fault of every file, and of single ones.
    pub every: Option<Fault>,
    pub by_name: BTreeMap<String, Fault>,
    /// No file of an announced size fits.
    pub no_space: bool,
    /// The maximum size of a file.
    pub largest: Option<u64>,
    /// Listing a folder fails.
    pub listing_fails: bool,
    /// Every operation waits for the disk until [`Memory::finish_next`].
    pub waits: bool,
    /// So does every piece of a file.
    pub pieces_wait: bool,
}

/// The store; clones share their files.
#[derive(Clone, Default)]
pub struct Memory {
    files: Rc<RefCell<BTreeMap<String, Bytes>>>,
    faults: Rc<Faults>,
    /// The only contents that may be stored, by name.
    wanted: Option<Rc<BTreeMap<String, Vec<Vec<u8>>>>>,
    blobs: Rc<Cell<usize>>,
    uploads: Rc<Cell<usize>>,
    quota: Option<Arc<Quota>>,
    pub disk: Disk,
}

type Bytes = Rc<RefCell<Vec<u8>>>;

impl Memory {
    /// A store that holds these files.
    pub fn with(files: &Files, faults: Faults) -> Memory {
        let percent = |waits| if waits { 100 } else { 0 };
        let disk = Disk::new(percent(faults.waits), percent(faults.pieces_wait), 0);
        let bytes = |(name, content): (&String, &Vec<u8>)| {
            (name.clone(), Rc::new(RefCell::new(content.clone())))
        };
        Memory {
            files: Rc::new(RefCell::new(files.iter().map(bytes).collect())),
            faults: Rc::new(faults),
            disk,
            ..Memory::default()
        }
    }

    /// The same store on that disk; it asserts that only these contents are stored.
    pub fn on(self, disk: Disk, wanted: BTreeMap<String, Vec<Vec<u8>>>) -> Memory {
        Memory {
            disk,
            wanted: Some(Rc::new(wanted)),
            ..self
        }
    }

    /// The same store, whose files may hold this number of bytes together.
    pub fn with_quota(self, total: u64) -> Memory {
        let quota = Quota::new(QuotaLimits {
            total: Some(total),
            ..STORE.quota
        });
        assert!(quota.begin_count(Instant::now()));
        quota.end_count(Counted::Bytes(self.held()), Instant::now());
        Memory {
            quota: Some(quota),
            ..self
        }
    }

    /// Bytes of all visible files.
    pub fn held(&self) -> u64 {
        let files = self.files.borrow();
        files
            .values()
            .map(|bytes| bytes.borrow().len() as u64)
            .sum()
    }

    /// All visible files.
    pub fn files(&self) -> Files {
        let files = self.files.borrow();
        let copy = |(name, bytes): (&String, &Bytes)| (name.clone(), bytes.borrow().clone());
        files.iter().map(copy).collect()
    }

    /// Uploads that were begun and neither committed nor discarded.
    pub fn uploads(&self) -> usize {
        self.uploads.get()
    }

    /// Open blobs.
    pub fn blobs(&self) -> usize {
        self.blobs.get()
    }

    /// Completes the oldest operation; false if none is running.
    pub fn finish_next(&self) -> bool {
        self.disk.finish(0)
    }

    /// Removes and returns the sessions whose operations are complete.
    pub fn finished(&self) -> Vec<SessionId> {
        self.disk.finished()
    }

    fn reply<T: 'static>(
        &self,
        client: Requester,
        act: impl FnOnce(&Memory) -> Result<T, StoreError> + 'static,
    ) -> StoreReply<T> {
        let memory = self.clone();
        self.disk.reply(client.session, move || act(&memory))
    }

    fn find(&self, name: &str) -> Result<Bytes, StoreError> {
        let found = self.files.borrow().get(name).cloned();
        found.ok_or(StoreError::NotFound)
    }

    fn fault(&self, name: &str) -> Option<Fault> {
        self.faults.by_name.get(name).copied().or(self.faults.every)
    }

    fn change<T>(&self, act: impl FnOnce() -> (T, Exchange)) -> T {
        match &self.quota {
            Some(quota) => quota.change(0, act),
            None => act().0,
        }
    }

    fn lend(
        &self,
        bytes: Bytes,
        fault: Option<Fault>,
        reservation: Option<Reservation>,
        client: Requester,
    ) -> Rc<MemoryBlob> {
        self.blobs.update(|blobs| blobs + 1);
        Rc::new(MemoryBlob {
            bytes,
            fault,
            blobs: self.blobs.clone(),
            reservation,
            disk: self.disk.clone(),
            session: client.session,
            job: RefCell::default(),
        })
    }
}

impl Store for Memory {
    fn open(&self, name: &str, client: Requester) -> StoreReply<OpenFile> {
        let name = name.to_owned();
        self.reply(client, move |memory| {
            let bytes = memory.find(&name)?;
            let version = version(&bytes);
            let blob = memory.lend(bytes, memory.fault(&name), None, client);
            Ok(OpenFile {
                blob,
                version,
                sha256: None,
            })
        })
    }

    fn size(&self, name: &str, client: Requester) -> StoreReply<u64> {
        let name = name.to_owned();
        self.reply(client, move |memory| {
            Ok(memory.find(&name)?.borrow().len() as u64)
        })
    }

    fn remove(&self, name: &str, client: Requester) -> StoreReply<()> {
        let name = name.to_owned();
        self.reply(client, move |memory| {
            memory.change(|| {
                let removed = memory.files.borrow_mut().remove(&name);
                let length = |file: &Bytes| file.borrow().len() as u64;
                let exchange = Exchange::of(0, removed.as_ref().map_or(0, length));
                (removed.map(drop).ok_or(StoreError::NotFound), exchange)
            })
        })
    }

    fn make_folder(&self, _: &str, client: Requester) -> StoreReply<()> {
        self.reply(client, |_| Err(StoreError::Denied))
    }

    fn rename(&self, old: &str, new: &str, client: Requester) -> StoreReply<()> {
        let (old, new) = (old.to_owned(), new.to_owned());
        self.reply(client, move |memory| {
            let bytes = memory.find(&old)?;
            let mut files = memory.files.borrow_mut();
            if files.contains_key(&new) {
                return Err(StoreError::Exists);
            }
            files.remove(&old);
            files.insert(new, bytes);
            Ok(())
        })
    }

    fn digest(&self, name: &str, length: Option<u64>, client: Requester) -> StoreReply<FileDigest> {
        let name = name.to_owned();
        self.reply(client, move |memory| {
            let bytes = memory.find(&name)?;
            let version = version(&bytes);
            let bytes = bytes.borrow();
            let length = length.unwrap_or(version.length);
            let front = bytes.get(..length as usize);
            let front = front.ok_or(StoreError::TooShort(version.length))?;
            let sha256 = Sha256::digest(front).into();
            Ok(FileDigest { sha256, version })
        })
    }

    fn create(
        &self,
        name: &str,
        size: Option<u64>,
        client: Requester,
    ) -> StoreReply<Box<dyn Upload>> {
        let name = name.to_owned();
        self.reply(client, move |memory| {
            if name.is_empty() {
                return Err(StoreError::NotAFile);
            }
            if size.is_some_and(|size| size > memory.largest()) {
                return Err(StoreError::TooLarge(memory.largest()));
            }
            if size.is_some() && memory.faults.no_space {
                return Err(StoreError::NoSpace);
            }
            let reservation = match &memory.quota {
                Some(quota) => Some(quota.reserve(size, 0, None)?),
                None => None,
            };
            memory.uploads.update(|uploads| uploads + 1);
            let fault = memory.fault(&name);
            let blob = memory.lend(Bytes::default(), fault, reservation, client);
            let store = memory.clone();
            Ok(Box::new(MemoryUpload { store, name, blob }) as Box<dyn Upload>)
        })
    }

    fn largest(&self) -> u64 {
        self.faults.largest.unwrap_or(i64::MAX as u64)
    }

    fn usage(&self) -> Usage {
        match &self.quota {
            Some(quota) => quota.usage(),
            None => Usage {
                held: None,
                reserved: 0,
                limit: None,
            },
        }
    }

    fn list(
        &self,
        folder: Option<&str>,
        style: ListStyle,
        client: Requester,
    ) -> StoreReply<Content> {
        let prefix = folder.map_or(String::new(), |folder| format!("{folder}/"));
        self.reply(client, move |memory| {
            let files = memory.files.borrow();
            let below = files.keys().filter_map(|name| name.strip_prefix(&prefix));
            let entries: BTreeSet<Box<str>> = below
                .map(|name| name.split_inclusive('/').next().unwrap_or(name).into())
                .collect();
            if !prefix.is_empty() && entries.is_empty() {
                return Err(StoreError::NoFolder);
            }
            if memory.faults.listing_fails {
                return Err(StoreError::Busy);
            }
            let mut list = Vec::new();
            for (at, name) in entries.iter().enumerate() {
                match style {
                    ListStyle::Names => list.extend_from_slice(format!("{name}\n").as_bytes()),
                    ListStyle::Details { write, .. } => {
                        let found = files.get(&format!("{prefix}{name}"));
                        let version = found.map_or(FOLDER, version);
                        let is_first = at == 0;
                        write(
                            &ListEntry {
                                name,
                                version,
                                is_first,
                            },
                            &mut list,
                        );
                    }
                }
            }
            let length = list.len() as u64;
            let list = memory.lend(Rc::new(RefCell::new(list)), None, None, client);
            Ok((list as Rc<dyn Blob>, length))
        })
    }
}

/// The version of every folder.
const FOLDER: FileVersion = FileVersion {
    inode: 2,
    length: 0,
    modified: 0,
};

/// The version of a file. A checksum instead of a time makes every run the same.
fn version(bytes: &Bytes) -> FileVersion {
    FileVersion {
        inode: 1,
        length: bytes.borrow().len() as u64,
        modified: bytes
            .borrow()
            .iter()
            .fold(0, |sum, byte| (sum * 31 + i64::from(*byte)) % 65_521),
    }
}

/// An open file.
struct MemoryBlob {
    bytes: Bytes,
    fault: Option<Fault>,
    blobs: Rc<Cell<usize>>,
    reservation: Option<Reservation>,
    disk: Disk,
    session: SessionId,
    job: RefCell<BlobJob>,
}

/// The job of a blob.
#[derive(Default)]
enum BlobJob {
    #[default]
    None,
    Reads(u64, Pending<Vec<u8>>),
    HasRead(u64, Vec<u8>),
    Writes(Pending<io::Result<()>>),
    Failed(io::Error),
}

impl MemoryBlob {
    fn reserve(&self, length: u64) -> Result<(), StoreError> {
        match &self.reservation {
            Some(reservation) => reservation.grow(length),
            None => Ok(()),
        }
    }

    /// Changes names in the name of the upload.
    fn publish(
        &self,
        act: impl FnOnce() -> Result<(Stored, Exchange), StoreError>,
    ) -> Result<Stored, StoreError> {
        match &self.reservation {
            Some(reservation) => reservation.publish(act),
            None => act().map(|(stored, _)| stored),
        }
    }
}

impl Blob for MemoryBlob {
    fn readable(&self, range: Range<u64>) -> io::Result<Readable<'_>> {
        assert!(!self.is_busy(), "a call while a job is running");
        if let BlobJob::HasRead(at, bytes) = self.job.take()
            && at == range.start
        {
            return match bytes.is_empty() {
                true => Err(io::ErrorKind::Other.into()),
                false => Ok(Readable::Bytes(Box::new(bytes))),
            };
        }
        let (bytes, fault, at) = (self.bytes.clone(), self.fault, range.start);
        let read = move || {
            let bytes = bytes.borrow();
            let end = match fault {
                Some(Fault::Ends(end)) => end.min(bytes.len() as u64),
                _ => bytes.len() as u64,
            };
            bytes[at.min(end) as usize..range.end.min(end) as usize].to_vec()
        };
        Ok(match self.disk.piece(self.session, read) {
            Pending::Ready(bytes) => Readable::Bytes(Box::new(bytes)),
            pending => {
                self.job.replace(BlobJob::Reads(at, pending));
                Readable::Waits
            }
        })
    }

    fn write(&self, bytes: &[u8], at: u64) {
        assert!(!self.is_busy(), "a call while a job is running");
        if let Err(error) = self.reserve(at + bytes.len() as u64) {
            self.job.replace(BlobJob::Failed(error.into()));
            return;
        }
        let (file, fault, added) = (self.bytes.clone(), self.fault, bytes.to_vec());
        let write = move || put(&file, fault, &added, at);
        let job = match self.disk.piece(self.session, write) {
            Pending::Ready(written) => written.map_or_else(BlobJob::Failed, |()| BlobJob::None),
            pending => BlobJob::Writes(pending),
        };
        self.job.replace(job);
    }

    fn fill(
        &self,
        at: u64,
        take: &mut dyn FnMut() -> io::Result<Taken>,
    ) -> io::Result<Option<usize>> {
        assert!(!self.is_busy(), "a call while a job is running");
        if let Pending::Later(wait) = self.disk.piece(self.session, || Ok(())) {
            // Too much waits to be written.
            self.job.replace(BlobJob::Writes(Pending::Later(wait)));
            return Ok(None);
        }
        let Taken::Bytes(bytes) = take()? else {
            unreachable!("there are no pipes")
        };
        if !bytes.is_empty() {
            self.write(&bytes, at);
        }
        Ok(Some(bytes.len()))
    }

    fn is_busy(&self) -> bool {
        let job = match self.job.take() {
            BlobJob::Reads(at, reading) => match reading.take() {
                Ok(bytes) => BlobJob::HasRead(at, bytes),
                Err(reading) => BlobJob::Reads(at, reading),
            },
            BlobJob::Writes(writing) => match writing.take() {
                Ok(written) => written.map_or_else(BlobJob::Failed, |()| BlobJob::None),
                Err(writing) => BlobJob::Writes(writing),
            },
            other => other,
        };
        self.job.replace(job);
        matches!(*self.job.borrow(), BlobJob::Reads(..) | BlobJob::Writes(_))
    }

    fn has_failed(&self) -> bool {
        !self.is_busy() && matches!(*self.job.borrow(), BlobJob::Failed(_))
    }

    fn take_error(&self) -> Option<io::Error> {
        match self.job.take() {
            BlobJob::Failed(error) => Some(error),
            other => {
                self.job.replace(other);
                None
            }
        }
    }
}

/// Writes bytes to a file, up to its fault.
fn put(file: &Bytes, fault: Option<Fault>, bytes: &[u8], at: u64) -> io::Result<()> {
    let count = match fault {
        Some(Fault::Full(end)) => end.saturating_sub(at).min(bytes.len() as u64) as usize,
        _ => bytes.len(),
    };
    let (at, mut content) = (at as usize, file.borrow_mut());
    if content.len() < at + count {
        content.resize(at + count, 0);
    }
    content[at..at + count].copy_from_slice(&bytes[..count]);
    match count == bytes.len() {
        true => Ok(()),
        false => Err(Errno::NOSPC.into()),
    }
}

impl Drop for MemoryBlob {
    fn drop(&mut self) {
        self.blobs.update(|blobs| blobs - 1);
    }
}

struct MemoryUpload {
    store: Memory,
    name: String,
    blob: Rc<MemoryBlob>,
}

impl Upload for MemoryUpload {
    fn blob(&self) -> Rc<dyn Blob> {
        self.blob.clone()
    }

    fn replaces(&self) -> Option<FileVersion> {
        self.store.find(&self.name).ok().as_ref().map(version)
    }

    fn commit(
        self: Box<Self>,
        front: &[u8],
        overwrite: Overwrite,
        client: Requester,
    ) -> StoreReply<Stored> {
        let (store, front) = (self.store.clone(), front.to_vec());
        store.reply(client, move |memory| {
            if matches!(self.blob.fault, Some(Fault::Denied)) {
                return Err(StoreError::Denied);
            }
            let (name, bytes) = (&self.name, &self.blob.bytes);
            if !front.is_empty() {
                (self.blob).reserve((bytes.borrow().len() + front.len()) as u64)?;
                let whole = [front, bytes.borrow().clone()].concat();
                put(bytes, self.blob.fault, &whole, 0)?;
            }
            if let Some(wanted) = &memory.wanted {
                let wanted = wanted
                    .get(name)
                    .is_some_and(|all| all.contains(&bytes.borrow()));
                let length = bytes.borrow().len();
                assert!(
                    wanted,
                    "{name} is stored with {length} bytes that differ from the sent ones"
                );
            }
            self.blob.publish(|| {
                let mut files = memory.files.borrow_mut();
                if overwrite == Overwrite::Refused && files.contains_key(name) {
                    return Err(StoreError::Exists);
                }
                let added = bytes.borrow().len() as u64;
                Ok(match files.insert(name.clone(), bytes.clone()) {
                    None => (Stored::Created, Exchange::of(added, 0)),
                    Some(old) => {
                        let removed = old.borrow().len() as u64;
                        (Stored::Replaced, Exchange::of(added, removed))
                    }
                })
            })
        })
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        self.store.uploads.update(|uploads| uploads - 1);
    }
}
