//! Keeps the files of a test in memory and fails where the test says so.
//! Checks no names and knows no links: that is the real store's business.

use loket::session::blob::Blob;
use loket::session::notice::PeerId;
use loket::store::error::StoreError;
use loket::store::{Errand, List, Listing, Purpose, Store, Upload};
use rustix::io::Errno;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::task::Poll;

/// Every file with its content.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What goes wrong, and where.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The first byte that a new file does not take.
    pub refuses_byte: Option<u64>,
    /// No file of an announced size fits.
    pub no_space: bool,
    /// A file cannot be made visible.
    pub commit_fails: bool,
    /// Open files are in truth only so long.
    pub shrinks_to: Option<u64>,
    /// Nothing larger is taken.
    pub largest: Option<u64>,
    /// A folder cannot be read to its end.
    pub listing_fails: bool,
    /// What may wait for a disk waits until [`Memory::finish_next`].
    pub waits: bool,
}

/// Who waits, and whether the wait is over.
type Wait = (PeerId, Rc<Cell<bool>>);

/// A store whose handles share their files.
#[derive(Clone, Default)]
pub struct Memory {
    files: Rc<RefCell<BTreeMap<String, Rc<Bytes>>>>,
    faults: Rc<Faults>,
    uploads: Rc<Cell<usize>>,
    waiting: Rc<RefCell<VecDeque<Wait>>>,
    finished: Rc<RefCell<Vec<PeerId>>>,
}

impl Memory {
    /// A store that holds these files.
    pub fn with(files: &Files, faults: Faults) -> Memory {
        let memory = Memory {
            faults: Rc::new(faults),
            ..Memory::default()
        };
        for (name, content) in files {
            let bytes = Bytes {
                content: RefCell::new(content.clone()),
                refuses_byte: None,
                ends: memory.faults.shrinks_to,
            };
            let name = name.clone();
            memory.files.borrow_mut().insert(name, Rc::new(bytes));
        }
        memory
    }

    /// All files that can be seen.
    pub fn files(&self) -> Files {
        let files = self.files.borrow();
        files
            .iter()
            .map(|(name, bytes)| (name.clone(), bytes.content.borrow().clone()))
            .collect()
    }

    /// Uploads that were begun and neither committed nor discarded.
    pub fn uploads(&self) -> usize {
        self.uploads.get()
    }

    /// Ends the wait that began first; says whether there was one.
    pub fn finish_next(&self) -> bool {
        let Some((peer, over)) = self.waiting.borrow_mut().pop_front() else {
            return false;
        };
        over.set(true);
        self.finished.borrow_mut().push(peer);
        true
    }

    /// Whose waits are over.
    pub fn finished(&self) -> Vec<PeerId> {
        self.finished.take()
    }

    /// A wait that begins now.
    fn wait(&self, peer: PeerId) -> Rc<Cell<bool>> {
        let over = Rc::new(Cell::new(!self.faults.waits));
        if self.faults.waits {
            self.waiting.borrow_mut().push_back((peer, over.clone()));
        }
        over
    }

    fn errand(
        &self,
        peer: PeerId,
        act: impl FnOnce() -> Result<(), StoreError> + 'static,
    ) -> Box<dyn Errand> {
        Box::new(MemoryErrand {
            over: self.wait(peer),
            act: Some(Box::new(act)),
        })
    }

    fn find(&self, name: &str) -> Result<Rc<Bytes>, StoreError> {
        let found = self.files.borrow().get(name).cloned();
        found.ok_or(StoreError::NotFound)
    }
}

impl Store for Memory {
    fn look_up(&self, _: &str, _: Purpose, peer: PeerId) -> Option<Box<dyn Errand>> {
        self.faults.waits.then(|| self.errand(peer, || Ok(())))
    }

    fn open(&self, name: &str) -> Result<(Rc<dyn Blob>, u64), StoreError> {
        let bytes = self.find(name)?;
        let length = bytes.content.borrow().len() as u64;
        Ok((bytes, length))
    }

    fn size(&self, name: &str) -> Result<u64, StoreError> {
        Ok(self.find(name)?.content.borrow().len() as u64)
    }

    fn remove(&self, name: &str, peer: PeerId) -> Result<Box<dyn Errand>, StoreError> {
        self.find(name)?;
        let (name, files) = (name.to_owned(), self.files.clone());
        Ok(self.errand(peer, move || {
            let removed = files.borrow_mut().remove(&name);
            removed.map(|_| ()).ok_or(StoreError::NotFound)
        }))
    }

    fn create(&self, name: &str, size: Option<u64>) -> Result<Box<dyn Upload>, StoreError> {
        if name.is_empty() {
            return Err(StoreError::NotAFile);
        }
        if size.is_some_and(|size| size > self.largest()) {
            return Err(StoreError::TooLarge(self.largest()));
        }
        if size.is_some() && self.faults.no_space {
            return Err(StoreError::NoSpace);
        }
        self.uploads.update(|uploads| uploads + 1);
        Ok(Box::new(MemoryUpload {
            store: self.clone(),
            name: name.to_owned(),
            bytes: Rc::new(Bytes {
                content: RefCell::default(),
                refuses_byte: self.faults.refuses_byte,
                ends: None,
            }),
        }))
    }

    fn largest(&self) -> u64 {
        self.faults.largest.unwrap_or(i64::MAX as u64)
    }

    fn list(&self, folder: Option<&str>, peer: PeerId) -> Result<Box<dyn Listing>, StoreError> {
        let prefix = folder.map_or(String::new(), |folder| format!("{folder}/"));
        let files = self.files.borrow();
        let below = files.keys().filter_map(|name| name.strip_prefix(&prefix));
        let entries: BTreeSet<Box<str>> = below
            .map(|name| name.split_inclusive('/').next().unwrap_or(name).into())
            .collect();
        if folder.is_some() && entries.is_empty() {
            return Err(StoreError::NoFolder);
        }
        let list: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
        let list = Bytes {
            content: RefCell::new(list.into()),
            refuses_byte: None,
            ends: None,
        };
        Ok(Box::new(MemoryListing {
            over: self.wait(peer),
            list: (!self.faults.listing_fails).then(|| Rc::new(list)),
        }))
    }
}

/// Something that is done when its wait is over and somebody asks.
struct MemoryErrand {
    over: Rc<Cell<bool>>,
    act: Option<Act>,
}

type Act = Box<dyn FnOnce() -> Result<(), StoreError>>;

impl Errand for MemoryErrand {
    fn poll(&mut self) -> Poll<Result<(), StoreError>> {
        if !self.over.get() {
            return Poll::Pending;
        }
        Poll::Ready(self.act.take().expect("asked once more than it was done")())
    }
}

/// One file.
struct Bytes {
    content: RefCell<Vec<u8>>,
    refuses_byte: Option<u64>,
    ends: Option<u64>,
}

impl Blob for Bytes {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let content = self.content.borrow();
        let end = self.ends.unwrap_or(u64::MAX).min(content.len() as u64);
        let rest = &content[at.min(end) as usize..end as usize];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let room = self.refuses_byte.unwrap_or(u64::MAX).saturating_sub(at);
        let count = room.min(bytes.len() as u64) as usize;
        if count == 0 && !bytes.is_empty() {
            return Err(Errno::NOSPC.into());
        }
        let (at, mut content) = (at as usize, self.content.borrow_mut());
        if content.len() < at + count {
            content.resize(at + count, 0);
        }
        content[at..at + count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

struct MemoryUpload {
    store: Memory,
    name: String,
    bytes: Rc<Bytes>,
}

impl Upload for MemoryUpload {
    fn blob(&self) -> Rc<dyn Blob> {
        self.bytes.clone()
    }

    fn commit(self: Box<Self>, peer: PeerId) -> Box<dyn Errand> {
        let store = self.store.clone();
        store.errand(peer, move || {
            if self.store.faults.commit_fails {
                return Err(StoreError::Denied);
            }
            let mut files = self.store.files.borrow_mut();
            files.insert(self.name.clone(), self.bytes.clone());
            Ok(())
        })
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        self.store.uploads.update(|uploads| uploads - 1);
    }
}

/// The list of a folder as it was when it was asked for.
struct MemoryListing {
    over: Rc<Cell<bool>>,
    list: Option<Rc<Bytes>>,
}

impl Listing for MemoryListing {
    fn poll(&mut self) -> Poll<Result<List, StoreError>> {
        if !self.over.get() {
            return Poll::Pending;
        }
        let list = self.list.clone().ok_or(StoreError::Busy);
        Poll::Ready(list.map(|list| {
            let length = list.content.borrow().len() as u64;
            (list as Rc<dyn Blob>, length)
        }))
    }
}
