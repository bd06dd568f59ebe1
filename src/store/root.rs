//! The root folder of the store: resolves names beneath it, and detects when it is moved.
//!
//! Every path is resolved by `openat2(2)` with `RESOLVE_BENEATH` (through cap-std), so `..`, links
//! and races end in an error, not outside. Links that stay inside are followed. The kernel rejects
//! every absolute link. If the target of such a link begins with the path of the root, that prefix
//! is removed, and the path without links is resolved again with the same flags.
//!
//! The store serves the folder that was opened at start, not its path. A folder that is moved is
//! still served. A new folder at the old path is not: the Landlock rules allow only the first one.

use super::entry::Entry;
use super::{FileVersion, part_name, place};
use crate::store::error::StoreError;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirEntry, Metadata, MetadataExt};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Statx};
use rustix::io::Errno;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The root folder.
pub struct Root {
    folder: Arc<Dir>,
    path: PathBuf,
    /// The path as given and its canonical form: absolute links may begin with either.
    names: Vec<PathBuf>,
    /// Device and inode of the folder.
    identity: (u64, u64),
    presence: Mutex<Presence>,
}

/// What may be asked to find something out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The caches of the kernel: this never waits.
    Cached,
    /// Also a disk or a server.
    Full,
}

/// What the path of the root leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Here,
    Missing,
    Replaced,
}

impl Root {
    /// Opens the root, which must be a folder.
    pub fn open(path: &Path) -> io::Result<Root> {
        let folder = Arc::new(Dir::open_ambient_dir(path, ambient_authority())?);
        let path = std::path::absolute(path)?;
        Ok(Root {
            // A file system that was not asked yet may not know its numbers.
            identity: {
                let stat = rustix::fs::fstat(&folder)?;
                (stat.st_dev, stat.st_ino)
            },
            folder,
            names: [path.clone()]
                .into_iter()
                .chain(path.canonicalize())
                .collect(),
            path,
            presence: Mutex::new(Presence::Here),
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Arc<Dir> {
        &self.folder
    }

    /// Calls `act` with the root and a path for a client's name; follows absolute links into the
    /// root.
    pub fn resolve<T>(
        &self,
        name: &str,
        act: impl Fn(&Dir, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        match act(&self.folder, Path::new(name)) {
            Err(error) if leads_out(&error) => match self.without_links(name) {
                Some(path) => act(&self.folder, &path),
                None => Err(error),
            },
            done => done,
        }
    }

    /// Opens a folder.
    pub fn open_folder(&self, name: &str) -> io::Result<Arc<Dir>> {
        Ok(Arc::new(
            self.resolve(name, |root, path| root.open_dir(path))?,
        ))
    }

    /// The parent folder of `name`, and its last component.
    pub(super) fn locate(&self, name: &str) -> Result<Entry, StoreError> {
        let (folder, leaf) = match name.rsplit_once('/') {
            None => (self.folder.clone(), name),
            Some((folder, leaf)) => {
                // The parent of `/a` is the empty string; as `/` it is rejected like any absolute
                // name.
                let folder = if folder.is_empty() { "/" } else { folder };
                (self.open_folder(folder)?, leaf)
            }
        };
        let leaf = leaf.to_owned();
        match &*leaf {
            "" | "." | ".." => Err(StoreError::Folder),
            _ => Ok(Entry { folder, leaf }),
        }
    }

    /// Metadata of a name; links are followed.
    pub fn metadata(&self, name: &str) -> io::Result<Metadata> {
        self.resolve(name, |root, path| root.metadata(path))
    }

    /// The same path without links; `None` if it leads out of the root. This is only a hint: the
    /// kernel checks the result when it is resolved, and a link may have changed by then.
    fn without_links(&self, name: &str) -> Option<PathBuf> {
        if name.starts_with('/') {
            return None;
        }
        let mut path = PathBuf::new();
        let mut pending = vec![PathBuf::from(name)];
        let mut links = 0;
        while let Some(rest) = pending.pop() {
            let mut rest = rest.components();
            let Some(component) = rest.next() else {
                continue;
            };
            pending.push(rest.as_path().to_owned());
            match component {
                Component::CurDir => continue,
                Component::ParentDir if path.pop() => continue,
                Component::Normal(name) => path.push(name),
                _ => return None,
            }
            // Not a link, or it does not exist: keep the component.
            let Ok(target) = rustix::fs::readlinkat(&self.folder, &path, Vec::new()) else {
                continue;
            };
            links += 1;
            // The same limit as in the kernel.
            if links > 40 {
                return None;
            }
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            path.pop();
            if target.is_absolute() {
                path.clear();
                let inside = |name| target.strip_prefix(name).ok();
                pending.push(self.names.iter().find_map(inside)?.to_owned());
            } else {
                pending.push(target);
            }
        }
        // Such a name must be a folder; an empty path does not resolve.
        let ends_in_folder = name.ends_with('/') || path.as_os_str().is_empty();
        Some(if ends_in_folder { path.join(".") } else { path })
    }

    /// Whether the folder was removed: it is empty, and no file can be created in it.
    pub fn is_removed(&self) -> bool {
        match place::stat(&self.folder) {
            Ok(stat) => stat.stx_nlink == 0,
            Err(errno) => errno == Errno::STALE,
        }
    }

    /// Replaces an error by [`StoreError::RootRemoved`] if the root was removed.
    pub fn explain(&self, error: StoreError) -> StoreError {
        self.check_path(Look::Cached);
        if self.is_removed() {
            StoreError::RootRemoved
        } else {
            error
        }
    }

    /// The same for an operation on a folder: not found means that the folder does not exist.
    pub fn explain_folder(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::NotFound => self.explain(StoreError::NoFolder),
            other => self.explain(other),
        }
    }

    /// Whether the root was at its path in the last check.
    pub fn was_here(&self) -> bool {
        *self.last_seen() == Presence::Here
    }

    /// Checks whether the path still leads to the folder, and warns the operator of a change.
    /// Returns `false` if the caches do not tell.
    pub fn check_path(&self, look: Look) -> bool {
        let Some(seen) = self.presence(look) else {
            return false;
        };
        let mut last_seen = self.last_seen();
        if std::mem::replace(&mut *last_seen, seen) == seen {
            return true;
        }
        let path = self.path.display();
        match seen {
            Presence::Here => log::warn!("the folder {path} is back and is served as before"),
            Presence::Missing => log::warn!(
                "the folder {path} is gone: removed, moved, or its file system unmounted; \
                 put it back, or start the server again"
            ),
            Presence::Replaced => log::warn!(
                "{path} is another folder now, and is not served; start the server again"
            ),
        }
        true
    }

    fn last_seen(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn presence(&self, look: Look) -> Option<Presence> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = match look {
            Look::Cached => ResolveFlags::CACHED,
            Look::Full => ResolveFlags::empty(),
        };
        let found = match rustix::fs::openat2(CWD, &self.path, flags, Mode::empty(), resolve) {
            // The kernel is too old for openat2(2) or its caches.
            Err(Errno::NOSYS | Errno::INVAL) if look == Look::Cached => return None,
            Err(Errno::NOSYS) => rustix::fs::open(&self.path, flags, Mode::empty()),
            found => found,
        };
        let found = found.and_then(place::stat);
        Some(match found {
            Ok(found) if identity(&found) == self.identity => Presence::Here,
            Ok(_) => Presence::Replaced,
            Err(Errno::AGAIN) => return None,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::STALE) => Presence::Missing,
            // The user of the server may have no permission to search the path.
            Err(_) if self.is_removed() => Presence::Missing,
            Err(_) => Presence::Here,
        })
    }
}

fn identity(stat: &Statx) -> (u64, u64) {
    (place::device(stat), stat.stx_ino)
}

/// An open folder beneath the root, for a list.
pub struct ListedFolder {
    root: Arc<Root>,
    /// Empty for the root, otherwise the name with `/` at its end.
    prefix: String,
    folder: Arc<Dir>,
}

impl ListedFolder {
    /// Opens the folder; `None` is the root.
    pub fn open(root: &Arc<Root>, name: Option<&str>) -> io::Result<ListedFolder> {
        Ok(ListedFolder {
            root: root.clone(),
            prefix: name.map_or(String::new(), |name| format!("{name}/")),
            folder: match name {
                None => root.folder().clone(),
                Some(name) => root.open_folder(name)?,
            },
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Arc<Dir> {
        &self.folder
    }

    /// Length and time of an entry; links are followed. `None` if it does not exist any more.
    pub fn version(&self, name: &str) -> Option<FileVersion> {
        let name = name.strip_suffix('/').unwrap_or(name);
        let stat = rustix::fs::statat(&*self.folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        if !FileType::from_raw_mode(stat.st_mode).is_symlink() {
            return Some(stat.into());
        }
        let found = self.root.metadata(&format!("{}{name}", self.prefix)).ok()?;
        Some(FileVersion {
            inode: found.ino(),
            length: found.len(),
            modified: found
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(found.mtime_nsec()),
        })
    }

    /// The name for the list, with `/` after the name of a folder. `None` for an entry that cannot
    /// be served: neither file nor folder, or a link to such, out of the root or to nothing.
    pub fn listed_name(&self, entry: &DirEntry) -> Option<String> {
        // The protocol cannot express a name that is not UTF-8 or has control characters.
        let mut name = entry.file_name().to_str()?.to_owned();
        if name.chars().any(char::is_control) || part_name::is_own(&name) {
            return None;
        }
        let mut kind = entry.file_type().ok();
        // Links are resolved here. Some file systems report no type at all.
        if kind.is_none_or(|kind| !kind.is_file() && !kind.is_dir()) {
            let found = self.root.metadata(&format!("{}{name}", self.prefix));
            kind = Some(found.ok()?.file_type());
        }
        match kind {
            Some(kind) if kind.is_dir() => name.push('/'),
            Some(kind) if kind.is_file() => {}
            _ => return None,
        }
        Some(name)
    }
}

/// Whether the kernel or cap-std reports that the path leaves the root.
fn leads_out(error: &io::Error) -> bool {
    match Errno::from_io_error(error) {
        Some(errno) => errno == Errno::XDEV,
        None => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}
