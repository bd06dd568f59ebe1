//! The root folder of the store: how names are resolved beneath it, and whether it is still there.
//!
//! Every path is resolved by `openat2(2)` with `RESOLVE_BENEATH` (through cap-std), so `..`, links
//! and races end in an error, not outside. Links that stay inside are followed. The kernel takes
//! every absolute link for one that leads outside: one whose target begins with the path of the
//! root is replaced by the rest of its target, and the path without links is resolved as before.
//!
//! What is served is the folder that was opened at start, not its path: when that folder is moved,
//! it is served at its new place. A folder that is put in its place is never served, Landlock holds
//! for the first one only.

use super::part_name;
use crate::store::error::StoreError;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirEntry, Metadata};
use rustix::fs::Stat;
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
    /// The path as it was given, and the same without links: absolute links begin with either.
    names: Vec<PathBuf>,
    presence: Mutex<Presence>,
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

    /// Does something with a name of a peer, beneath the root.
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

    /// What has this name, or what the link of this name leads to.
    pub fn metadata(&self, name: &str) -> io::Result<Metadata> {
        self.resolve(name, |root, path| root.metadata(path))
    }

    /// The same path without links; `None` if it leads out of the root. What it tells is checked
    /// when it is resolved: it may have changed meanwhile.
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
            // Of what is no link, or is not there, the name stays as it is.
            let Ok(target) = rustix::fs::readlinkat(&self.folder, &path, Vec::new()) else {
                continue;
            };
            links += 1;
            // As many as the kernel follows.
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
        // Nothing but folders has such a name, and an empty path is no folder.
        let ends_in_folder = name.ends_with('/') || path.as_os_str().is_empty();
        Some(if ends_in_folder { path.join(".") } else { path })
    }

    /// Whether the folder was removed: nothing is in it, and nothing can be put into it.
    pub fn is_removed(&self) -> bool {
        match rustix::fs::fstat(&self.folder) {
            Ok(stat) => stat.st_nlink == 0,
            Err(errno) => errno == Errno::STALE,
        }
    }

    /// Looks after the root where something was not found, or could be put in the wrong place.
    pub fn explain(&self, error: StoreError) -> StoreError {
        self.look();
        if self.is_removed() {
            StoreError::RootRemoved
        } else {
            error
        }
    }

    /// The same where a folder was needed: what is not found is that folder.
    pub fn explain_folder(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::NotFound => self.explain(StoreError::NoFolder),
            other => self.explain(other),
        }
    }

    /// Looks only if the root was last seen to be elsewhere: it may be back.
    pub fn look_again(&self) {
        if *self.last_seen() != Presence::Here {
            self.look();
        }
    }

    /// Looks whether the path still leads to the folder; the operator is warned of every change.
    pub fn look(&self) {
        let seen = self.presence();
        let mut last_seen = self.last_seen();
        if std::mem::replace(&mut *last_seen, seen) == seen {
            return;
        }
        let path = self.path.display();
        match seen {
            Presence::Here => log::warn!("the folder {path} is back and is served as before"),
            Presence::Missing => log::warn!(
                "the folder {path} is gone: removed, moved, or its file system unmounted; \
                 put it back, or start the server again"
            ),
            Presence::Replaced => log::warn!(
                "{path} is another folder now, which is not served; start the server again"
            ),
        }
    }

    fn last_seen(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn presence(&self) -> Presence {
        let identity = |stat: Stat| (stat.st_dev, stat.st_ino);
        let found = rustix::fs::stat(&self.path).map(identity);
        match (found, rustix::fs::fstat(&self.folder).map(identity)) {
            (Err(Errno::NOENT | Errno::NOTDIR | Errno::STALE), _) => Presence::Missing,
            // The user that the server has become may not be allowed to look there.
            (Err(_), _) if self.is_removed() => Presence::Missing,
            (Err(_), _) | (_, Err(_)) => Presence::Here,
            (Ok(found), Ok(served)) if found == served => Presence::Here,
            (Ok(_), Ok(_)) => Presence::Replaced,
        }
    }
}

/// A folder beneath the root, to be listed.
pub struct Beneath {
    root: Arc<Root>,
    /// Empty for the root itself, and otherwise with `/` at its end.
    prefix: String,
    folder: Arc<Dir>,
}

impl Beneath {
    /// Opens the folder; `None` is the root.
    pub fn open(root: &Arc<Root>, name: Option<&str>) -> io::Result<Beneath> {
        Ok(Beneath {
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

    /// The name that a peer can ask for, with `/` behind that of a folder. `None` of what cannot
    /// be served: what is neither file nor folder, and links to such things, out or to nothing.
    pub fn listed_name(&self, entry: &DirEntry) -> Option<String> {
        // A name that is no plain text cannot be asked for in this protocol.
        let mut name = entry.file_name().to_str()?.to_owned();
        if name.chars().any(char::is_control) || part_name::is_own(&name) {
            return None;
        }
        let mut kind = entry.file_type().ok();
        // Some file systems do not tell either.
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

/// Whether the kernel says so, or cap-std.
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
