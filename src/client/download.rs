//! Saves a download: writes a hidden file and renames it over the target when it is complete.
//! The old file stays until then. A download that can be resumed leaves its hidden file, and the
//! next one of the same target goes on with it; any other one leaves nothing.

use super::ClientLimits;
use super::connection::BlockingConnection;
use super::digest::sha256;
use super::error::{ClientError, ExchangeError, reason};
use super::progress::TransferProgress;
use crate::wire::text::hex;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Hidden files to remove if the process is terminated before they are renamed; with `true`, only
/// if they are empty.
static UNFINISHED: Mutex<Vec<(PathBuf, bool)>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<(PathBuf, bool)>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every unfinished download. Call it when a signal terminates the process: from here on no
/// download can begin or finish.
pub fn remove_unfinished() {
    let paths = unfinished();
    for (path, keeps) in paths.iter() {
        remove(path, *keeps);
    }
    // The lock is never released: a running download could otherwise still create or rename a file.
    std::mem::forget(paths);
}

fn remove(path: &Path, keeps: bool) {
    if !keeps || fs::metadata(path).is_ok_and(|found| found.len() == 0) {
        let _ = fs::remove_file(path);
    }
}

/// A file that is being downloaded.
#[derive(Debug)]
pub struct Download {
    file: File,
    part: PathBuf,
    target: PathBuf,
    /// The bytes in the hidden file.
    has: u64,
    keeps: bool,
}

impl Download {
    /// Creates the hidden file in the folder of `target`. The target is not touched. With `resume`,
    /// opens the one that an earlier download has left, if any.
    pub fn create(target: &Path, resume: bool) -> Result<Download, ClientError> {
        let shown = target.display();
        let cannot = |why: String| ClientError::failure(format!("cannot save {shown}: {why}"));
        let target = &follow(target).map_err(cannot)?;
        let replaced = fs::metadata(target).ok();
        // Renaming over a device replaces it: `-o /dev/null` must not do that.
        if replaced.as_ref().is_some_and(|found| !found.is_file()) {
            return Err(cannot(
                "it exists and is not a regular file; choose another name".to_owned(),
            ));
        }
        if target.file_name().is_none() {
            return Err(cannot("that is not a file name; choose one".to_owned()));
        }
        let folder = folder_of(target);
        let left = resume.then(|| open_left(target, replaced.as_ref()));
        let left = left.flatten();
        let keeps = left.is_some();
        let opened = left.map_or_else(|| create_part_file(folder, replaced.as_ref()), Ok);
        let (file, part) = opened.map_err(|error| {
            cannot(format!(
                "{} in the folder {}; does it exist, and do you have write permission?",
                reason(&error),
                folder.display()
            ))
        })?;
        let has = file.metadata().map_or(0, |found| found.len());
        Ok(Download {
            file,
            part,
            target: target.to_owned(),
            has,
            keeps,
        })
    }

    /// The bytes that an earlier download has left, and those of this one.
    pub fn has(&self) -> u64 {
        self.has
    }

    /// The SHA-256 of these bytes.
    pub fn sha256(&mut self, limits: &ClientLimits) -> Result<String, ExchangeError> {
        let hashed = (self.file.rewind()).and_then(|()| sha256(&self.file, limits.body_piece));
        hashed.map_err(|error| self.unwritable(&error))
    }

    /// Discards these bytes.
    pub fn begin_anew(&mut self) -> Result<(), ExchangeError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        self.has = 0;
        emptied.map_err(|error| self.unwritable(&error))
    }

    /// Receives exactly `size` more bytes.
    pub fn append(
        &mut self,
        connection: &mut BlockingConnection,
        size: u64,
        limits: &ClientLimits,
    ) -> Result<(), ExchangeError> {
        let end = self.file.seek(io::SeekFrom::End(0));
        end.map_err(|error| self.unwritable(&error))?;
        let mut progress = TransferProgress::new(&self.target.display().to_string(), size, limits);
        let mut buffer = vec![0; limits.body_piece];
        let mut got = 0;
        while got < size {
            let wanted = usize::try_from(size - got).unwrap_or(usize::MAX);
            let window = wanted.min(buffer.len());
            let count = match connection.read(&mut buffer[..window]) {
                Ok(0) | Err(ExchangeError::Closed) => {
                    return Err(ExchangeError::Truncated {
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
            self.has += count as u64;
            progress.advance(count);
        }
        Ok(())
    }

    /// Renames the file to its target.
    pub fn commit(self) -> Result<(), ExchangeError> {
        let mut paths = unfinished();
        fs::rename(&self.part, &self.target).map_err(|error| self.unwritable(&error))?;
        paths.retain(|(path, _)| path != &self.part);
        Ok(())
    }

    fn unwritable(&self, error: &io::Error) -> ExchangeError {
        ExchangeError::Local(format!(
            "cannot write {}: {}; nothing was saved",
            self.target.display(),
            reason(error)
        ))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let mut paths = unfinished();
        if let Some(place) = paths.iter().position(|(path, _)| path == &self.part) {
            remove(&self.part, self.keeps);
            paths.swap_remove(place);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Follows symbolic links, also to a file that does not exist yet: renaming over a link would
/// replace the link.
fn follow(path: &Path) -> Result<PathBuf, String> {
    let is_loop = |error: io::Error| error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    if fs::metadata(path).is_err_and(is_loop) {
        return Err("its symbolic links form a loop; choose another name".to_owned());
    }
    let mut path = path.to_owned();
    while let Ok(found) = fs::symlink_metadata(&path)
        && found.is_symlink()
    {
        if is_foreign_link(&path, &found) {
            return Err(
                "another user created the symbolic link, in a sticky world-writable folder; \
                 choose another name"
                    .to_owned(),
            );
        }
        let to = fs::read_link(&path).map_err(|error| reason(&error))?;
        path = folder_of(&path).join(to);
    }
    Ok(path)
}

/// The rule of `fs.protected_symlinks` (proc_sys_fs(5)), which following links ourselves would
/// bypass.
fn is_foreign_link(path: &Path, link: &Metadata) -> bool {
    let shared = |folder: &Metadata| folder.mode() & 0o1002 == 0o1002 && folder.uid() != link.uid();
    let ours = link.uid() == rustix::process::geteuid().as_raw();
    !ours && fs::metadata(folder_of(path)).is_ok_and(|folder| shared(&folder))
}

/// Copies permission bits and group of the replaced file. Set-id bits are not copied to new
/// content. A file system without permissions is not an error.
fn keep_permissions(file: &File, old: &Metadata) {
    let mut bits = old.mode() & 0o777;
    let group = || fchown(file, None, Some(old.gid()));
    let kept = fchown(file, Some(old.uid()), Some(old.gid())).or_else(|_| group());
    if kept.is_err() {
        // If the group cannot be copied, its permissions are not granted to another group.
        bits &= !0o070;
    }
    let _ = file.set_permissions(Permissions::from_mode(bits));
}

/// Opens the hidden file that is always the same for this target; `None` if that is not possible,
/// because another process writes it.
fn open_left(target: &Path, replaced: Option<&Metadata>) -> Option<(File, PathBuf)> {
    let name = target.file_name()?;
    let digest = hex(&Sha256::digest(name.as_encoded_bytes())[..8]);
    let path = folder_of(target).join(format!(".loket-{digest}.part"));
    let mut options = OpenOptions::new();
    let mode = if replaced.is_some() { 0o600 } else { 0o666 };
    options.read(true).write(true).create(true).mode(mode);
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = options.custom_flags(flags.bits() as i32).open(&path).ok()?;
    file.try_lock().ok()?;
    // Another user may have prepared it, and another process may have renamed it meanwhile.
    let (open, named) = (file.metadata().ok()?, fs::symlink_metadata(&path).ok()?);
    let is_ours = open.is_file() && open.uid() == rustix::process::geteuid().as_raw();
    let is_same = (open.dev(), open.ino()) == (named.dev(), named.ino());
    if !(is_ours && is_same && open.nlink() == 1) {
        return None;
    }
    if let Some(old) = replaced {
        keep_permissions(&file, old);
    }
    unfinished().push((path.clone(), true));
    Some((file, path))
}

/// Creates the hidden file. Its permissions are never wider than those of the replaced file.
fn create_part_file(folder: &Path, replaced: Option<&Metadata>) -> io::Result<(File, PathBuf)> {
    let mode = if replaced.is_some() { 0o600 } else { 0o666 };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(mode);
    let mut number = 0_u64;
    loop {
        let name = format!(".loket-{}-{number}.part", std::process::id());
        let path = folder.join(name);
        let mut paths = unfinished();
        match options.open(&path) {
            Ok(file) => {
                if let Some(old) = replaced {
                    keep_permissions(&file, old);
                }
                // A server on this folder removes part files that no process holds a lock on.
                let _ = file.try_lock();
                paths.push((path.clone(), false));
                return Ok((file, path));
            }
            // Left by a killed process with the same id, or in use by another one.
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
    fn a_failed_download_leaves_only_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        fs::write(&target, "old").unwrap();
        let mut download = Download::create(&target, false).unwrap();
        download.file.write_all(b"new").unwrap();
        assert_eq!(names_in(folder.path()).len(), 2);
        drop(download);
        assert_eq!(names_in(folder.path()), ["a"]);
        assert_eq!(fs::read(&target).unwrap(), b"old");
    }

    #[test]
    fn two_downloads_of_one_file_use_two_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        let first = Download::create(&folder.path().join("a"), true).unwrap();
        let second = Download::create(&folder.path().join("a"), true).unwrap();
        assert_ne!(first.part, second.part);
        first.commit().unwrap();
        second.commit().unwrap();
        assert_eq!(names_in(folder.path()), ["a"]);
    }

    #[test]
    fn what_a_resumable_download_has_received_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        drop(Download::create(&target, true).unwrap());
        assert!(names_in(folder.path()).is_empty(), "it received nothing");
        let mut download = Download::create(&target, true).unwrap();
        download.file.write_all(b"front").unwrap();
        drop(download);
        let mut download = Download::create(&target, true).unwrap();
        assert_eq!(download.has(), 5);
        assert_eq!(
            download.sha256(&ClientLimits::short()).unwrap(),
            hex(&Sha256::digest(b"front"))
        );
        download.begin_anew().unwrap();
        drop(download);
        assert!(names_in(folder.path()).is_empty());
    }

    #[test]
    fn a_hidden_file_that_others_can_change_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let part = Download::create(&target, true).unwrap().part.clone();
        let other = folder.path().join("other");
        fs::write(&other, "other").unwrap();
        for prepare in [
            (|other: &Path, part: &Path| fs::hard_link(other, part)) as fn(&Path, &Path) -> _,
            |other, part| std::os::unix::fs::symlink(other, part),
        ] {
            prepare(&other, &part).unwrap();
            let download = Download::create(&target, true).unwrap();
            assert_ne!(download.part, part);
            drop(download);
            fs::remove_file(&part).unwrap();
        }
        assert_eq!(fs::read(&other).unwrap(), b"other");
    }

    fn save(target: &Path, content: &[u8]) {
        let mut download = Download::create(target, false).unwrap();
        download.file.write_all(content).unwrap();
        download.commit().unwrap();
    }

    #[test]
    fn a_replaced_file_keeps_its_permission_bits_but_no_set_id_bit() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        for (bits, kept) in [
            (0o600, 0o600),
            (0o644, 0o644),
            (0o751, 0o751),
            (0o444, 0o444),
            (0o6755, 0o755),
        ] {
            fs::write(&target, "old").unwrap();
            fs::set_permissions(&target, Permissions::from_mode(bits)).unwrap();
            let download = Download::create(&target, false).unwrap();
            let part = fs::metadata(&download.part).unwrap();
            assert_eq!(part.mode() & 0o7777, kept, "{bits:o}");
            download.commit().unwrap();
            let found = fs::metadata(&target).unwrap();
            assert_eq!(found.mode() & 0o7777, kept, "{bits:o}");
            fs::remove_file(&target).unwrap();
        }
        let umask = rustix::process::umask(rustix::fs::Mode::empty());
        rustix::process::umask(umask);
        save(&target, b"new");
        let found = fs::metadata(&target).unwrap();
        assert_eq!(found.mode() & 0o7777, 0o666 & !umask.bits());
    }

    #[test]
    fn a_symbolic_link_is_followed_and_kept() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let inside = |name: &str| folder.path().join(name);
        fs::create_dir(inside("sub")).unwrap();
        fs::write(inside("sub/a"), "old").unwrap();
        symlink("sub/a", inside("first")).unwrap();
        symlink(inside("first"), inside("second")).unwrap();
        symlink("sub/new", inside("dangling")).unwrap();
        symlink("loop", inside("loop")).unwrap();
        symlink("/dev/null", inside("device")).unwrap();
        for (link, file) in [("second", "sub/a"), ("dangling", "sub/new")] {
            save(&inside(link), b"new");
            assert!(inside(link).is_symlink(), "{link}");
            assert_eq!(fs::read(inside(file)).unwrap(), b"new");
        }
        for (link, words) in [("loop", "form a loop"), ("device", "not a regular file")] {
            let error = Download::create(&inside(link), false).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(names_in(&inside("sub")), ["a", "new"]);
    }

    #[test]
    fn a_link_that_another_user_created_in_a_sticky_folder_is_not_followed() {
        use std::os::unix::fs::{lchown, symlink};
        if !rustix::process::geteuid().is_root() {
            eprintln!(
                "SKIPPED a_link_that_another_user_created_in_a_sticky_folder_is_not_followed: \
                 needs root"
            );
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).unwrap();
        let link = folder.path().join("a");
        symlink("b", &link).unwrap();
        assert!(Download::create(&link, false).is_ok());
        lchown(&link, Some(65_534), Some(65_534)).unwrap();
        let error = Download::create(&link, false).unwrap_err();
        assert!(error.to_string().contains("another user"), "{error}");
    }

    #[test]
    fn only_a_regular_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let error = Download::create(folder.path(), false).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        assert!(Download::create(Path::new("/dev/null"), false).is_err());
    }
}
