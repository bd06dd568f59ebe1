//! Hidden part files of running uploads: their names, their locks, and removal after a crash.
//!
//! ```text
//!   .loket-NODE@RANDOM-NUMBER.part
//!          │    └ differs with each process: names of two processes never collide
//!          └ --node, or the host name: which server left the file
//! ```
//!
//! A server holds a `flock(2)` on each of its part files. The kernel releases the lock when the
//! process ends, and the lock works across PID namespaces: two containers both have process 1. A
//! part file whose lock is free is a leftover of a crash.
//!
//! Several servers may have one folder on a shared mount, where locks may not reach the other
//! machines: FUSE without locks, NFS with `nolock`, two mounts of one folder. So each start removes
//! only the files of its own node, and of these only the ones whose lock is free. A restarted
//! server needs no memory of the random part to remove what it left: the node is the same, and the
//! lock is free. The locks also separate two servers of one node, such as containers with the same
//! host name, where both see them; where they do not, each needs a `--node` of its own.
//!
//! Names without a node were made by version 0.1.0. A server without `--node` removes them if their
//! lock is free, as that version did.

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

/// The end of the node in a name. No node contains it.
const NODE_END: char = '@';

/// The longest node: `HOST_NAME_MAX` of `limits.h`.
const LONGEST_NODE: usize = 64;

/// Whether any component of the name is reserved for the server, or hides a removed file.
pub fn is_own(name: &str) -> bool {
    let is_own = |name: &str| is_part(name) || hides_removed(name);
    name.split('/').any(is_own)
}

/// Whether FUSE or NFS have made this name: they rename a file that is removed or replaced while
/// it is open, and remove it when it is closed.
pub(super) fn hides_removed(name: &str) -> bool {
    let is_number = |start, digits| {
        let number = name.strip_prefix(start).unwrap_or_default();
        number.len() == digits && number.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    is_number(".fuse_hidden", 16) || is_number(".nfs", 24)
}

/// The same for one component.
pub(super) fn is_part(name: &str) -> bool {
    name.starts_with(OWN_START) && name.ends_with(OWN_END)
}

/// The node of this process.
#[derive(Debug)]
struct Node {
    name: String,
    /// Whether the name is the host's.
    is_default: bool,
}

static NODE: OnceLock<Node> = OnceLock::new();

/// Sets the node of this process; without one it is the host. Called before the root is opened.
pub fn set_node(name: Option<&str>) {
    let node = Node {
        is_default: name.is_none(),
        name: name.map_or_else(host, str::to_owned),
    };
    // Only the first call counts.
    let _ = NODE.set(node);
}

fn node() -> &'static Node {
    NODE.get_or_init(|| Node {
        name: host(),
        is_default: true,
    })
}

/// The node of this process, and whether it is the host.
pub fn node_name() -> (&'static str, bool) {
    let node = node();
    (&node.name, node.is_default)
}

/// The host name, without characters that a node may not have.
fn host() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let characters = host.chars().take(LONGEST_NODE);
    characters
        .map(|character| if is_node(character) { character } else { '_' })
        .collect()
}

fn is_node(character: char) -> bool {
    character.is_ascii_alphanumeric() || ".-_".contains(character)
}

/// Checks the name of a node.
///
/// # Errors
///
/// It cannot be part of a file name.
pub fn check_node(name: &str) -> Result<String, String> {
    let is_right = (1..=LONGEST_NODE).contains(&name.len()) && name.chars().all(is_node);
    match is_right {
        true => Ok(name.to_owned()),
        false => Err("give 1 to 64 ASCII letters, digits, dots, hyphens or underscores".to_owned()),
    }
}

/// Whether a server of this node, or one before there were nodes, has made this part name.
fn is_of(node: &Node, name: &str) -> bool {
    let rest = name.strip_prefix(OWN_START).unwrap_or_default();
    match rest.split_once(NODE_END) {
        Some((other, _)) => other == node.name,
        None => node.is_default,
    }
}

/// What the names of this process begin with.
fn process_start() -> &'static str {
    static START: OnceLock<String> = OnceLock::new();
    START.get_or_init(|| {
        // Without random bytes two names may collide; then the next one is tried.
        let random = getrandom::u64().unwrap_or_default();
        format!("{OWN_START}{}{NODE_END}{random:016x}-", node().name)
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

/// Removes a part file of an ended server of this node from its folder.
pub(super) fn sweep(folder: &Dir, name: &str) {
    if name.starts_with(process_start()) || !is_of(node(), name) {
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
            let node = &node().name;
            let other = format!("{OWN_START}{node}@1-{number}{OWN_END}");
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
    fn a_node_sweeps_its_own_names_only() {
        let node = |name: &str, is_default| Node {
            name: name.to_owned(),
            is_default,
        };
        let name = |start: &str| format!("{OWN_START}{start}-0{OWN_END}");
        for is_default in [true, false] {
            let a = node("a", is_default);
            assert!(is_of(&a, &name("a@1")) && is_of(&a, &name("a@2")));
            for other in ["b@1", "aa@1", "a-b@1", "@1", "A@1"] {
                assert!(!is_of(&a, &name(other)), "{other}");
            }
            // The process id of version 0.1.0.
            assert_eq!(is_of(&a, &name("1-0123456789abcdef")), is_default);
        }
        let is_right = |name: &str| check_node(name).is_ok();
        assert!(is_right("node-1.example_x") && is_right(&host()));
        assert!(!is_right("") && !is_right("a@b") && !is_right("a/b") && !is_right("é"));
        assert!(!is_right(&"a".repeat(65)));
    }

    #[test]
    fn names_of_removed_files_are_hidden_and_names_like_them_are_not() {
        let hidden = [
            ".fuse_hidden0000000900000019",
            ".nfs00000000000a0b0c00000001",
        ];
        for name in hidden {
            assert!(is_own(name) && is_own(&format!("dir/{name}")) && !is_part(name));
            assert!(!is_own(&format!("{name}0")) && !is_own(&name[..name.len() - 1]));
            assert!(!is_own(&name[1..]) && !is_own(&name.replace(['9', 'b'], "g")));
        }
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
