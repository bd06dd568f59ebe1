//! The parts of the file store that the loop and the helper threads share: finds and opens files
//! below the root.

use super::disk_file::DiskFile;
use super::entry::{Entry, require_file};
use super::found::{Cached, Found};
use super::listing::FolderStamp;
use super::part_name;
use super::place::{self, FsKind, Place, Places};
use super::quota::{Quota, Reservation};
use super::root::{ListedFolder, Root};
use super::upload::Destination;
use super::workers::{JobKind, Workers};
use super::{FileVersion, Requester, StoreReply, StoreSettings};
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use rustix::path::DecInt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

/// What is to be renamed.
pub(super) struct Movable {
    pub entry: Entry,
    /// Whether it is a folder or a link to one.
    pub is_folder: bool,
}

/// Shared by the loop and the helper threads.
pub(super) struct SharedFiles {
    pub root: Arc<Root>,
    pub root_place: Place,
    pub places: Places,
    pub workers: Workers,
    pub quota: Arc<Quota>,
    pub settings: StoreSettings,
    /// `/proc/self/fd`, to open a file through its O_PATH descriptor.
    pub proc_self_fd: Option<OwnedFd>,
}

impl SharedFiles {
    pub fn explain<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        done.map_err(|error| self.root.explain(error))
    }

    /// Calls `act` at once if that cannot wait for a disk or a server, and otherwise in a job of
    /// this kind. `act` gets the file if the caches know it. The path `None` is the root.
    pub fn dispatch<T: Send + 'static>(
        self: &Arc<Self>,
        kind: JobKind,
        path: Option<&str>,
        client: Requester,
        act: impl FnOnce(&SharedFiles, Option<Found>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreReply<T> {
        self.dispatch_known(kind, self.look(path), client, act)
    }

    /// The same for a path that was looked up.
    pub fn dispatch_known<T: Send + 'static>(
        self: &Arc<Self>,
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
            return Pending::Ready(act(self, cached.found));
        }
        let lane = cached.place.lane(kind);
        if let Err(error) = self.workers.check(lane) {
            return Pending::Ready(Err(error));
        }
        let files = self.clone();
        // The job finds the file again: a job that waits holds no descriptor.
        let act = move || act(&files, None);
        self.workers.spawn(lane, client.session, act)
    }

    /// What the caches know about a path. This never waits.
    pub fn look(&self, path: Option<&str>) -> Cached {
        let (found, is_known) = match path.map(|path| self.look_up(path)) {
            None => (None, true),
            Some(Ok(found)) => (Some(found), true),
            // Before Linux 5.12 the kernel does not tell, and before 5.6 it has no openat2(2).
            Some(Err(Errno::AGAIN | Errno::XDEV | Errno::INVAL | Errno::NOSYS)) => (None, false),
            Some(Err(_)) => (None, true),
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
    pub fn find(&self, name: &str) -> Result<Found, StoreError> {
        self.found(self.open_as(name, OFlags::PATH)?)
    }

    fn found(&self, fd: OwnedFd) -> Result<Found, StoreError> {
        let flags = AtFlags::EMPTY_PATH;
        let stat = rustix::fs::statx(&fd, "", flags, StatxFlags::BASIC_STATS)?;
        let place = self.places.learn(&fd)?;
        Ok(Found::new(fd, &stat, place))
    }

    pub fn open(
        &self,
        name: &str,
        found: Option<Found>,
    ) -> Result<(DiskFile, FileVersion), StoreError> {
        if part_name::is_own(name) {
            return Err(StoreError::NotFound);
        }
        let (found, file) = match found {
            Some(found) => self.open_path(found, name)?,
            None => self.find_and_open(name)?,
        };
        let file = file.into();
        let large = self.settings.large;
        let file = DiskFile::to_read(file, found.place, &self.workers, large, found.version);
        Ok((file, found.version))
    }

    /// Finds and opens a file. Where several machines or programs use a file system, another one
    /// may replace the file between the two: then its new name leads to the next one.
    fn find_and_open(&self, name: &str) -> Result<(Found, OwnedFd), StoreError> {
        let mut tries = self.settings.reopens;
        loop {
            let opened = match self.open_as(name, OFlags::PATH) {
                // A name that is missing is an error of this line; the others have found it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error.into()),
                Err(error) => Err(error.into()),
                Ok(fd) => self.found(fd),
            };
            match opened.and_then(|found| self.open_path(found, name)) {
                Err(error) if tries > 0 && is_replaced(&error) => tries -= 1,
                Ok((found, file)) if tries > 0 && !is_version(&found, &file) => tries -= 1,
                opened => return opened,
            }
        }
    }

    fn open_path(&self, found: Found, name: &str) -> Result<(Found, OwnedFd), StoreError> {
        require_file(found.kind)?;
        let file = self.open_found(&found.fd, name)?;
        Ok((found, file))
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

    /// A name in its folder, and the place of that. A reserved name is this error.
    fn locate(&self, name: &str, if_reserved: StoreError) -> Result<(Entry, Place), StoreError> {
        if part_name::is_own(name) {
            return Err(if_reserved);
        }
        let entry = self.root.locate(name)?;
        let place = self.places.learn(&entry.folder)?;
        Ok((entry, place))
    }

    /// The same for the name of a file that can be removed.
    pub fn removable(&self, name: &str) -> Result<(Entry, Place), StoreError> {
        let (entry, place) = self.locate(name, StoreError::NotFound)?;
        match entry.replaceable()? {
            Some(_) => Ok((entry, place)),
            None => Err(StoreError::NotFound),
        }
    }

    /// The same for what can be renamed.
    pub fn movable(&self, name: &str) -> Result<(Movable, Place), StoreError> {
        let leaf = name.trim_end_matches('/');
        let (entry, place) = match self.locate(leaf, StoreError::NotFound) {
            // `.` and the like.
            Err(StoreError::Folder) => return Err(StoreError::BadName),
            located => located?,
        };
        let is_folder = match entry.movable()? {
            // A list shows a link to a folder with a slash.
            FileType::Symlink => self.root.metadata(leaf).is_ok_and(|found| found.is_dir()),
            kind => kind.is_dir(),
        };
        match leaf == name || is_folder {
            true => Ok((Movable { entry, is_folder }, place)),
            false => Err(StoreError::NotFound),
        }
    }

    /// The same for the new name of what is on this device.
    pub fn new_name(
        &self,
        name: &str,
        from: &Movable,
        device: u64,
    ) -> Result<(Entry, Place), StoreError> {
        let leaf = name.trim_end_matches('/');
        let (entry, place) = self.free_name(leaf)?;
        if leaf != name && !from.is_folder && entry.stat().is_err() {
            return Err(StoreError::SlashOfFile);
        }
        match place.device == device {
            true => Ok((entry, place)),
            false => Err(StoreError::OtherDevice),
        }
    }

    /// The same for a name that no file should have.
    pub fn free_name(&self, name: &str) -> Result<(Entry, Place), StoreError> {
        match self.locate(name, StoreError::BadName) {
            // `.` and the like.
            Err(StoreError::Folder) => Err(StoreError::Exists),
            located => located.map_err(|error| self.root.explain_folder(error)),
        }
    }

    pub fn create_upload(
        &self,
        name: &str,
        size: Option<u64>,
    ) -> Result<(DiskFile, Destination, Reservation), StoreError> {
        if size.is_some_and(|size| size > self.settings.largest) {
            return Err(StoreError::TooLarge(self.settings.largest));
        }
        let (entry, place) = self.locate(name, StoreError::BadName)?;
        let replaced = entry.replaceable()?;
        let Entry { folder, leaf } = entry;
        let (workers, free) = (&self.workers, place::free_space(&folder));
        let reservation = self.quota.reserve(size, place.device, free)?;
        let mut destination = Destination::new(folder, &leaf, replaced, place, workers);
        let file = destination.create()?;
        let file = DiskFile::to_write(file, place, workers);
        Ok((file, destination, reservation))
    }

    pub fn open_folder(
        &self,
        folder: Option<&str>,
    ) -> Result<(ListedFolder, FolderStamp), StoreError> {
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

/// The length of a file that was found.
pub(super) fn size(name: &str, found: &Found) -> Result<u64, StoreError> {
    if part_name::is_own(name) {
        return Err(StoreError::NotFound);
    }
    require_file(found.kind).map(|()| found.version.length)
}

/// Whether the open file is the version that was found. Programs behind FUSE open files by name: a
/// new version would be sent with the length of the old one.
fn is_version(found: &Found, file: &OwnedFd) -> bool {
    found.place.kind != FsKind::Remote
        || rustix::fs::fstat(file).is_ok_and(|stat| found.version == FileVersion::from(stat))
}

/// Whether a file that was found is gone: FUSE says that it is missing, NFS that it is stale.
fn is_replaced(error: &StoreError) -> bool {
    use io::ErrorKind::StaleNetworkFileHandle;
    matches!(
        error,
        StoreError::NotFound | StoreError::Other(StaleNetworkFileHandle)
    )
}
