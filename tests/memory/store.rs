//! Keeps the files of a test in memory and fails where the test says so.

use loket::session::blob::Blob;
use loket::session::notice::PeerId;
use loket::store::error::StoreError;
use loket::store::pending::Pending;
use loket::store::{Content, Reply, Requester, Store, Upload};
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

    /// What is done at once, or when a wait that begins now is over.
    fn reply<T: 'static>(
        &self,
        client: Requester,
        act: impl FnOnce(&Memory) -> Result<T, StoreError> + 'static,
    ) -> Reply<T> {
        if !self.faults.waits {
            return Pending::Ready(act(self));
        }
        let over = Rc::new(Cell::new(false));
        let wait = (client.session, over.clone());
        self.waiting.borrow_mut().push_back(wait);
        let (memory, mut act) = (self.clone(), Some(act));
        Pending::later(move || {
            if !over.get() {
                return Poll::Pending;
            }
            let act = act.take().expect("asked once more than it was done");
            Poll::Ready(act(&memory))
        })
    }

    fn find(&self, name: &str) -> Result<Rc<Bytes>, StoreError> {
        let found = self.files.borrow().get(name).cloned();
        found.ok_or(StoreError::NotFound)
    }
}

impl Store for Memory {
    fn open(&self, name: &str, client: Requester) -> Reply<Content> {
        let name = name.to_owned();
        self.reply(client, move |memory| Ok(memory.find(&name)?.content()))
    }

    fn size(&self, name: &str, client: Requester) -> Reply<u64> {
        self.open(name, client)
            .map(|opened| opened.map(|(_, length)| length))
    }

    fn remove(&self, name: &str, client: Requester) -> Reply<()> {
        let name = name.to_owned();
        self.reply(client, move |memory| {
            let removed = memory.files.borrow_mut().remove(&name);
            removed.map(|_| ()).ok_or(StoreError::NotFound)
        })
    }

    fn create(&self, name: &str, size: Option<u64>, client: Requester) -> Reply<Box<dyn Upload>> {
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
            memory.uploads.update(|uploads| uploads + 1);
            let bytes = Bytes {
                content: RefCell::default(),
                refuses_byte: memory.faults.refuses_byte,
                ends: None,
            };
            Ok(Box::new(MemoryUpload {
                store: memory.clone(),
                name,
                bytes: Rc::new(bytes),
            }) as Box<dyn Upload>)
        })
    }

    fn largest(&self) -> u64 {
        self.faults.largest.unwrap_or(i64::MAX as u64)
    }

    fn list(&self, folder: Option<&str>, client: Requester) -> Reply<Content> {
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
            let list: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
            let list = Bytes {
                content: RefCell::new(list.into()),
                refuses_byte: None,
                ends: None,
            };
            Ok(Rc::new(list).content())
        })
    }
}

/// One file.
struct Bytes {
    content: RefCell<Vec<u8>>,
    refuses_byte: Option<u64>,
    ends: Option<u64>,
}

impl Bytes {
    fn content(self: Rc<Bytes>) -> Content {
        let length = self.content.borrow().len() as u64;
        (self, length)
    }
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

/// Moves the content up, and puts these bytes before it.
pub fn put_in_front(blob: &dyn Blob, front: &[u8]) -> io::Result<()> {
    let mut whole = front.to_vec();
    let mut byte = [0];
    while !front.is_empty() && blob.read_at(&mut byte, (whole.len() - front.len()) as u64)? > 0 {
        whole.push(byte[0]);
    }
    blob.write_all_at(&whole, 0)
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

    fn commit(self: Box<Self>, front: &[u8], client: Requester) -> Reply<()> {
        let (store, front) = (self.store.clone(), front.to_vec());
        store.reply(client, move |memory| {
            if memory.faults.commit_fails {
                return Err(StoreError::Denied);
            }
            put_in_front(&*self.bytes, &front)?;
            let mut files = memory.files.borrow_mut();
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
