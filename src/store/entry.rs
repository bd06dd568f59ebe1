//! A name in a folder, and the changes of names: removing, renaming, new folders.

use crate::store::error::StoreError;
use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A name in a folder. Whether a file has it is not known.
#[derive(Clone)]
pub(super) struct Entry {
    pub folder: Arc<Dir>,
    pub leaf: String,
}

/// What a change returns: the folder that must be synced, if any.
pub(super) type Changed = Result<Option<OwnedFd>, StoreError>;

impl Entry {
    /// The file or link that has this name; an error for anything else.
    pub fn replaceable(&self) -> Result<Option<Stat>, StoreError> {
        match self.stat() {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => Ok(Some(stat)),
                kind => require_file(kind).map(|()| Some(stat)),
            },
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// An error unless it is a file, a link or a folder.
    pub fn require_movable(&self) -> Result<(), StoreError> {
        match FileType::from_raw_mode(self.stat()?.st_mode) {
            FileType::Symlink | FileType::Directory => Ok(()),
            kind => require_file(kind),
        }
    }

    fn stat(&self) -> Result<Stat, Errno> {
        rustix::fs::statat(&self.folder, &*self.leaf, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Removes the file.
    pub fn remove(&self, sync: bool) -> Changed {
        // Open what is synced first: if that fails, the file is still there.
        let synced = self.to_sync(sync)?;
        rustix::fs::unlinkat(&self.folder, &*self.leaf, AtFlags::empty())?;
        synced.map_or(Ok(None), Synced::left)
    }

    /// Makes a folder of this name.
    pub fn make_folder(&self, sync: bool) -> Changed {
        let synced = self.to_sync(sync)?;
        // As other programs do: the umask decides.
        rustix::fs::mkdirat(&self.folder, &*self.leaf, Mode::from_raw_mode(0o777))?;
        synced.map_or(Ok(None), Synced::left)
    }

    /// Gives what has this name another one, which no file may have.
    pub fn rename(&self, to: &Entry, sync: bool) -> Changed {
        let (left, entered) = (self.to_sync(sync)?, to.to_sync(sync)?);
        self.rename_to_free(to)?;
        if let (Some(left), Some(entered)) = (&left, &entered) {
            // The new name first: after a crash there are two names rather than none.
            entered.sync()?;
            left.sync()?;
        }
        Ok(None)
    }

    fn rename_to_free(&self, to: &Entry) -> Result<(), Errno> {
        let (from, to) = ((&self.folder, &*self.leaf), (&to.folder, &*to.leaf));
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, flags) {
            // Some file systems cannot rename without replacing.
            Err(Errno::INVAL) => {}
            renamed => return renamed,
        }
        let is_folder = |stat: Stat| FileType::from_raw_mode(stat.st_mode).is_dir();
        if self.stat().is_ok_and(is_folder) {
            // At worst an empty folder is replaced that was made meanwhile.
            return match rustix::fs::statat(to.0, to.1, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(_) => rustix::fs::renameat(from.0, from.1, to.0, to.1),
            };
        }
        rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())?;
        rustix::fs::unlinkat(from.0, from.1, AtFlags::empty())
    }

    fn to_sync(&self, sync: bool) -> Result<Option<Synced>, Errno> {
        if !sync {
            return Ok(None);
        }
        if let Some(folder) = folder_to_sync(&self.folder)? {
            return Ok(Some(Synced::Folder(folder)));
        }
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::TMPFILE;
        match rustix::fs::openat(&self.folder, ".", flags, Mode::from_raw_mode(0o600)) {
            Ok(file) => Ok(Some(Synced::FileSystem(file))),
            // No such files here: the change could not be made durable.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => Err(Errno::ACCESS),
            Err(errno) => Err(errno),
        }
    }
}

/// What is synced after a change, opened before it.
enum Synced {
    /// The folder with the name.
    Folder(OwnedFd),
    /// The file system of a nameless file in the folder, which cannot be read.
    FileSystem(OwnedFd),
}

impl Synced {
    fn sync(&self) -> Result<(), Errno> {
        match self {
            Synced::Folder(folder) => rustix::fs::fsync(folder),
            Synced::FileSystem(file) => rustix::fs::syncfs(file),
        }
    }

    /// What is left to the caller: a folder, which other changes share.
    fn left(self) -> Changed {
        match self {
            Synced::Folder(folder) => Ok(Some(folder)),
            Synced::FileSystem(_) => Ok(self.sync().map(|()| None)?),
        }
    }
}

/// An error unless it is a regular file.
pub(super) fn require_file(kind: FileType) -> Result<(), StoreError> {
    match kind {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(StoreError::Folder),
        _ => Err(StoreError::NotAFile),
    }
}

/// Opens the folder for `fsync(2)`: syncing a file alone does not make its name durable.
pub(super) fn folder_to_sync(folder: &Dir) -> Result<Option<OwnedFd>, Errno> {
    // cap-std's own descriptor is O_PATH, which cannot be synced.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, ".", flags, Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        // A folder with write but without read permission.
        Err(Errno::ACCESS) => Ok(None),
        Err(errno) => Err(errno),
    }
}
