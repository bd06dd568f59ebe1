//! Keeps the files of one seed, fails where the scripts say so, and counts what is open.
//! Asserts with every commit that the file is one that a script has sent, whole.

use super::disk::Disk;
use super::script::{Fault, Script};
use crate::memory::store::{Faults, Files, Memory, put_in_front};
use loket::session::blob::Blob;
use loket::store::error::StoreError;
use loket::store::{Content, Reply, Requester, Store, Upload};
use rustix::io::Errno;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

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
    fn open(&self, name: &str, client: Requester) -> Reply<Content> {
        let (store, name) = (self.clone(), name.to_owned());
        self.disk.reply(client.session, move || {
            let (blob, length) = now(store.files.open(&name, client))?;
            Ok((store.lend(blob, store.fault(&name)), length))
        })
    }

    fn size(&self, name: &str, client: Requester) -> Reply<u64> {
        let (files, name) = (self.files.clone(), name.to_owned());
        let size = move || now(files.size(&name, client));
        self.disk.reply(client.session, size)
    }

    fn remove(&self, name: &str, client: Requester) -> Reply<()> {
        let (files, name) = (self.files.clone(), name.to_owned());
        let remove = move || now(files.remove(&name, client));
        self.disk.reply(client.session, remove)
    }

    fn create(&self, name: &str, size: Option<u64>, client: Requester) -> Reply<Box<dyn Upload>> {
        let (store, name) = (self.clone(), name.to_owned());
        self.disk.reply(client.session, move || {
            let inner = now(store.files.create(&name, size, client))?;
            let blob = store.lend(inner.blob(), store.fault(&name));
            Ok(Box::new(SimUpload {
                inner,
                blob,
                name,
                store,
            }) as Box<dyn Upload>)
        })
    }

    fn largest(&self) -> u64 {
        self.files.largest()
    }

    fn list(&self, folder: Option<&str>, client: Requester) -> Reply<Content> {
        let (files, folder) = (self.files.clone(), folder.map(str::to_owned));
        let list = move || now(files.list(folder.as_deref(), client));
        self.disk.reply(client.session, list)
    }
}

/// What the files in memory say: they keep no session waiting.
fn now<T: 'static>(reply: Reply<T>) -> Result<T, StoreError> {
    reply.take().unwrap_or_else(|_| unreachable!("it waits"))
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

    fn commit(self: Box<Self>, front: &[u8], client: Requester) -> Reply<()> {
        let SimUpload {
            inner,
            blob,
            name,
            store,
        } = *self;
        let (disk, front) = (store.disk.clone(), front.to_vec());
        disk.reply(client.session, move || {
            if matches!(store.fault(&name), Some(Fault::Denied)) {
                return Err(StoreError::Denied);
            }
            put_in_front(&*blob, &front)?;
            now(inner.commit(b"", client))?;
            let stored = store.files().remove(&name).expect("it was committed");
            let contents = store.known.contents.get(&name);
            assert!(
                contents.is_some_and(|contents| contents.contains(&stored)),
                "{name} is stored with {} bytes that nobody has sent so",
                stored.len()
            );
            Ok(())
        })
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
