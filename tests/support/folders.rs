//! Folders of the tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with an empty root in it.
pub fn rooted() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("root")).expect("a root");
    folder
}

/// A copy of the program in the folder, for users that cannot access the build folder. Another
/// process writes it: a child of another test would inherit the open file, which then cannot be
/// executed.
pub fn copied_program(folder: &Path) -> String {
    let program = folder.join("loket");
    let mut copy = Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_loket")).arg(&program);
    assert!(copy.status().expect("cp starts").success(), "a copy");
    program.into_os_string().into_string().expect("text")
}

/// Every file below a folder with its content. Files that disappear meanwhile are left out.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let content = match std::fs::symlink_metadata(&path) {
            Ok(about) if about.is_dir() => {
                files.extend(tree(&path));
                continue;
            }
            Ok(about) if about.is_file() => std::fs::read(&path),
            Ok(_) => Ok(b"not a regular file".to_vec()),
            Err(error) => Err(error),
        };
        match content {
            Ok(content) => drop(files.insert(path, content)),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{path:?}"),
        }
    }
    files
}

/// A folder in memory if that has this number of bytes free, otherwise on disk.
pub fn roomy_folder(bytes: u64) -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |disk| disk.f_bavail * disk.f_frsize);
    if room < bytes {
        return tempfile::tempdir().expect("a temporary folder");
    }
    tempfile::tempdir_in(memory).expect("a temporary folder")
}
