//! Tries at start what the store needs of the file system of its root.
//!
//! | first choice | next best | without both |
//! |---|---|---|
//! | `O_TMPFILE` of open(2) | a hidden name | |
//! | linkat(2) of a file without a name | `RENAME_NOREPLACE` of a hidden name | linkat(2) of it |
//! | `RENAME_NOREPLACE` of renameat2(2) | linkat(2), then unlinkat(2) | the start is refused |
//! | a replaced file is readable while it is open | | the start is refused |
//! | fsync(2) of a folder | | the start is refused, except with `--no-sync` |
//! | `RWF_NOWAIT` of preadv2(2) | jobs read all files | |
//! | openat2(2) with `RESOLVE_BENEATH` | cap-std opens each folder of a path | |
//! | `RESOLVE_CACHED` of openat2(2) | jobs look up all names | |
//!
//! What another machine has stored is found if the mount is close-to-open. GlusterFS needs its
//! caches off for that (`performance.stat-prefetch`, `quick-read`, `open-behind`, `io-cache`), and
//! other FUSE mounts need `attr_timeout=0,entry_timeout=0,negative_timeout=0`.
//!
//! Without `RENAME_NOREPLACE` and linkat(2), as on FAT behind FUSE, a check before a rename would
//! be a race: a file that another program has just stored would be lost.

use super::part_name;
use super::place;
use super::upload::move_to_free_name;
use cap_std::fs::Dir;
use rustix::fs::{Advice, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// What the file system lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// A way to give a file a name that is free.
    FreeNames,
    /// A rename that replaces a file.
    Replacing(Errno),
    /// A replaced file does not stay readable.
    OpenFiles,
    /// A folder cannot be synced.
    FolderSync(Errno),
}

impl Lack {
    /// The flag without which the server could start.
    pub fn way_out(self) -> &'static str {
        match self {
            Lack::FolderSync(_) => "--no-sync",
            _ => "--read-only",
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::FreeNames => write!(
                out,
                "its file system has neither linkat nor renameat2 with RENAME_NOREPLACE, so that \
                 a new name could replace a file"
            ),
            Lack::Replacing(errno) => write!(
                out,
                "its file system cannot rename a file over another one in one step: {errno}"
            ),
            Lack::OpenFiles => write!(
                out,
                "its file system loses a file that is replaced while it is open, so that running \
                 downloads would break"
            ),
            Lack::FolderSync(errno) => write!(
                out,
                "its file system cannot make a new name durable, fsync of a folder fails: {errno}"
            ),
        }
    }
}

/// Tries with two hidden files. Where they cannot be created, uploads will be answered with the
/// reason. `syncs`: whether a change must be durable.
///
/// # Errors
///
/// What is missing.
pub(super) fn check(folder: &Dir, syncs: bool) -> Result<(), Lack> {
    if place::is_known(folder) {
        return Ok(());
    }
    let (Some(old), Some(new)) = (Trial::new(folder, b"old"), Trial::new(folder, b"new")) else {
        return Ok(());
    };
    let (old, new) = (old.check_free_name()?, &new);
    let Ok(reader) = rustix::fs::openat(
        folder,
        &*old.name,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    ) else {
        return Err(Lack::OpenFiles);
    };
    let renamed = rustix::fs::renameat(folder, &*new.name, folder, &*old.name);
    renamed.map_err(Lack::Replacing)?;
    if read(&reader.into()) != Some(*b"old") {
        return Err(Lack::OpenFiles);
    }
    match syncs.then(|| super::entry::folder_to_sync(folder)) {
        Some(Ok(Some(opened))) => rustix::fs::fsync(&opened).map_err(Lack::FolderSync),
        _ => Ok(()),
    }
}

/// A hidden file.
struct Trial<'a> {
    folder: &'a Dir,
    name: String,
}

impl Trial<'_> {
    fn new<'a>(folder: &'a Dir, content: &[u8]) -> Option<Trial<'a>> {
        let (file, name) = part_name::create(folder, Mode::from_raw_mode(0o600)).ok()?;
        let trial = Trial { folder, name };
        file.write_all_at(content, 0).ok()?;
        Some(trial)
    }

    /// The file under another name.
    fn check_free_name(self) -> Result<Self, Lack> {
        let move_to = |name: &str| move_to_free_name(self.folder, &self.name, name);
        match part_name::under_new_name(move_to) {
            Ok(((), name)) => Ok(Trial {
                folder: self.folder,
                name,
            }),
            Err(_) => Err(Lack::FreeNames),
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        // One of the two names is gone by now, or both.
        let _ = rustix::fs::unlinkat(self.folder, &*self.name, AtFlags::empty());
    }
}

/// The content, from the disk or the server.
fn read(file: &File) -> Option<[u8; 3]> {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
    let mut content = [0; 3];
    file.read_exact_at(&mut content, 0).ok()?;
    Some(content)
}
