//! Visits all files below the root: removes leftovers of crashes, and adds up the lengths.

use super::part_name;
use super::quota::{Counted, Quota};
use super::workers::Workers;
use cap_std::fs::{Dir, FileType};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// What a walk does.
pub(super) struct Walk {
    /// The root.
    pub root: Arc<Dir>,
    /// Whether it removes part files of ended servers.
    pub sweeps: bool,
    /// The count that it makes.
    pub count: Option<RunningCount>,
}

/// A count that has begun. Dropping it ends it.
pub(super) struct RunningCount {
    quota: Arc<Quota>,
    workers: Workers,
    bytes: u64,
    /// [`Counted::Failed`] until all files were visited.
    counted: Counted,
}

/// A folder on the way from the root to the one that is visited.
struct Level {
    name: OsString,
    /// Device and inode.
    identity: (u64, u64),
    /// Folders in it that were not visited yet.
    pending: Vec<OsString>,
}

impl Walk {
    /// Visits all files. One folder is open at a time, however deep: clients can move folders until
    /// a path is longer than `PATH_MAX`.
    pub fn run(mut self) {
        let mut is_complete = true;
        let mut here = self.root.clone();
        let mut levels = vec![Level {
            name: OsString::new(),
            identity: (0, 0),
            pending: vec![OsString::from(".")],
        }];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.pending.pop() else {
                levels.pop();
                here = self.climb(&here, &mut levels, &mut is_complete);
                continue;
            };
            let mut pending = Vec::new();
            let opened = open(&here, &name);
            let visited = match &opened {
                Ok((folder, _)) => self.visit(folder, |name| pending.push(name)),
                Err(errno) => Err((*errno).into()),
            };
            if let Err(error) = visited {
                is_complete &= self.may_ignore(&error, &levels, &name);
            }
            if let Ok((folder, identity)) = opened
                && !pending.is_empty()
            {
                here = folder;
                levels.push(Level {
                    name,
                    identity,
                    pending,
                });
            }
        }
        if let Some(count) = &mut self.count
            && is_complete
        {
            count.counted = Counted::Bytes(count.bytes);
        }
    }

    /// Opens the folder of the last level, from one in it. If that one was moved, the way leads
    /// down from the root again, as far as the levels are still there.
    fn climb(&self, here: &Dir, levels: &mut Vec<Level>, is_complete: &mut bool) -> Arc<Dir> {
        let mut folder = self.root.clone();
        let [_, .., last] = &levels[..] else {
            return folder;
        };
        match open(here, OsStr::new("..")) {
            Ok((parent, identity)) if identity == last.identity => return parent,
            _ => {}
        }
        for index in 1..levels.len() {
            let level = &levels[index];
            match open(&folder, &level.name) {
                Ok((next, identity)) if identity == level.identity => folder = next,
                opened => {
                    if let Err(errno) = opened {
                        let above = &levels[..index];
                        *is_complete &= self.may_ignore(&errno.into(), above, &level.name);
                    }
                    levels.truncate(index);
                    break;
                }
            }
        }
        folder
    }

    /// Whether the walk is complete without this folder. Logs why not.
    fn may_ignore(&self, error: &io::Error, above: &[Level], name: &OsStr) -> bool {
        let error = Errno::from_io_error(error);
        // A whole path may have megabytes; its begin is enough to find it.
        let above = above.iter().skip(1).take(16);
        let path: PathBuf = above.map(|level| &*level.name).chain([name]).collect();
        let path = path.display();
        match error.unwrap_or(Errno::IO) {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => true,
            // It contains no uploads either.
            Errno::ACCESS if self.count.is_none() => true,
            Errno::ACCESS => {
                log::warn!("{path:?} cannot be read, its files are not counted");
                true
            }
            errno => {
                log::warn!("cannot look for files and leftovers in {path:?}: {errno}");
                false
            }
        }
    }

    fn visit(&mut self, folder: &Dir, mut found: impl FnMut(OsString)) -> io::Result<()> {
        for entry in folder.entries()? {
            let entry = entry?;
            let (name, mut kind) = (entry.file_name(), entry.file_type()?);
            if kind == FileType::unknown() {
                // Some file systems report no type at all.
                kind = match entry.metadata() {
                    Ok(found) => found.file_type(),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
            }
            if kind.is_dir() {
                found(name);
            } else if kind.is_file() {
                match name.to_str().filter(|name| part_name::is_own(name)) {
                    // An upload counts by its reservation, also one of another server.
                    Some(name) if self.sweeps && part_name::is_part(name) => {
                        part_name::sweep(folder, name);
                    }
                    Some(_) => {}
                    None => self.add(folder, &name)?,
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, folder: &Dir, name: &OsStr) -> io::Result<()> {
        let Some(count) = &mut self.count else {
            return Ok(());
        };
        match rustix::fs::statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                let length = u64::try_from(stat.st_size).unwrap_or(0);
                count.bytes = count.bytes.saturating_add(length);
            }
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }
}

/// A folder in another one, with its device and inode. Links are not followed.
fn open(parent: &Dir, name: &OsStr) -> Result<(Arc<Dir>, (u64, u64)), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&folder)?;
    let folder = Dir::from_std_file(File::from(folder));
    Ok((Arc::new(folder), (stat.st_dev, stat.st_ino)))
}

impl RunningCount {
    /// A count that the quota has begun.
    pub fn new(quota: &Arc<Quota>, workers: &Workers) -> RunningCount {
        RunningCount {
            quota: quota.clone(),
            workers: workers.clone(),
            bytes: 0,
            counted: Counted::Failed,
        }
    }
}

impl Drop for RunningCount {
    fn drop(&mut self) {
        for session in self.quota.end_count(self.counted, Instant::now()) {
            self.workers.notify(session);
        }
    }
}
