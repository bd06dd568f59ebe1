//! Writes a body aside under a hidden name and renames it when it is whole.
//! Leaves the old file alone until then, and nothing behind when the body never gets whole.

use super::connection::Connection;
use super::error::{ClientError, Trouble, reason};
use super::limits::ClientLimits;
use super::progress::Progress;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What must go if the process is told to end before it is renamed.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every unfinished download. For a process that a signal is about to end: from here on
/// no download can begin or finish.
pub fn remove_unfinished() {
    let paths = unfinished();
    for path in paths.iter() {
        let _ = fs::remove_file(path);
    }
    // Held for ever: a download that went on now would be created or renamed half way.
    std::mem::forget(paths);
}

/// A file that is not there yet.
#[derive(Debug)]
pub struct Download {
    file: File,
    aside: PathBuf,
    target: PathBuf,
}

impl Download {
    /// Makes the hidden file beside `target`, which is not touched.
    pub fn create(target: &Path) -> Result<Download, ClientError> {
        let shown = target.display();
        let cannot = |why: String| ClientError::failure(format!("cannot save {shown}: {why}"));
        // Renaming over a device would replace it: `-o /dev/null` must not do that.
        if fs::metadata(target).is_ok_and(|found| !found.is_file()) {
            return Err(cannot(
                "what is there is no regular file; choose another name".to_owned(),
            ));
        }
        if target.file_name().is_none() {
            return Err(cannot("that is no file name; choose one".to_owned()));
        }
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let (file, aside) = create_aside(folder).map_err(|error| {
            cannot(format!(
                "{} in the folder {}; does it exist, and may you write there?",
                reason(&error),
                folder.display()
            ))
        })?;
        Ok(Download {
            file,
            aside,
            target: target.to_owned(),
        })
    }

    /// Takes exactly `size` bytes from the connection and puts the file in its place.
    pub fn receive(
        mut self,
        connection: &mut Connection,
        size: u64,
        limits: &ClientLimits,
    ) -> Result<(), Trouble> {
        let mut progress = Progress::new(&self.target.display().to_string(), size, limits);
        let mut buffer = vec![0; limits.body_piece];
        let mut got = 0;
        while got < size {
            let wanted = usize::try_from(size - got).unwrap_or(usize::MAX);
            let window = wanted.min(buffer.len());
            let count = match connection.read(&mut buffer[..window]) {
                Ok(0) | Err(Trouble::Closed) => {
                    return Err(Trouble::Cut {
                        got,
                        announced: size,
                    });
                }
                other => other?,
            };
            self.file
                .write_all(&buffer[..count])
                .map_err(|error| self.unwritable(&error))?;
            got += count as u64;
            progress.advance(count);
        }
        self.commit()
    }

    fn commit(self) -> Result<(), Trouble> {
        let mut paths = unfinished();
        fs::rename(&self.aside, &self.target).map_err(|error| self.unwritable(&error))?;
        paths.retain(|path| path != &self.aside);
        Ok(())
    }

    fn unwritable(&self, error: &io::Error) -> Trouble {
        Trouble::Local(format!(
            "cannot write {}: {}; nothing was saved",
            self.target.display(),
            reason(error)
        ))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let mut paths = unfinished();
        if let Some(place) = paths.iter().position(|path| path == &self.aside) {
            let _ = fs::remove_file(&self.aside);
            paths.swap_remove(place);
        }
    }
}

fn create_aside(folder: &Path) -> io::Result<(File, PathBuf)> {
    let mut number = 0_u64;
    loop {
        let name = format!(".loket-{}-{number}.part", std::process::id());
        let path = folder.join(name);
        let mut paths = unfinished();
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => {
                // A server of this folder sweeps away what no process holds.
                let _ = file.try_lock();
                paths.push(path.clone());
                return Ok((file, path));
            }
            // Left by a process of this number that was killed, or in use beside us.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_download_given_up_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        fs::write(&target, "old").unwrap();
        let mut download = Download::create(&target).unwrap();
        download.file.write_all(b"new").unwrap();
        assert_eq!(names_in(folder.path()).len(), 2);
        drop(download);
        assert_eq!(names_in(folder.path()), ["a"]);
        assert_eq!(fs::read(&target).unwrap(), b"old");
    }

    #[test]
    fn a_hidden_name_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = Download::create(&folder.path().join("a")).unwrap();
        let second = Download::create(&folder.path().join("a")).unwrap();
        assert_ne!(first.aside, second.aside);
        first.commit().unwrap();
        second.commit().unwrap();
        assert_eq!(names_in(folder.path()), ["a"]);
    }

    #[test]
    fn what_is_no_regular_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let error = Download::create(folder.path()).unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
        assert!(Download::create(Path::new("/dev/null")).is_err());
    }
}
