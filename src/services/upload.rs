//! Takes a file in beside its final name and puts it there whole, in one step.
//! Decides nothing about names or sizes: `store.rs` has done so before.
//!
//! ```text
//!                         commit, name free: linkat
//!   Anonymous (O_TMPFILE) ──────────────────────────▶ visible
//!        │   └──── name taken: linkat ──▶ hidden ── renameat ──▶ visible
//!        └ drop: gone
//!   Hidden (where O_TMPFILE is unknown) ── renameat ──▶ visible;  drop: unlinkat
//! ```

use super::store::FileBlob;
use crate::session::world::{Blob, StoreError, Upload};
use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The server's own names begin with this and end with [`OWN_END`]: never listed, never served.
const OWN_START: &str = ".loket-";
const OWN_END: &str = ".part";

/// Makes the server's own names unique within this process.
static NEXT_NAME: AtomicU64 = AtomicU64::new(0);

/// Whether any component of the name is one of the server's own.
pub fn is_own(name: &str) -> bool {
    name.split('/')
        .any(|part| part.starts_with(OWN_START) && part.ends_with(OWN_END))
}

fn own_name() -> String {
    let number = NEXT_NAME.fetch_add(1, Ordering::Relaxed);
    format!("{OWN_START}{}-{number}{OWN_END}", std::process::id())
}

/// A file that nobody sees yet.
pub struct FileUpload {
    folder: Rc<Dir>,
    name: Box<str>,
    blob: Rc<FileBlob>,
    /// Where the bytes stand meanwhile; an anonymous file has no name at all.
    hidden: Option<String>,
}

impl FileUpload {
    /// Begins a file that will be `name` in `folder`.
    pub fn begin(folder: Rc<Dir>, name: &str) -> Result<FileUpload, StoreError> {
        // What is left after the umask is what other programs give their files too.
        let mode = Mode::from_raw_mode(0o666);
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let (file, hidden) = match rustix::fs::openat(&folder, ".", flags | OFlags::TMPFILE, mode) {
            Ok(file) => (file, None),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => {
                let hidden = own_name();
                let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                (
                    rustix::fs::openat(&folder, hidden.as_str(), flags, mode)?,
                    Some(hidden),
                )
            }
            Err(errno) => return Err(errno.into()),
        };
        let blob = Rc::new(FileBlob(File::from(file)));
        Ok(FileUpload {
            folder,
            name: name.into(),
            blob,
            hidden,
        })
    }

    fn link(&self, name: &str) -> Result<(), Errno> {
        let linked = rustix::fs::linkat(&self.blob.0, "", &self.folder, name, AtFlags::EMPTY_PATH);
        if linked != Err(Errno::NOENT) {
            return linked;
        }
        // Before Linux 6.10 an empty path needs a capability; the file's own link does not.
        let own_link = format!("/proc/self/fd/{}", self.blob.0.as_raw_fd());
        let here = rustix::fs::CWD;
        rustix::fs::linkat(here, own_link, &self.folder, name, AtFlags::SYMLINK_FOLLOW)
    }

    fn replace(&self, hidden: &str) -> Result<(), Errno> {
        rustix::fs::renameat(&self.folder, hidden, &self.folder, &*self.name)
    }
}

impl Upload for FileUpload {
    fn blob(&self) -> Rc<dyn Blob> {
        self.blob.clone()
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        if self.hidden.is_none() {
            match self.link(&self.name) {
                Ok(()) => return Ok(()),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            // A link cannot replace. From here to the rename a crash leaves the hidden name
            // behind, which the next start sweeps away.
            let hidden = own_name();
            self.link(&hidden)?;
            self.hidden = Some(hidden);
        }
        let hidden = self.hidden.take().expect("set above or from the start");
        self.replace(&hidden).map_err(|errno| {
            self.hidden = Some(hidden);
            StoreError::from(errno)
        })
    }
}

impl Drop for FileUpload {
    fn drop(&mut self) {
        if let Some(hidden) = self.hidden.take()
            && let Err(errno) = rustix::fs::unlinkat(&self.folder, &*hidden, AtFlags::empty())
        {
            log::warn!("cannot remove the unfinished upload {hidden}: {errno}");
        }
    }
}

/// Removes what a crash has left behind, in the folder and below it.
pub fn sweep(folder: &Dir) {
    if let Err(error) = sweep_folder(folder) {
        log::warn!("cannot look for leftovers of earlier uploads everywhere: {error}");
    }
}

fn sweep_folder(root: &Dir) -> std::io::Result<()> {
    let mut pending = vec![PathBuf::from(".")];
    while let Some(path) = pending.pop() {
        // A folder that may not be read has taken no uploads either.
        let Ok(folder) = root.open_dir(&path) else {
            continue;
        };
        for entry in folder.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                pending.push(path.join(name));
            } else if kind.is_file() && name.to_str().is_some_and(is_own) {
                folder.remove_file(&name)?;
                log::info!("removed {}, left behind by a crash", name.to_string_lossy());
            }
        }
    }
    Ok(())
}
