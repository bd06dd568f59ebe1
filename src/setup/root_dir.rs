//! Opens the root, the folder that is served, and creates it if it is missing.

use super::drop_root::User;
use super::error::StartError;
use crate::store::StoreSettings;
use crate::store::file_store::FileStore;
use crate::wire::text::reason;
use rustix::fs::{Access, AtFlags, Gid, Mode, OFlags, Uid};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Opens the root. A missing root is created, but not its parents: a missing parent is probably a
/// typing error. A created root belongs to `user`.
pub fn open(
    root: &Path,
    settings: StoreSettings,
    user: Option<&User>,
) -> Result<FileStore, StartError> {
    match std::fs::create_dir(root) {
        Ok(()) => {
            log::info!("made the folder {}", root.display());
            if let Some(user) = user {
                give(root, user).map_err(|error| cannot_serve(root, &error))?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(cannot_serve(root, &error)),
    }
    let store = FileStore::open(root, settings).map_err(|error| cannot_serve(root, &error))?;
    store.check_features().map_err(|lack| {
        let (root, flag) = (root.display(), lack.way_out());
        StartError::new(format!(
            "cannot serve the folder {root}: {lack}; add {flag}, or give a folder on another file \
             system with --root DIR"
        ))
    })?;
    Ok(store)
}

fn give(root: &Path, user: &User) -> io::Result<()> {
    // Between mkdir and chown, a user with write permission above the root could replace it: follow
    // no link, and change the owner of nothing but a folder.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(root, flags, Mode::empty())?;
    let (user, group) = user.numbers();
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    Ok(rustix::fs::fchown(&folder, Some(user), Some(group))?)
}

/// Checks that the user of the process can access the root. Otherwise every request would be
/// refused.
pub fn check(folder: BorrowedFd<'_>, root: &Path, user: &User, read_only: bool) -> io::Result<()> {
    let reading = Access::READ_OK | Access::EXEC_OK;
    let (wanted, verb, or) = if read_only {
        (reading, "read", "")
    } else {
        let or = ", or add --read-only";
        (reading | Access::WRITE_OK, "read and write", or)
    };
    rustix::fs::accessat(folder, ".", wanted, AtFlags::empty()).map_err(|errno| {
        let (name, root) = (user.name(), root.display());
        let why = reason(&errno.into());
        io::Error::other(format!(
            "cannot serve the folder {root}: the user {name} may not {verb} there: {why}; give it \
             to that user with chown {name} {root}{or}"
        ))
    })
}

fn cannot_serve(root: &Path, error: &io::Error) -> StartError {
    let root = root.display();
    let way_out = "give a folder that the server may use with --root DIR";
    StartError::new(format!(
        "cannot serve the folder {root}: {}; {way_out}",
        reason(error)
    ))
}
