//! Visits all files below the root: removes leftovers of crashes, and adds up the lengths.

use super::part_name;
use super::quota::{Counted, Quota};
use super::workers::Workers;
use cap_std::fs::Dir;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use std::ffi::OsStr;
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

impl Walk {
    /// Visits all files.
    pub fn run(mut self) {
        let mut is_complete = true;
        let mut pending = vec![PathBuf::from(".")];
        while let Some(path) = pending.pop() {
            let visited = match self.root.open_dir(&path) {
                Ok(folder) => self.visit(&folder, |name| pending.push(path.join(name))),
                Err(error) => Err(error),
            };
            let Err(error) = visited else { continue };
            let (error, path) = (Errno::from_io_error(&error), path.display());
            match error.unwrap_or(Errno::IO) {
                Errno::NOENT | Errno::NOTDIR => {}
                // It contains no uploads either.
                Errno::ACCESS if self.count.is_none() => {}
                Errno::ACCESS => log::warn!("{path:?} cannot be read, its files are not counted"),
                errno => {
                    log::warn!("cannot look for files and leftovers in {path:?}: {errno}");
                    is_complete = false;
                }
            }
        }
        if let Some(count) = &mut self.count
            && is_complete
        {
            count.counted = Counted::Bytes(count.bytes);
        }
    }

    fn visit(&mut self, folder: &Dir, mut found: impl FnMut(PathBuf)) -> io::Result<()> {
        for entry in folder.entries()? {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            if kind.is_dir() {
                found(name.into());
            } else if kind.is_file() {
                match name.to_str().filter(|name| part_name::is_part(name)) {
                    // An upload counts by its reservation, also one of another server.
                    Some(name) if self.sweeps => part_name::sweep(folder, name),
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
