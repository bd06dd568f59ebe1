//! Hidden part files of running uploads: their names, their locks, and removal after a crash.
//!
//! A server holds a `flock(2)` on each of its part files. The kernel releases the lock when the
//! process ends, and the lock works across PID namespaces. The process id in the name does not:
//! two containers both have process 1. A part file whose lock is free is a leftover of a crash.

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Reserved names begin with this and end with [`OWN_END`]. They are never listed or served.
const OWN_START: &str = ".loket-";
const OWN_END: &str = ".part";

/// Whether any component of the name is reserved for the server.
pub fn is_own(name: &str) -> bool {
    name.split('/').any(is_part)
}

/// The same for one component.
pub(super) fn is_part(name: &str) -> bool {
    name.starts_with(OWN_START) && name.ends_with(OWN_END)
}

/// What the names of this process begin with.
fn process_start() -> &'static str {
    static START: OnceLock<String> = OnceLock::new();
    START.get_or_init(|| {
        // Without random bytes two names may collide; then the next one is tried.
        let random = getrandom::u64().unwrap_or_default();
        format!("{OWN_START}{}-{random:016x}-", std::process::id())
    })
}

/// A new random name.
fn new_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}{number}{OWN_END}", process_start())
}

/// Calls `put` with new names until one is free.
pub fn under_new_name<T>(
    mut put: impl FnMut(&str) -> Result<T, Errno>,
) -> Result<(T, String), Errno> {
    let mut tries = 0;
    loop {
        let name = new_name();
        tries += 1;
        match put(&name) {
            Err(Errno::EXIST) if tries < 100 => {}
            put => return put.map(|value| (value, name)),
        }
    }
}

/// Creates a part file and locks it.
pub fn create(folder: &Dir, mode: Mode) -> Result<(File, String), Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    under_new_name(|name| {
        let file = File::from(rustix::fs::openat(folder, name, flags, mode)?);
        if lock_part(&file) {
            return Ok(file);
        }
        // A sweep locked the file first, and removes it or has removed it.
        let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
        Err(Errno::EXIST)
    })
}

/// Locks the file until it is closed, so that no sweep of another server removes it. Returns
/// `false` if a sweep locked or removed it first.
pub fn lock_part(file: &File) -> bool {
    match lock(file) {
        Err(Errno::WOULDBLOCK) => false,
        Ok(()) => rustix::fs::fstat(file).is_ok_and(|stat| stat.st_nlink > 0),
        // A file system without locks: a sweep cannot lock the file either, and removes nothing.
        Err(_) => true,
    }
}

fn lock(file: impl AsFd) -> Result<(), Errno> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}

/// Removes a part file of an ended server from its folder.
pub(super) fn sweep(folder: &Dir, name: &str) {
    if name.starts_with(process_start()) {
        return;
    }
    match remove_leftover(folder, name) {
        Ok(()) => log::info!("removed {name:?}, left by a crash"),
        Err(Errno::WOULDBLOCK) => log::info!("kept {name:?}: a running server writes it"),
        Err(errno) => log::warn!("cannot remove the leftover {name:?}: {errno}"),
    }
}

/// Holds the lock until the name is removed. A server that has just created the file detects this
/// in [`lock_part`].
fn remove_leftover(folder: &Dir, name: &str) -> Result<(), Errno> {
    // NFS takes an exclusive lock only on a descriptor that is open for writing.
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    lock(&file)?;
    rustix::fs::unlinkat(folder, name, AtFlags::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cap_std::ambient_authority;
    use std::collections::BTreeSet;

    fn names_in(folder: &tempfile::TempDir) -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_sweep_removes_only_part_files_of_ended_servers() {
        let folder = tempfile::tempdir().unwrap();
        let root = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        let of_other = |number: u8| {
            let (file, name) = create(&root, Mode::from_raw_mode(0o600)).unwrap();
            let other = format!("{OWN_START}1-{number}{OWN_END}");
            std::fs::rename(folder.path().join(name), folder.path().join(&other)).unwrap();
            (file, other)
        };
        let ((living, kept), (dead, left)) = (of_other(0), of_other(1));
        let (unlocked, own) = create(&root, Mode::from_raw_mode(0o600)).unwrap();
        let sweep_all = || {
            for name in [&kept, &left, &own] {
                sweep(&root, name);
            }
        };
        drop((dead, unlocked));
        assert_eq!(
            names_in(&folder),
            [kept.clone(), left.clone(), own.clone()].into()
        );
        sweep_all();
        assert_eq!(names_in(&folder), [kept.clone(), own.clone()].into());
        drop(living);
        sweep_all();
        assert_eq!(names_in(&folder), [own.clone()].into());
    }

    #[test]
    fn a_file_that_was_swept_before_it_was_locked_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let file = File::create(&path).unwrap();
        let sweeper = File::open(&path).unwrap();
        lock(&sweeper).unwrap();
        assert!(!lock_part(&file), "a sweep is about to remove it");
        std::fs::remove_file(&path).unwrap();
        drop(sweeper);
        assert!(!lock_part(&file), "a sweep has removed it");
        assert!(lock_part(&File::create(&path).unwrap()));
    }

    #[test]
    fn another_name_is_tried_when_a_name_is_in_use() {
        let mut tried = Vec::new();
        let put = under_new_name(|name| {
            tried.push(name.to_owned());
            if tried.len() < 3 {
                return Err(Errno::EXIST);
            }
            Ok(5)
        });
        assert_eq!(put, Ok((5, tried[2].clone())));
        assert_eq!(tried.iter().collect::<BTreeSet<_>>().len(), 3);
        assert!(tried.iter().all(|name| is_own(name)));
        assert_eq!(
            under_new_name(|_| Err::<(), _>(Errno::EXIST)),
            Err(Errno::EXIST)
        );
    }
}
