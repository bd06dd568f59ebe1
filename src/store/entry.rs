//! A name in a folder, and the changes of names: removing, renaming, new folders.

use super::part_name;
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

    /// Which of these it is: a file, a link or a folder; an error for anything else.
    pub fn movable(&self) -> Result<FileType, StoreError> {
        match FileType::from_raw_mode(self.stat()?.st_mode) {
            kind @ (FileType::Symlink | FileType::Directory) => Ok(kind),
            kind => require_file(kind).map(|()| kind),
        }
    }

    /// Its metadata. Links are not followed.
    pub fn stat(&self) -> Result<Stat, Errno> {
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

    fn rename_to_free(&self, to: &Entry) -> Result<(), StoreError> {
        let ((from, old), (into, new)) = ((&self.folder, &*self.leaf), (&to.folder, &*to.leaf));
        match rustix::fs::renameat_with(from, old, into, new, RenameFlags::NOREPLACE) {
            Err(Errno::XDEV) => return Err(StoreError::OtherDevice),
            // Some file systems cannot rename without replacing; none moves a folder into itself.
            Err(Errno::INVAL) => {}
            renamed => return Ok(renamed?),
        }
        let moved = self.stat()?;
        if FileType::from_raw_mode(moved.st_mode).is_dir() {
            return self.rename_folder(to);
        }
        rustix::fs::linkat(from, old, into, new, AtFlags::empty())?;
        match self.give_up_name(&moved) {
            // Another client has moved or removed the file meanwhile.
            Err(Errno::NOENT) => {
                let _ = to.give_up_name(&moved);
                Err(StoreError::NotFound)
            }
            given_up => Ok(given_up?),
        }
    }

    /// Makes an empty folder of the new name, which no other gets then, and replaces that.
    fn rename_folder(&self, to: &Entry) -> Result<(), StoreError> {
        let ((from, old), (into, new)) = ((&self.folder, &*self.leaf), (&to.folder, &*to.leaf));
        rustix::fs::mkdirat(into, new, Mode::from_raw_mode(0o700))?;
        let renamed = rustix::fs::renameat(from, old, into, new);
        if renamed.is_err() {
            let _ = rustix::fs::unlinkat(into, new, AtFlags::REMOVEDIR);
        }
        match renamed {
            Err(Errno::INVAL) => Err(StoreError::IntoItself),
            // Another client has put something into the new folder.
            Err(Errno::NOTEMPTY) => Err(StoreError::Exists),
            renamed => Ok(renamed?),
        }
    }

    /// Removes the name of a file that has another one by now. A newer file that has come under
    /// this name keeps it.
    fn give_up_name(&self, moved: &Stat) -> Result<(), Errno> {
        let (folder, leaf) = (&self.folder, &*self.leaf);
        let hide = |hidden: &str| rustix::fs::renameat(folder, leaf, folder, hidden);
        let ((), hidden) = part_name::under_new_name(hide)?;
        let found = rustix::fs::statat(folder, &*hidden, AtFlags::SYMLINK_NOFOLLOW);
        if !found.is_ok_and(|found| found.st_ino == moved.st_ino) {
            // If that fails, a still newer file has the name.
            let _ = rustix::fs::linkat(folder, &*hidden, folder, leaf, AtFlags::empty());
        }
        rustix::fs::unlinkat(folder, &*hidden, AtFlags::empty())
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

#[cfg(test)]
mod tests {
    use super::*;
    use cap_std::ambient_authority;
    use std::fs;
    use tempfile::TempDir;

    fn entries<const N: usize>(leaves: [&str; N]) -> (TempDir, [Entry; N]) {
        let place = tempfile::tempdir().unwrap();
        let folder = Arc::new(Dir::open_ambient_dir(place.path(), ambient_authority()).unwrap());
        let entry = |leaf: &str| Entry {
            folder: folder.clone(),
            leaf: leaf.to_owned(),
        };
        (place, leaves.map(entry))
    }

    fn names(place: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(place.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_comes_under_the_old_name_meanwhile_keeps_it() {
        for is_replaced in [false, true] {
            let (place, [from, to]) = entries(["a", "b"]);
            let path = |name: &str| place.path().join(name);
            fs::write(path("a"), "old").unwrap();
            let moved = from.stat().unwrap();
            fs::hard_link(path("a"), path("b")).unwrap();
            if is_replaced {
                fs::write(path("c"), "new").unwrap();
                fs::rename(path("c"), path("a")).unwrap();
            }
            from.give_up_name(&moved).unwrap();
            assert_eq!(fs::read(path("b")).unwrap(), b"old");
            assert_eq!(to.stat().unwrap().st_nlink, 1);
            let left = is_replaced.then(|| fs::read(path("a")).unwrap());
            assert_eq!(left, is_replaced.then(|| b"new".to_vec()));
            assert_eq!(names(&place).len(), 1 + usize::from(is_replaced));
        }
    }

    #[test]
    fn a_folder_is_renamed_to_a_free_name_only() {
        let (place, [from, to, taken]) = entries(["a", "b", "c"]);
        for name in ["a", "a/in", "c"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        let done = from.rename_folder(&taken);
        assert!(matches!(done, Err(StoreError::Exists)), "{done:?}");
        let inside = Dir::open_ambient_dir(place.path().join("a/in"), ambient_authority()).unwrap();
        let into = Entry {
            folder: Arc::new(inside),
            leaf: "d".to_owned(),
        };
        let done = from.rename_folder(&into);
        assert!(matches!(done, Err(StoreError::IntoItself)), "{done:?}");
        assert!(!place.path().join("a/in/d").exists());
        from.rename_folder(&to).unwrap();
        assert_eq!(names(&place), ["b", "c"]);
        assert!(place.path().join("b/in").is_dir());
    }
}
