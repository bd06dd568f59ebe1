//! Keeps files below one root folder; the kernel enforces that nothing outside can be reached.
//! Knows no protocol and no links: `root.rs` resolves the names.
//!
//! Nothing but regular files is opened. To open a pipe or a device is an act: a writer that waits
//! for a reader would go on.

use super::backlog::{BacklogLimits, Slip};
use super::file_blob::FileBlob;
use super::listing::{ListingLimits, Lists};
use super::part_name;
use super::root::{Beneath, Root};
use super::upload::{self, FileUpload, Place, Storing};
use super::workers::Disk;
use crate::session::blob::Blob;
use crate::session::completions::Completions;
use crate::session::notice::PeerId;
use crate::store::error::StoreError;
use crate::store::{Errand, Listing, Purpose, Store, Upload};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::path::DecInt;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

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
    /// Uploads and removals under way whose peers are gone.
    pub backlog: BacklogLimits,
    /// Bounds of `ls`.
    pub listing: ListingLimits,
}

/// The files below a root folder.
pub struct FileStore {
    root: Arc<Root>,
    disk: Disk,
    settings: StoreSettings,
    /// Where the peer comes from for whom files are changed.
    served: Cell<IpAddr>,
    /// `/proc/self/fd`: there, what was looked at can be opened.
    own_descriptors: Option<OwnedFd>,
    lists: Lists,
    /// Found at hand while it was looked up, to be opened right after.
    found: RefCell<Option<(Box<str>, OwnedFd)>>,
}

impl FileStore {
    /// Opens the root, which must be a folder. Leftovers of a crash are swept away.
    pub fn open(root: &Path, settings: StoreSettings) -> io::Result<FileStore> {
        let root = Root::open(root)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own_descriptors = rustix::fs::open("/proc/self/fd", flags, Mode::empty()).ok();
        if !settings.read_only {
            part_name::sweep(root.folder());
        }
        Ok(FileStore {
            root: Arc::new(root),
            disk: Disk::default(),
            settings,
            served: Cell::new(IpAddr::from([0; 4])),
            own_descriptors,
            lists: Lists::new(settings.listing),
            found: RefCell::default(),
        })
    }

    /// From now on work is left to helper threads, which say here what is done.
    pub fn start_workers(&self, completions: Completions) {
        self.disk.start(self.settings.batch, completions);
    }

    /// Looks whether the root is still there.
    pub fn look_after(&self) {
        self.root.look();
    }

    /// The root itself, for rules about what lies below it.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The folder that holds `name`, and the name's last component.
    fn locate<'a>(&self, name: &'a str) -> Result<(Arc<Dir>, &'a str), StoreError> {
        let (folder, leaf) = match name.rsplit_once('/') {
            None => (self.root.folder().clone(), name),
            Some((folder, leaf)) => {
                // The folder of `/a` is the empty string, and absolute names lead outside.
                let folder = if folder.is_empty() { "/" } else { folder };
                (self.root.open_folder(folder)?, leaf)
            }
        };
        match leaf {
            "" | "." | ".." => Err(StoreError::NotAFile),
            _ => Ok((folder, leaf)),
        }
    }

    fn may_write(&self) -> Result<(), StoreError> {
        if self.settings.read_only {
            return Err(StoreError::ReadOnly);
        }
        let backlog = self.disk.backlog();
        if backlog.is_full(self.served.get(), &self.settings.backlog) {
            return Err(StoreError::Backlog);
        }
        Ok(())
    }

    fn open_file(&self, name: &str) -> Result<(Rc<dyn Blob>, u64), StoreError> {
        if part_name::is_own(name) {
            return Err(StoreError::NotFound);
        }
        let found = match self.found.take() {
            Some((found, file)) if *found == *name => file,
            _ => self.open_as(name, OFlags::PATH)?,
        };
        let stat = rustix::fs::fstat(&found)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(StoreError::NotAFile);
        }
        let file = self.open_found(&found, name)?;
        let length = stat.st_size as u64;
        let blob = FileBlob::new(file.into(), &self.disk, &self.settings, Some(length));
        Ok((Rc::new(blob), length))
    }

    fn open_as(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits() as i32);
        let open = |root: &Dir, path: &Path| root.open_with(path, &options);
        Ok(self.root.resolve(name, open)?.into_std().into())
    }

    /// Opens the very file that was looked at, whatever has its name by now.
    fn open_found(&self, found: &OwnedFd, name: &str) -> Result<OwnedFd, StoreError> {
        // Even so, the one thread must not wait for what is opened.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let Some(descriptors) = &self.own_descriptors else {
            // Without /proc, what takes the file's place in this moment is opened.
            return Ok(self.open_as(name, flags)?);
        };
        let (number, flags) = (DecInt::from_fd(found), flags | OFlags::CLOEXEC);
        Ok(rustix::fs::openat(
            descriptors,
            number,
            flags,
            Mode::empty(),
        )?)
    }

    fn size_of(&self, name: &str) -> Result<u64, StoreError> {
        if part_name::is_own(name) {
            return Err(StoreError::NotFound);
        }
        let metadata = self.root.metadata(name)?;
        if metadata.is_file() {
            Ok(metadata.len())
        } else {
            Err(StoreError::NotAFile)
        }
    }

    fn remove_file(&self, name: &str, for_peer: PeerId) -> Result<Box<dyn Errand>, StoreError> {
        self.may_write()?;
        if part_name::is_own(name) {
            return Err(StoreError::NotFound);
        }
        let (folder, leaf) = self.locate(name)?;
        if replaceable(&folder, leaf)?.is_none() {
            return Err(StoreError::NotFound);
        }
        let (root, leaf, sync) = (self.root.clone(), leaf.to_owned(), self.settings.sync);
        let remove = move |slip: &Slip| {
            let sync = sync && slip.is_awaited();
            // First what can be lacking, so that a refusal leaves the file where it is.
            let to_sync = if sync {
                upload::folder_to_sync(&folder)?
            } else {
                None
            };
            rustix::fs::unlinkat(&folder, leaf, AtFlags::empty())?;
            Ok(to_sync)
        };
        let remove = move |slip: &Slip| remove(slip).map_err(|error| root.explain(error));
        let removing = self
            .disk
            .ask_durably((for_peer, self.served.get()), false, remove);
        Ok(Box::new(Storing(removing)))
    }

    fn begin_upload(&self, name: &str, size: Option<u64>) -> Result<Box<dyn Upload>, StoreError> {
        self.may_write()?;
        if part_name::is_own(name) {
            return Err(StoreError::BadName);
        }
        let size = size.unwrap_or(0);
        if size > self.settings.largest {
            return Err(StoreError::TooLarge(self.settings.largest));
        }
        let (folder, leaf) = self.locate(name)?;
        let replaced = replaceable(&folder, leaf)?;
        if free_space(&folder).is_some_and(|free| size > free) {
            return Err(StoreError::NoSpace);
        }
        let place = Place::new(folder, leaf, replaced);
        let upload = FileUpload::begin(
            &self.root,
            self.served.get(),
            place,
            &self.disk,
            &self.settings,
        )?;
        Ok(Box::new(upload))
    }

    fn list_folder(
        &self,
        folder: Option<&str>,
        for_peer: PeerId,
    ) -> Result<Box<dyn Listing>, StoreError> {
        // A removed folder can be opened, and has no entries.
        if folder.is_none() && self.root.is_removed() {
            return Err(StoreError::NoFolder);
        }
        let folder = Beneath::open(&self.root, folder)?;
        Ok(Box::new(self.lists.ask(folder, &self.disk, for_peer)?))
    }
}

impl Store for FileStore {
    fn serve(&self, address: IpAddr) {
        self.served.set(address);
    }

    fn look_up(&self, name: &str, purpose: Purpose, for_peer: PeerId) -> Option<Box<dyn Errand>> {
        if part_name::is_own(name) {
            return None;
        }
        let path = match purpose {
            Purpose::Open | Purpose::Look => name,
            // The name itself may be free; whether it is, the folder's pages say.
            Purpose::Put => name.rsplit_once('/').map_or(".", |(folder, _)| folder),
        };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::CACHED;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve) {
            Ok(found) if purpose == Purpose::Open => {
                self.found.replace(Some((name.into(), found)));
            }
            Err(Errno::AGAIN | Errno::XDEV) => {
                let (root, path) = (self.root.clone(), path.to_owned());
                let asked = self.disk.ask(for_peer, move || {
                    drop(root.metadata(&path));
                    Ok(())
                });
                return Some(Box::new(Storing(asked)));
            }
            // Found, or an error that the call itself will find again, without a wait.
            Ok(_) | Err(_) => {}
        }
        None
    }

    fn open(&self, name: &str) -> Result<(Rc<dyn Blob>, u64), StoreError> {
        self.root.look_again();
        let opened = self.open_file(name);
        opened.map_err(|error| self.root.explain(error))
    }

    fn size(&self, name: &str) -> Result<u64, StoreError> {
        self.root.look_again();
        let size = self.size_of(name);
        size.map_err(|error| self.root.explain(error))
    }

    fn remove(&self, name: &str, for_peer: PeerId) -> Result<Box<dyn Errand>, StoreError> {
        self.root.look();
        let removing = self.remove_file(name, for_peer);
        removing.map_err(|error| self.root.explain(error))
    }

    fn create(&self, name: &str, size: Option<u64>) -> Result<Box<dyn Upload>, StoreError> {
        self.root.look();
        let upload = self.begin_upload(name, size);
        upload.map_err(|error| self.root.explain_folder(error))
    }

    fn largest(&self) -> u64 {
        self.settings.largest
    }

    fn list(&self, folder: Option<&str>, for_peer: PeerId) -> Result<Box<dyn Listing>, StoreError> {
        self.root.look();
        let listing = self.list_folder(folder, for_peer);
        listing.map_err(|error| self.root.explain_folder(error))
    }
}

/// The bytes that are free, where the file system counts them: a tmpfs without a limit, ramfs and
/// some of FUSE report no blocks at all.
fn free_space(folder: &Dir) -> Option<u64> {
    let disk = rustix::fs::fstatvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    (bytes(disk.f_blocks) > 0).then(|| bytes(disk.f_bavail))
}

/// What has this name. What is neither file nor link is left alone.
fn replaceable(folder: &Dir, leaf: &str) -> Result<Option<Stat>, StoreError> {
    match rustix::fs::statat(folder, leaf, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile | FileType::Symlink => Ok(Some(stat)),
            _ => Err(StoreError::NotAFile),
        },
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
