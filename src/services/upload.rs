//! Takes a file in beside its final name and puts it there whole, in one step.
//! Decides nothing about names or sizes: `store.rs` has done so before.
//!
//! ```text
//!                      commit: fsync; name free: linkat
//!   Anonymous (O_TMPFILE) ────────────────────────────▶ visible ── fsync of the folder ──▶ done
//!        │   └─── name taken: linkat ──▶ hidden ── renameat ──▶ visible
//!        └ drop: gone
//!   Hidden (where O_TMPFILE is unknown) ── renameat ──▶ visible;  drop: unlinkat
//! ```
//!
//! A commit is done by a helper thread: it waits for the disk, and where a big file is replaced,
//! freeing the old one takes its time as well.

use super::blob::FileBlob;
use super::disk::{Disk, Pending};
use super::parts;
use super::root::Root;
use super::store::StoreSettings;
use crate::session::notice::PeerId;
use crate::session::world::{Blob, Errand, StoreError, Upload};
use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// A file that nobody sees yet.
pub struct FileUpload {
    root: Arc<Root>,
    blob: Rc<FileBlob>,
    disk: Disk,
    place: Place,
    /// Outlives a power cut.
    sync: bool,
    /// A file of so many bytes takes its time.
    heavy: u64,
}

impl FileUpload {
    /// Begins a file that will be `name` in `folder`.
    pub fn begin(
        root: &Arc<Root>,
        folder: Arc<Dir>,
        name: &str,
        disk: &Disk,
        settings: &StoreSettings,
    ) -> Result<FileUpload, StoreError> {
        // What is left after the umask is what other programs give their files too.
        let mode = Mode::from_raw_mode(0o666);
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::TMPFILE;
        let (file, hidden) = match rustix::fs::openat(&folder, ".", flags, mode) {
            Ok(file) => (File::from(file), None),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => {
                let (file, hidden) = parts::create(&folder, mode)?;
                (file, Some(hidden))
            }
            Err(errno) => return Err(errno.into()),
        };
        Ok(FileUpload {
            root: root.clone(),
            blob: Rc::new(FileBlob::new(file, disk, settings, None)),
            disk: disk.clone(),
            place: Place {
                folder,
                name: name.into(),
                hidden,
            },
            sync: settings.sync,
            heavy: settings.heavy,
        })
    }
}

impl Upload for FileUpload {
    fn blob(&self) -> Rc<dyn Blob> {
        self.blob.clone()
    }

    fn commit(self: Box<Self>, for_peer: PeerId) -> Box<dyn Errand> {
        let FileUpload {
            root,
            blob,
            disk,
            place,
            sync,
            heavy,
        } = *self;
        let file = blob.share();
        let big = file.metadata().is_ok_and(|about| about.len() >= heavy);
        let store = move || {
            if sync {
                rustix::fs::fdatasync(&*file)?;
            }
            // Before anything is seen: without a descriptor for the folder nothing is stored.
            let folder = if sync {
                folder_to_sync(&place.folder)?
            } else {
                None
            };
            place.show(&file)?;
            if sync && folder.is_none() {
                rustix::fs::syncfs(&*file)?;
            }
            Ok(folder)
        };
        let store = move || store().map_err(|error| root.explain_folder(error));
        Box::new(Storing(disk.ask_durably(for_peer, big, store)))
    }
}

/// An errand whose outcome a helper has.
pub struct Storing(pub(super) Pending<Result<(), StoreError>>);

impl Errand for Storing {
    fn poll(&mut self) -> Poll<Result<(), StoreError>> {
        self.0.poll()
    }
}

/// Where a file will stand.
struct Place {
    folder: Arc<Dir>,
    name: Box<str>,
    /// Where the bytes stand meanwhile; an anonymous file has no name at all.
    hidden: Option<String>,
}

impl Place {
    /// Puts the file there, whole and in one step.
    fn show(mut self, file: &File) -> Result<(), Errno> {
        if self.hidden.is_none() {
            match self.link(file, &self.name) {
                Err(Errno::EXIST) => {}
                linked => return linked,
            }
            // A link cannot replace. From here to the rename a crash leaves the hidden name
            // behind, which the next start sweeps away.
            parts::hold(file);
            let ((), hidden) = parts::under_new_name(|hidden| self.link(file, hidden))?;
            self.hidden = Some(hidden);
        }
        let hidden = self.hidden.as_deref().expect("set above or from the start");
        rustix::fs::renameat(&self.folder, hidden, &self.folder, &*self.name)?;
        self.hidden = None;
        Ok(())
    }

    fn link(&self, file: &File, name: &str) -> Result<(), Errno> {
        let linked = rustix::fs::linkat(file, "", &self.folder, name, AtFlags::EMPTY_PATH);
        if linked != Err(Errno::NOENT) {
            return linked;
        }
        // Before Linux 6.10 an empty path needs a capability; the file's own link does not.
        let own_link = format!("/proc/self/fd/{}", file.as_raw_fd());
        let here = rustix::fs::CWD;
        rustix::fs::linkat(here, own_link, &self.folder, name, AtFlags::SYMLINK_FOLLOW)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(hidden) = self.hidden.take()
            && let Err(errno) = rustix::fs::unlinkat(&self.folder, &*hidden, AtFlags::empty())
        {
            log::warn!("cannot remove the unfinished upload {hidden}: {errno}");
        }
    }
}

/// The folder, opened so that its names can be made to outlive a power cut, which the sync of a
/// file alone does not do.
pub(super) fn folder_to_sync(folder: &Dir) -> Result<Option<OwnedFd>, Errno> {
    // cap-std's own descriptor is O_PATH, which cannot be synced.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, ".", flags, Mode::empty()) {
        Ok(folder) => Ok(Some(folder)),
        // A folder that may be written but not read.
        Err(Errno::ACCESS) => Ok(None),
        Err(errno) => Err(errno),
    }
}
