//! Keeps files below one root folder; the kernel enforces that nothing outside can be reached.
//!
//! Nothing but regular files is opened. To open a pipe or a device is an act: a writer that waits
//! for a reader would go on.

use super::backlog::Slip;
use super::file_blob::FileBlob;
use super::listing::Lists;
use super::part_name;
use super::root::{Beneath, Root};
use super::upload::{self, FileUpload, Place};
use super::workers::Workers;
use super::{Content, Reply, Requester, Store, StoreSettings, Upload};
use crate::session::blob::Blob;
use crate::session::completions::Completions;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::path::DecInt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// The files below a root folder.
pub struct FileStore {
    files: Arc<Files>,
    workers: Workers,
    lists: Lists,
}

impl FileStore {
    /// Opens the root, which must be a folder. Leftovers of a crash are swept away.
    pub fn open(root: &Path, settings: StoreSettings) -> io::Result<FileStore> {
        let root = Arc::new(Root::open(root)?);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own_descriptors = rustix::fs::open("/proc/self/fd", flags, Mode::empty()).ok();
        if !settings.read_only {
            part_name::sweep(root.folder());
        }
        Ok(FileStore {
            files: Arc::new(Files {
                root,
                settings,
                own_descriptors,
            }),
            workers: Workers::default(),
            lists: Lists::new(settings.listing),
        })
    }

    /// From now on work is left to helper threads, which say here what is done.
    pub fn start_workers(&self, completions: Completions) {
        self.workers.start(self.files.settings.batch, completions);
    }

    /// Looks whether the root is still there.
    pub fn look_after(&self) {
        self.files.root.look();
    }

    /// The root itself, for rules about what lies below it.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.files.root.as_fd()
    }

    fn may_write(&self, client: Requester) -> Result<(), StoreError> {
        let settings = &self.files.settings;
        if settings.read_only {
            return Err(StoreError::ReadOnly);
        }
        let is_full = self
            .workers
            .backlog()
            .is_full(client.address, &settings.backlog);
        if is_full {
            return Err(StoreError::Backlog);
        }
        Ok(())
    }

    /// Acts at once if `path` is at hand, and on a worker if only the disk knows it. The act gets
    /// what is there, if it is at hand; `None` is the root.
    fn reach<T: Send + 'static>(
        &self,
        path: Option<&str>,
        client: Requester,
        act: impl FnOnce(&Files, Option<OwnedFd>) -> Result<T, StoreError> + Send + 'static,
    ) -> Reply<T> {
        let Some(path) = path else {
            return Pending::Ready(act(&self.files, None));
        };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::CACHED;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match rustix::fs::openat2(&self.files.root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::XDEV) => {
                let files = self.files.clone();
                let act = move || act(&files, None);
                self.workers.spawn(client.session, act)
            }
            // Found, or an error that the act will find again, without a wait.
            found => Pending::Ready(act(&self.files, found.ok())),
        }
    }
}

impl Store for FileStore {
    fn open(&self, name: &str, client: Requester) -> Reply<Content> {
        self.files.root.look_again();
        let (path, name) = (Some(name), name.to_owned());
        let open = move |files: &Files, found| files.explained(files.open(&name, found));
        let (workers, settings) = (self.workers.clone(), self.files.settings);
        self.reach(path, client, open).map(move |opened| {
            let (file, length) = opened?;
            let blob = FileBlob::new(file, workers, &settings, Some(length));
            Ok((Rc::new(blob) as Rc<dyn Blob>, length))
        })
    }

    fn size(&self, name: &str, client: Requester) -> Reply<u64> {
        self.files.root.look_again();
        let (path, name) = (Some(name), name.to_owned());
        self.reach(path, client, move |files, _| {
            files.explained(files.size(&name))
        })
    }

    fn remove(&self, name: &str, client: Requester) -> Reply<()> {
        self.files.root.look();
        if let Err(error) = self.may_write(client) {
            return Pending::Ready(self.files.explained(Err(error)));
        }
        let (path, name) = (Some(name), name.to_owned());
        let find = move |files: &Files, _| files.explained(files.removable(&name));
        let (files, workers) = (self.files.clone(), self.workers.clone());
        self.reach(path, client, find).then(move |found| {
            let (folder, leaf) = match found {
                Ok(found) => found,
                Err(error) => return Pending::Ready(Err(error)),
            };
            workers.spawn_synced(client, false, move |slip| {
                files.explained(files.remove(&folder, &leaf, slip))
            })
        })
    }

    fn create(&self, name: &str, size: Option<u64>, client: Requester) -> Reply<Box<dyn Upload>> {
        self.files.root.look();
        if let Err(error) = self.may_write(client) {
            return Pending::Ready(Err(self.files.root.explain_folder(error)));
        }
        // The name itself may be free; whether it is, the folder's pages say.
        let (path, name) = (
            name.rsplit_once('/').map(|(folder, _)| folder),
            name.to_owned(),
        );
        let begin = move |files: &Files, _| {
            let begun = files.begin(&name, size.unwrap_or(0));
            begun.map_err(|error| files.root.explain_folder(error))
        };
        let (files, workers) = (self.files.clone(), self.workers.clone());
        self.reach(path, client, begin).map(move |begun| {
            let (file, place) = begun?;
            let upload = FileUpload::new(&files.root, file, place, workers, &files.settings);
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
    }

    fn largest(&self) -> u64 {
        self.files.settings.largest
    }

    fn list(&self, folder: Option<&str>, client: Requester) -> Reply<Content> {
        self.files.root.look();
        let (path, name) = (folder, folder.map(str::to_owned));
        let open = move |files: &Files, _| {
            let opened = files.listed(name.as_deref());
            opened.map_err(|error| files.root.explain_folder(error))
        };
        let (lists, workers) = (self.lists.clone(), self.workers.clone());
        self.reach(path, client, open)
            .then(move |folder| match folder {
                Ok(folder) => lists.ask(folder, workers, client.session),
                Err(error) => Pending::Ready(Err(error)),
            })
    }
}

/// What the loop and the workers share.
struct Files {
    root: Arc<Root>,
    settings: StoreSettings,
    /// `/proc/self/fd`: there, what was looked at can be opened.
    own_descriptors: Option<OwnedFd>,
}

impl Files {
    fn explained<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        done.map_err(|error| self.root.explain(error))
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

    fn open(&self, name: &str, found: Option<OwnedFd>) -> Result<(File, u64), StoreError> {
        if part_name::is_own(name) {
            return Err(StoreError::NotFound);
        }
        let found = match found {
            Some(found) => found,
            None => self.open_as(name, OFlags::PATH)?,
        };
        let stat = rustix::fs::fstat(&found)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(StoreError::NotAFile);
        }
        Ok((self.open_found(&found, name)?.into(), stat.st_size as u64))
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

    fn size(&self, name: &str) -> Result<u64, StoreError> {
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

    /// Where a file is that can be removed.
    fn removable(&self, name: &str) -> Result<(Arc<Dir>, String), StoreError> {
        if part_name::is_own(name) {
            return Err(StoreError::NotFound);
        }
        let (folder, leaf) = self.locate(name)?;
        if replaceable(&folder, leaf)?.is_none() {
            return Err(StoreError::NotFound);
        }
        Ok((folder, leaf.to_owned()))
    }

    fn remove(&self, folder: &Dir, leaf: &str, slip: &Slip) -> Result<Option<OwnedFd>, StoreError> {
        // First what can be lacking, so that a refusal leaves the file where it is.
        let to_sync = if self.settings.sync && slip.is_awaited() {
            upload::folder_to_sync(folder)?
        } else {
            None
        };
        rustix::fs::unlinkat(folder, leaf, AtFlags::empty())?;
        Ok(to_sync)
    }

    fn begin(&self, name: &str, size: u64) -> Result<(File, Place), StoreError> {
        if part_name::is_own(name) {
            return Err(StoreError::BadName);
        }
        if size > self.settings.largest {
            return Err(StoreError::TooLarge(self.settings.largest));
        }
        let (folder, leaf) = self.locate(name)?;
        let replaced = replaceable(&folder, leaf)?;
        if free_space(&folder).is_some_and(|free| size > free) {
            return Err(StoreError::NoSpace);
        }
        let mut place = Place::new(folder, leaf, replaced);
        Ok((place.begin()?, place))
    }

    fn listed(&self, folder: Option<&str>) -> Result<Beneath, StoreError> {
        // A removed folder can be opened, and has no entries.
        if folder.is_none() && self.root.is_removed() {
            return Err(StoreError::NoFolder);
        }
        Ok(Beneath::open(&self.root, folder)?)
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
