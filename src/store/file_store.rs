//! The store on a disk: files below one root folder. The kernel enforces that no name leaves it.
//!
//! Only regular files are opened for reading. Opening a pipe or a device has side effects: a
//! writer that waits for a reader would continue.

use super::backlog::JobStatus;
use super::file_blob::FileBlob;
use super::listing::Lists;
use super::part_name;
use super::root::{ListedFolder, Root};
use super::upload::{self, Destination, FileUpload};
use super::workers::Workers;
use super::{Content, FileVersion, OpenFile, Requester, Store, StoreReply, StoreSettings, Upload};
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
    files: Arc<SharedFiles>,
    workers: Workers,
    lists: Lists,
}

impl FileStore {
    /// Opens the root, which must be a folder. Removes part files that a crash has left.
    pub fn open(root: &Path, settings: StoreSettings) -> io::Result<FileStore> {
        let root = Arc::new(Root::open(root)?);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc_self_fd = rustix::fs::open("/proc/self/fd", flags, Mode::empty()).ok();
        if !settings.read_only {
            part_name::sweep(root.folder());
        }
        Ok(FileStore {
            files: Arc::new(SharedFiles {
                root,
                settings,
                proc_self_fd,
            }),
            workers: Workers::default(),
            lists: Lists::new(settings.listing),
        })
    }

    /// Runs slow work on helper threads from now on; `completions` receives the finished sessions.
    pub fn start_workers(&self, completions: Completions) {
        self.workers.start(self.files.settings.batch, completions);
    }

    /// Checks whether the root is still at its path, and warns the operator if not.
    pub fn check_root(&self) {
        self.files.root.check_path();
    }

    /// The root folder, for the sandbox rules.
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

    /// Calls `act` at once if `path` resolves in the dentry cache, and on a helper thread if it
    /// needs the disk. `act` gets the resolved descriptor if there is one. The path `None` is the
    /// root.
    fn dispatch<T: Send + 'static>(
        &self,
        path: Option<&str>,
        client: Requester,
        act: impl FnOnce(&SharedFiles, Option<OwnedFd>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreReply<T> {
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
            // Resolved, or an error that `act` meets again without waiting.
            found => Pending::Ready(act(&self.files, found.ok())),
        }
    }
}

impl Store for FileStore {
    fn open(&self, name: &str, client: Requester) -> StoreReply<OpenFile> {
        self.files.root.recheck_path();
        let (path, name) = (Some(name), name.to_owned());
        let open = move |files: &SharedFiles, found| files.explain(files.open(&name, found));
        let (workers, settings) = (self.workers.clone(), self.files.settings);
        self.dispatch(path, client, open).map(move |opened| {
            let (file, version) = opened?;
            let blob = FileBlob::new(file, workers, &settings, Some(version.length));
            let blob = Rc::new(blob) as Rc<dyn Blob>;
            Ok(OpenFile { blob, version })
        })
    }

    fn size(&self, name: &str, client: Requester) -> StoreReply<u64> {
        self.files.root.recheck_path();
        let (path, name) = (Some(name), name.to_owned());
        self.dispatch(path, client, move |files, _| {
            files.explain(files.size(&name))
        })
    }

    fn remove(&self, name: &str, client: Requester) -> StoreReply<()> {
        self.files.root.check_path();
        if let Err(error) = self.may_write(client) {
            return Pending::Ready(self.files.explain(Err(error)));
        }
        let (path, name) = (Some(name), name.to_owned());
        let find = move |files: &SharedFiles, _| files.explain(files.removable(&name));
        let (files, workers) = (self.files.clone(), self.workers.clone());
        self.dispatch(path, client, find).then(move |found| {
            let (folder, leaf) = match found {
                Ok(found) => found,
                Err(error) => return Pending::Ready(Err(error)),
            };
            workers.spawn_synced(client, false, move |status| {
                files.explain(files.remove(&folder, &leaf, status))
            })
        })
    }

    fn create(
        &self,
        name: &str,
        size: Option<u64>,
        client: Requester,
    ) -> StoreReply<Box<dyn Upload>> {
        self.files.root.check_path();
        if let Err(error) = self.may_write(client) {
            return Pending::Ready(Err(self.files.root.explain_folder(error)));
        }
        // Only the folder is resolved: the name itself may not exist yet.
        let (path, name) = (
            name.rsplit_once('/').map(|(folder, _)| folder),
            name.to_owned(),
        );
        let begin = move |files: &SharedFiles, _| {
            let begun = files.create_upload(&name, size.unwrap_or(0));
            begun.map_err(|error| files.root.explain_folder(error))
        };
        let (files, workers) = (self.files.clone(), self.workers.clone());
        self.dispatch(path, client, begin).map(move |begun| {
            let (file, destination) = begun?;
            let upload = FileUpload::new(&files.root, file, destination, workers, &files.settings);
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
    }

    fn largest(&self) -> u64 {
        self.files.settings.largest
    }

    fn list(&self, folder: Option<&str>, client: Requester) -> StoreReply<Content> {
        self.files.root.check_path();
        let (path, name) = (folder, folder.map(str::to_owned));
        let open = move |files: &SharedFiles, _| {
            let opened = files.open_folder(name.as_deref());
            opened.map_err(|error| files.root.explain_folder(error))
        };
        let (lists, workers) = (self.lists.clone(), self.workers.clone());
        self.dispatch(path, client, open)
            .then(move |folder| match folder {
                Ok(folder) => lists.request(folder, workers, client.session),
                Err(error) => Pending::Ready(Err(error)),
            })
    }
}

/// Shared by the loop and the helper threads.
struct SharedFiles {
    root: Arc<Root>,
    settings: StoreSettings,
    /// `/proc/self/fd`, to open a file through its O_PATH descriptor.
    proc_self_fd: Option<OwnedFd>,
}

impl SharedFiles {
    fn explain<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        done.map_err(|error| self.root.explain(error))
    }

    /// The parent folder of `name`, and the last component.
    fn locate<'a>(&self, name: &'a str) -> Result<(Arc<Dir>, &'a str), StoreError> {
        let (folder, leaf) = match name.rsplit_once('/') {
            None => (self.root.folder().clone(), name),
            Some((folder, leaf)) => {
                // The parent of `/a` is the empty string; as `/` it is rejected like any absolute
                // name.
                let folder = if folder.is_empty() { "/" } else { folder };
                (self.root.open_folder(folder)?, leaf)
            }
        };
        match leaf {
            "" | "." | ".." => Err(StoreError::Folder),
            _ => Ok((folder, leaf)),
        }
    }

    fn open(&self, name: &str, found: Option<OwnedFd>) -> Result<(File, FileVersion), StoreError> {
        if part_name::is_own(name) {
            return Err(StoreError::NotFound);
        }
        let found = match found {
            Some(found) => found,
            None => self.open_as(name, OFlags::PATH)?,
        };
        let stat = rustix::fs::fstat(&found)?;
        require_file(FileType::from_raw_mode(stat.st_mode))?;
        Ok((self.open_found(&found, name)?.into(), stat.into()))
    }

    fn open_as(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits() as i32);
        let open = |root: &Dir, path: &Path| root.open_with(path, &options);
        Ok(self.root.resolve(name, open)?.into_std().into())
    }

    /// Opens the file of this descriptor, whatever file has its name now.
    fn open_found(&self, found: &OwnedFd, name: &str) -> Result<OwnedFd, StoreError> {
        // The event loop must not block in open(2).
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let Some(proc_self_fd) = &self.proc_self_fd else {
            // Without /proc the name is resolved again: a race with a rename opens the new file.
            return Ok(self.open_as(name, flags)?);
        };
        let (number, flags) = (DecInt::from_fd(found), flags | OFlags::CLOEXEC);
        Ok(rustix::fs::openat(
            proc_self_fd,
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

    /// The parent folder and the name of a file that can be removed.
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

    fn remove(
        &self,
        folder: &Dir,
        leaf: &str,
        status: &JobStatus,
    ) -> Result<((), Option<OwnedFd>), StoreError> {
        // Open the folder first: if that fails, the file is still there.
        let to_sync = if self.settings.sync && status.is_awaited() {
            upload::folder_to_sync(folder)?
        } else {
            None
        };
        rustix::fs::unlinkat(folder, leaf, AtFlags::empty())?;
        Ok(((), to_sync))
    }

    fn create_upload(&self, name: &str, size: u64) -> Result<(File, Destination), StoreError> {
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
        let mut destination = Destination::new(folder, leaf, replaced);
        Ok((destination.create()?, destination))
    }

    fn open_folder(&self, folder: Option<&str>) -> Result<ListedFolder, StoreError> {
        // A removed folder can be opened and is empty.
        if folder.is_none() && self.root.is_removed() {
            return Err(StoreError::NoFolder);
        }
        Ok(ListedFolder::open(&self.root, folder)?)
    }
}

/// Free bytes of the file system. `None` where it reports no blocks at all: tmpfs without a limit,
/// ramfs and some FUSE file systems.
fn free_space(folder: &Dir) -> Option<u64> {
    let disk = rustix::fs::fstatvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    (bytes(disk.f_blocks) > 0).then(|| bytes(disk.f_bavail))
}

/// An error unless it is a regular file.
fn require_file(kind: FileType) -> Result<(), StoreError> {
    match kind {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(StoreError::Folder),
        _ => Err(StoreError::NotAFile),
    }
}

/// The file or link that has this name; an error for anything else.
fn replaceable(folder: &Dir, leaf: &str) -> Result<Option<Stat>, StoreError> {
    match rustix::fs::statat(folder, leaf, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => Ok(Some(stat)),
            kind => require_file(kind).map(|()| Some(stat)),
        },
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
