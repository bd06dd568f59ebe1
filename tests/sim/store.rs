//! Keeps the files of one seed, fails where the scripts say so, and counts what is open.
//! Asserts with every commit that the file is one that a script has sent, whole.

use super::disk::Disk;
use super::script::{Fault, Script};
use crate::memory::store::{Faults, Files, Memory};
use loket::session::blob::Blob;
use loket::session::notice::PeerId;
use loket::store::error::StoreError;
use loket::store::{Errand, Listing, Purpose, Store, Upload};
use rustix::io::Errno;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::task::Poll;

/// The store; its copies share everything.
#[derive(Clone)]
pub struct SimStore {
    files: Memory,
    known: Rc<Known>,
    open: Rc<Cell<usize>>,
    disk: Disk,
}

#[derive(Default)]
struct Known {
    faults: BTreeMap<String, Fault>,
    contents: BTreeMap<String, Vec<Vec<u8>>>,
}

impl SimStore {
    /// A store for these scripts, with these files in it.
    pub fn new(scripts: &[Script], mut files: Files, disk: Disk) -> SimStore {
        let mut known = Known::default();
        for script in scripts {
            known.faults.extend(script.faults.iter().cloned());
            files.extend(script.given.iter().cloned());
            files.extend(script.untouched.iter().cloned());
            for (name, content) in &script.stored {
                let contents = known.contents.entry(name.clone()).or_default();
                contents.push(content.clone());
            }
        }
        SimStore {
            files: Memory::with(&files, Faults::default()),
            known: Rc::new(known),
            open: Rc::default(),
            disk,
        }
    }

    /// All files that can be seen.
    pub fn files(&self) -> Files {
        self.files.files()
    }

    /// Blobs that somebody holds, and uploads that are under way.
    pub fn open(&self) -> (usize, usize) {
        (self.open.get(), self.files.uploads())
    }

    fn lend(&self, inner: Rc<dyn Blob>, fault: Option<Fault>) -> Rc<dyn Blob> {
        self.open.update(|open| open + 1);
        Rc::new(SimBlob {
            inner,
            fault,
            open: self.open.clone(),
        })
    }

    fn fault(&self, name: &str) -> Option<Fault> {
        self.known.faults.get(name).copied()
    }
}

impl Store for SimStore {
    fn open(&self, name: &str) -> Result<(Rc<dyn Blob>, u64), StoreError> {
        let (blob, length) = self.files.open(name)?;
        Ok((self.lend(blob, self.fault(name)), length))
    }

    fn look_up(&self, _: &str, _: Purpose, peer: PeerId) -> Option<Box<dyn Errand>> {
        Some(self.disk.errand(peer, Box::new(LookedUp)))
    }

    fn size(&self, name: &str) -> Result<u64, StoreError> {
        self.files.size(name)
    }

    fn remove(&self, name: &str, peer: PeerId) -> Result<Box<dyn Errand>, StoreError> {
        let errand = self.files.remove(name, peer)?;
        Ok(self.disk.errand(peer, errand))
    }

    fn create(&self, name: &str, size: Option<u64>) -> Result<Box<dyn Upload>, StoreError> {
        let inner = self.files.create(name, size)?;
        let blob = self.lend(inner.blob(), self.fault(name));
        Ok(Box::new(SimUpload {
            inner,
            blob,
            name: name.to_owned(),
            store: self.clone(),
        }))
    }

    fn largest(&self) -> u64 {
        self.files.largest()
    }

    fn list(&self, folder: Option<&str>, peer: PeerId) -> Result<Box<dyn Listing>, StoreError> {
        let listing = self.files.list(folder, peer)?;
        Ok(self.disk.listing(peer, listing))
    }
}

struct SimUpload {
    inner: Box<dyn Upload>,
    blob: Rc<dyn Blob>,
    name: String,
    store: SimStore,
}

impl Upload for SimUpload {
    fn blob(&self) -> Rc<dyn Blob> {
        self.blob.clone()
    }

    fn commit(self: Box<Self>, peer: PeerId) -> Box<dyn Errand> {
        let SimUpload {
            inner, name, store, ..
        } = *self;
        let denied = matches!(store.fault(&name), Some(Fault::Denied));
        let disk = store.disk.clone();
        let commit = Commit {
            inner: (!denied).then(|| inner.commit(peer)),
            name,
            store,
        };
        disk.errand(peer, Box::new(commit))
    }
}

/// A file being made visible.
struct Commit {
    inner: Option<Box<dyn Errand>>,
    name: String,
    store: SimStore,
}

impl Errand for Commit {
    fn poll(&mut self) -> Poll<Result<(), StoreError>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(Err(StoreError::Denied));
        };
        let done = inner.poll();
        let (name, known) = (&self.name, &self.store.known);
        let stored = self.store.files().remove(name).expect("it was committed");
        let contents = known.contents.get(name);
        assert!(
            contents.is_some_and(|contents| contents.contains(&stored)),
            "{name} is stored with {} bytes that nobody has sent so",
            stored.len()
        );
        done
    }
}

struct SimBlob {
    inner: Rc<dyn Blob>,
    fault: Option<Fault>,
    open: Rc<Cell<usize>>,
}

impl Blob for SimBlob {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let most = match self.fault {
            Some(Fault::Ends(end)) => end.saturating_sub(at).min(into.len() as u64) as usize,
            _ => into.len(),
        };
        self.inner.read_at(&mut into[..most], at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let most = match self.fault {
            Some(Fault::Full(end)) => end.saturating_sub(at).min(bytes.len() as u64) as usize,
            _ => bytes.len(),
        };
        if most == 0 && !bytes.is_empty() {
            return Err(Errno::NOSPC.into());
        }
        self.inner.write_at(&bytes[..most], at)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Drop for SimBlob {
    fn drop(&mut self) {
        self.open.update(|open| open - 1);
    }
}

/// What a disk does that was asked for a name: the call that follows says what is there.
struct LookedUp;

impl Errand for LookedUp {
    fn poll(&mut self) -> Poll<Result<(), StoreError>> {
        Poll::Ready(Ok(()))
    }
}
