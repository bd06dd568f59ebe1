//! The store on a disk: files below one root folder. The kernel enforces that no name leaves it.
//!
//! Only regular files are opened for reading. Opening a pipe or a device has side effects: a
//! writer that waits for a reader would continue.

use super::backlog::JobStatus;
use super::buffers::Buffers;
use super::cold_files::ColdFiles;
use super::disk_file::DiskFile;
use super::file_blob::{BlobShared, FileBlob};
use super::found::{Cached, Found};
use super::listing::{FolderStamp, Lists};
use super::open_files::OpenFiles;
use super::part_name;
use super::place::{self, FsKind, Place, Places};
use super::root::{ListedFolder, Look, Root};
use super::slots::Slots;
use super::upload::{self, Destination, FileUpload};
use super::workers::{JobKind, Workers};
use super::{
    Content, FileVersion, ListStyle, OpenFile, Requester, Store, StoreReply, StoreSettings, Upload,
};
use crate::session::completions::Completions;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, StatxFlags};
use rustix::io::Errno;
use rustix::path::DecInt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The files below a root folder.
pub struct FileStore {
    files: Arc<SharedFiles>,
    workers: Workers,
    lists: Lists,
    blobs: Rc<BlobShared>,
    /// Whether a job checks the path of the root.
    checking: Arc<AtomicBool>,
}

impl FileStore {
    /// Opens the root, which must be a folder.
    pub fn open(root: &Path, settings: StoreSettings) -> io::Result<FileStore> {
        let root = Arc::new(Root::open(root)?);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc_self_fd = rustix::fs::open("/proc/self/fd", flags, Mode::empty()).ok();
        let (places, workers) = (Places::default(), Workers::default());
        let blobs = Rc::new(BlobShared {
            inline_limit: settings.inline_limit,
            stage_limit: settings.stage,
            cold_files: ColdFiles::default(),
            open_files: OpenFiles::default(),
            buffers: Buffers::new(settings.buffers),
            slots: Slots::new(settings.pieces, &workers),
        });
        Ok(FileStore {
            files: Arc::new(SharedFiles {
                root_place: places.learn(&root)?,
                root,
                places,
                workers: workers.clone(),
                settings,
                proc_self_fd,
            }),
            workers,
            lists: Lists::new(settings.listing),
            blobs,
            checking: Arc::default(),
        })
    }

    /// Runs slow work on helper threads from now on; `completions` receives the finished sessions.
    pub fn start_workers(&self, completions: Completions) {
        let settings = &self.files.settings;
        self.workers.start(settings.workers, completions);
        if !settings.read_only {
            let root = self.files.root.folder().clone();
            (self.workers).spawn_alone("sweep", move || part_name::sweep(&root));
        }
    }

    /// Called at the end of each round of the event loop.
    pub fn end_round(&self) {
        self.blobs.open_files.end_round();
    }

    /// Checks whether the root is still at its path, and warns the operator if not.
    pub fn check_root(&self) {
        let is_checked = self.files.root.check_path(Look::Cached);
        if is_checked || self.checking.swap(true, Ordering::Relaxed) {
            return;
        }
        let (files, checking) = (self.files.clone(), self.checking.clone());
        let lane = files.root_place.lane(JobKind::LookUps);
        self.workers.spawn_detached(lane, move || {
            files.root.check_path(Look::Full);
            checking.store(false, Ordering::Relaxed);
        });
    }

    /// The same only if the root was not at its path in the last check.
    fn recheck_root(&self) {
        if !self.files.root.was_here() {
            self.check_root();
        }
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
        let backlog = self.workers.backlog();
        match backlog.is_full(client.address, &settings.backlog) {
            true => Err(StoreError::Backlog),
            false => Ok(()),
        }
    }

    /// The file that was found, if another request of this round has opened it.
    fn shared(&self, name: &str, found: Option<&Found>) -> Option<(Rc<DiskFile>, FileVersion)> {
        let found = found.filter(|found| found.place.kind != FsKind::Remote)?;
        let version = found.version;
        let file = (self.blobs.open_files).get(found.place.device, version.inode)?;
        (!part_name::is_own(name)).then_some((file, version))
    }

    /// Calls `act` at once if that cannot wait for a disk or a server, and otherwise in a job of
    /// this kind. `act` gets the file if the caches know it. The path `None` is the root.
    fn dispatch<T: Send + 'static>(
        &self,
        kind: JobKind,
        path: Option<&str>,
        client: Requester,
        act: impl FnOnce(&SharedFiles, Option<Found>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreReply<T> {
        self.dispatch_known(kind, self.files.look(path), client, act)
    }

    /// The same for a path that was looked up.
    fn dispatch_known<T: Send + 'static>(
        &self,
        kind: JobKind,
        cached: Cached,
        client: Requester,
        act: impl FnOnce(&SharedFiles, Option<Found>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreReply<T> {
        let is_here = match cached.place.kind {
            FsKind::Memory => cached.is_known,
            FsKind::Local => cached.is_known && kind == JobKind::LookUps,
            FsKind::Remote => false,
        };
        if is_here {
            return Pending::Ready(act(&self.files, cached.found));
        }
        let lane = cached.place.lane(kind);
        if let Err(error) = self.workers.check(lane) {
            return Pending::Ready(Err(error));
        }
        let files = self.files.clone();
        // The job finds the file again: a job that waits holds no descriptor.
        let act = move || act(&files, None);
        self.workers.spawn(lane, client.session, act)
    }
}

impl Store for FileStore {
    fn open(&self, name: &str, client: Requester) -> StoreReply<OpenFile> {
        self.recheck_root();
        let cached = self.files.look(Some(name));
        let (blobs, session) = (self.blobs.clone(), client.session);
        if let Some((file, version)) = self.shared(name, cached.found.as_ref()) {
            let blob = Rc::new(FileBlob::new(file, version.inode, session, blobs));
            return Pending::Ready(Ok(OpenFile { blob, version }));
        }
        let name = name.to_owned();
        let open = move |files: &SharedFiles, found| files.explain(files.open(&name, found));
        let opened = self.dispatch_known(JobKind::LookUps, cached, client, open);
        opened.map(move |opened| {
            let (file, version) = opened?;
            let file = blobs.open_files.share(file, version.inode);
            let blob = Rc::new(FileBlob::new(file, version.inode, session, blobs));
            Ok(OpenFile { blob, version })
        })
    }

    fn size(&self, name: &str, client: Requester) -> StoreReply<u64> {
        self.recheck_root();
        if let Some(found) = self.files.look(Some(name)).found {
            // Also behind a server: the caches know the length.
            return Pending::Ready(self.files.explain(size(name, &found)));
        }
        let (path, name) = (Some(name), name.to_owned());
        self.dispatch(JobKind::LookUps, path, client, move |files, _| {
            files.explain(files.find(&name).and_then(|found| size(&name, &found)))
        })
    }

    fn remove(&self, name: &str, client: Requester) -> StoreReply<()> {
        self.check_root();
        if let Err(error) = self.may_write(client) {
            return Pending::Ready(self.files.explain(Err(error)));
        }
        let (path, name) = (Some(name), name.to_owned());
        let find = move |files: &SharedFiles, _| files.explain(files.removable(&name));
        let (files, workers) = (self.files.clone(), self.workers.clone());
        let found = self.dispatch(JobKind::LookUps, path, client, find);
        found.then(move |found| {
            let (folder, leaf, place) = match found {
                Ok(found) => found,
                Err(error) => return Pending::Ready(Err(error)),
            };
            workers.spawn_synced(place.device, client, false, move |status| {
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
        self.check_root();
        if let Err(error) = self.may_write(client) {
            return Pending::Ready(Err(self.files.root.explain_folder(error)));
        }
        // The folder decides where: only in memory, the file is created and its name looked up
        // here.
        let (path, name) = (
            name.rsplit_once('/').map(|(folder, _)| folder),
            name.to_owned(),
        );
        let begin = move |files: &SharedFiles, _| {
            let begun = files.create_upload(&name, size.unwrap_or(0));
            begun.map_err(|error| files.root.explain_folder(error))
        };
        let (files, workers) = (self.files.clone(), self.workers.clone());
        let blobs = self.blobs.clone();
        let begun = self.dispatch(JobKind::Writes, path, client, begin);
        begun.map(move |begun| {
            let (file, destination) = begun?;
            let blob = Rc::new(FileBlob::new(Rc::new(file), 0, client.session, blobs));
            let upload = FileUpload::new(&files.root, blob, destination, workers, &files.settings);
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
    }

    fn largest(&self) -> u64 {
        self.files.settings.largest
    }

    fn list(
        &self,
        folder: Option<&str>,
        style: ListStyle,
        client: Requester,
    ) -> StoreReply<Content> {
        self.check_root();
        let (path, name) = (folder, folder.map(str::to_owned));
        let open = move |files: &SharedFiles, _| {
            let opened = files.open_folder(name.as_deref());
            opened.map_err(|error| files.root.explain_folder(error))
        };
        let (lists, workers) = (self.lists.clone(), self.workers.clone());
        let opened = self.dispatch(JobKind::LookUps, path, client, open);
        opened.then(move |opened| match opened {
            Ok((folder, seen)) => lists.request(folder, style, seen, workers, client.session),
            Err(error) => Pending::Ready(Err(error)),
        })
    }
}

/// Shared by the loop and the helper threads.
struct SharedFiles {
    root: Arc<Root>,
    root_place: Place,
    places: Places,
    workers: Workers,
    settings: StoreSettings,
    /// `/proc/self/fd`, to open a file through its O_PATH descriptor.
    proc_self_fd: Option<OwnedFd>,
}

impl SharedFiles {
    fn explain<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        done.map_err(|error| self.root.explain(error))
    }

    /// What the caches know about a path. This never waits.
    fn look(&self, path: Option<&str>) -> Cached {
        let (found, is_known) = match path.map(|path| self.look_up(path)) {
            None => (None, true),
            Some(Ok(found)) => (Some(found), true),
            Some(Err(errno)) => (None, !matches!(errno, Errno::AGAIN | Errno::XDEV)),
        };
        let place = match &found {
            Some(found) => found.place,
            None => self.last_known_folder(path.unwrap_or_default()),
        };
        Cached {
            found,
            is_known,
            place,
        }
    }

    /// Fails with AGAIN if the caches do not know the path, and with XDEV if a link leads out.
    fn look_up(&self, path: &str) -> Result<Found, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::CACHED;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)?;
        let stat = place::stat(&fd)?;
        let place = self.places.of(place::device(&stat));
        Ok(Found::new(fd, &stat, place))
    }

    /// The place of the last folder of a path that the caches know, found by bisection: a path
    /// may have hundreds of components.
    fn last_known_folder(&self, path: &str) -> Place {
        let ends: Vec<usize> = path.match_indices('/').map(|(end, _)| end).collect();
        let (mut known, mut unknown, mut place) = (0, ends.len() + 1, self.root_place);
        while unknown - known > 1 {
            let middle = known.midpoint(unknown);
            match self.look_up(&path[..ends[middle - 1]]) {
                Ok(found) => (known, place) = (middle, found.place),
                Err(_) => unknown = middle,
            }
        }
        place
    }

    /// Finds a file, also on a disk or behind a server.
    fn find(&self, name: &str) -> Result<Found, StoreError> {
        let fd = self.open_as(name, OFlags::PATH)?;
        let flags = AtFlags::EMPTY_PATH;
        let stat = rustix::fs::statx(&fd, "", flags, StatxFlags::BASIC_STATS)?;
        let place = self.places.learn(&fd)?;
        Ok(Found::new(fd, &stat, place))
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

    fn open(
        &self,
        name: &str,
        found: Option<Found>,
    ) -> Result<(DiskFile, FileVersion), StoreError> {
        if part_name::is_own(name) {
            return Err(StoreError::NotFound);
        }
        let found = match found {
            Some(found) => found,
            None => self.find(name)?,
        };
        require_file(found.kind)?;
        let file = self.open_found(&found.fd, name)?.into();
        let large = self.settings.large;
        let file = DiskFile::to_read(file, found.place, &self.workers, large, found.version);
        Ok((file, found.version))
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

    /// The parent folder and the name of a file that can be removed, and its place.
    fn removable(&self, name: &str) -> Result<(Arc<Dir>, String, Place), StoreError> {
        if part_name::is_own(name) {
            return Err(StoreError::NotFound);
        }
        let (folder, leaf) = self.locate(name)?;
        if replaceable(&folder, leaf)?.is_none() {
            return Err(StoreError::NotFound);
        }
        let place = self.places.learn(&folder)?;
        Ok((folder, leaf.to_owned(), place))
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

    fn create_upload(&self, name: &str, size: u64) -> Result<(DiskFile, Destination), StoreError> {
        if part_name::is_own(name) {
            return Err(StoreError::BadName);
        }
        if size > self.settings.largest {
            return Err(StoreError::TooLarge(self.settings.largest));
        }
        let (folder, leaf) = self.locate(name)?;
        let replaced = replaceable(&folder, leaf)?;
        if place::free_space(&folder).is_some_and(|free| size > free) {
            return Err(StoreError::NoSpace);
        }
        let (place, workers) = (self.places.learn(&folder)?, &self.workers);
        let mut destination = Destination::new(folder, leaf, replaced, place, workers);
        let file = destination.create()?;
        Ok((DiskFile::to_write(file, place, workers), destination))
    }

    fn open_folder(&self, folder: Option<&str>) -> Result<(ListedFolder, FolderStamp), StoreError> {
        // A removed folder can be opened and is empty.
        if folder.is_none() && self.root.is_removed() {
            return Err(StoreError::NoFolder);
        }
        let folder = ListedFolder::open(&self.root, folder)?;
        let seen = FolderStamp::now(folder.folder())?;
        // The next request need not ask for it.
        self.places.learn(folder.folder())?;
        Ok((folder, seen))
    }
}

fn size(name: &str, found: &Found) -> Result<u64, StoreError> {
    if part_name::is_own(name) {
        return Err(StoreError::NotFound);
    }
    require_file(found.kind).map(|()| found.version.length)
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
