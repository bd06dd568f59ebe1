//! The root folder of the store, and whether it still is where it was.
//! Serves nothing: `store.rs` does.
//!
//! What is served is the folder that was opened at start, not its path: when that folder is moved,
//! it is served at its new place. A folder that is put in its place is never served, Landlock holds
//! for the first one only.

use crate::session::world::StoreError;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::Stat;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The root folder.
pub struct Root {
    folder: Arc<Dir>,
    path: PathBuf,
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
        Ok(Root {
            folder: Arc::new(Dir::open_ambient_dir(path, ambient_authority())?),
            path: std::path::absolute(path)?,
            presence: Mutex::new(Presence::Here),
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Arc<Dir> {
        &self.folder
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

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}
