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
        // Open the folder first: if that fails, the file is still there.
        let folder = self.to_sync(sync)?;
        rustix::fs::unlinkat(&self.folder, &*self.leaf, AtFlags::empty())?;
        Ok(folder)
    }

    /// Makes a folder of this name.
    pub fn make_folder(&self, sync: bool) -> Changed {
        let folder = self.to_sync(sync)?;
        // As other programs do: the umask decides.
        rustix::fs::mkdirat(&self.folder, &*self.leaf, Mode::from_raw_mode(0o777))?;
        Ok(folder)
    }

    /// Gives what has this name another one, which no file may have.
    pub fn rename(&self, to: &Entry, sync: bool) -> Changed {
        let (left, entered) = (self.to_sync(sync)?, to.to_sync(sync)?);
        self.rename_to_free(to)?;
        if let (Some(left), Some(entered)) = (&left, &entered) {
            // The new name first: after a crash there are two names rather than none.
            rustix::fs::fsync(entered)?;
            rustix::fs::fsync(left)?;
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

    fn to_sync(&self, sync: bool) -> Result<Option<OwnedFd>, StoreError> {
        match sync {
            true => Ok(folder_to_sync(&self.folder)?),
            false => Ok(None),
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
