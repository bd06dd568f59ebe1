//! Takes a file in beside its final name and puts it there whole, in one step.
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

use super::backlog::Slip;
use super::file_blob::FileBlob;
use super::part_name;
use super::root::Root;
use super::workers::Workers;
use super::{Reply, Requester, StoreSettings, Upload};
use crate::session::blob::Blob;
use cap_std::fs::Dir;
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, XattrFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;

/// A file that nobody sees yet.
pub struct FileUpload {
    root: Arc<Root>,
    blob: Rc<FileBlob>,
    workers: Workers,
    place: Place,
    settings: StoreSettings,
}

impl FileUpload {
    /// A file that was begun for this place.
    pub fn new(
        root: &Arc<Root>,
        file: File,
        place: Place,
        workers: Workers,
        settings: &StoreSettings,
    ) -> FileUpload {
        FileUpload {
            root: root.clone(),
            blob: Rc::new(FileBlob::new(file, workers.clone(), settings, None)),
            workers,
            place,
            settings: *settings,
        }
    }
}

impl Upload for FileUpload {
    fn blob(&self) -> Rc<dyn Blob> {
        self.blob.clone()
    }

    fn commit(self: Box<Self>, front: &[u8], client: Requester) -> Reply<()> {
        let FileUpload {
            root,
            blob,
            workers,
            place,
            settings,
        } = *self;
        let (file, front) = (blob.share(), Box::<[u8]>::from(front));
        let length = file.metadata().map_or(0, |about| about.len());
        let store = move |slip: &Slip| {
            if !front.is_empty() {
                put_in_front(&file, length, &front, settings.copy_step)?;
            }
            // Its peer is gone and gets no answer: then it need not outlive a power cut.
            let sync = settings.sync && slip.is_awaited();
            let inherits = place.inherit(&file);
            if sync && inherits {
                rustix::fs::fsync(&*file)?;
            } else if sync {
                rustix::fs::fdatasync(&*file)?;
            }
            // Before anything is seen. An upload that was accepted is stored although no descriptor
            // is left for its folder: then all of the file system is synced.
            let folder = match sync.then(|| folder_to_sync(&place.folder)) {
                Some(Err(Errno::MFILE | Errno::NFILE)) | None => None,
                Some(opened) => opened?,
            };
            place.show(&file)?;
            if sync && folder.is_none() {
                rustix::fs::syncfs(&*file)?;
            }
            Ok(folder)
        };
        let store = move |slip: &Slip| store(slip).map_err(|error| root.explain_folder(error));
        workers.spawn_synced(client, length >= settings.heavy, store)
    }
}

/// Moves all `length` bytes of a file up, at most `step` at once, and puts `front` before them.
fn put_in_front(file: &File, length: u64, front: &[u8], step: usize) -> io::Result<()> {
    let mut bytes = vec![0; length.min(step as u64) as usize];
    let mut left = length;
    // From the end, so that nothing is overwritten before it has moved.
    while left > 0 {
        let piece = &mut bytes[..left.min(step as u64) as usize];
        left -= piece.len() as u64;
        file.read_exact_at(piece, left)?;
        file.write_all_at(piece, left + front.len() as u64)?;
    }
    file.write_all_at(front, 0)
}

/// Where a file will be.
pub struct Place {
    folder: Arc<Dir>,
    name: Box<str>,
    /// The regular file that has the name.
    replaced: Option<Stat>,
    /// Where the bytes are meanwhile; an anonymous file has no name at all.
    hidden: Option<String>,
}

impl Place {
    /// The name in the folder, and what has it now.
    pub fn new(folder: Arc<Dir>, name: &str, found: Option<Stat>) -> Place {
        Place {
            folder,
            name: name.into(),
            replaced: found.filter(is_file),
            hidden: None,
        }
    }

    /// Begins a file that will be there.
    pub fn begin(&mut self) -> Result<File, Errno> {
        // What is left after the umask is what other programs give their files too.
        let mode = Mode::from_raw_mode(0o666);
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::TMPFILE;
        match rustix::fs::openat(&self.folder, ".", flags, mode) {
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => {
                // The file that is replaced may be readable by its owner only.
                let private = Mode::from_raw_mode(0o600);
                let mode = self.replaced.map_or(mode, |_| private);
                let (file, hidden) = part_name::create(&self.folder, mode)?;
                self.hidden = Some(hidden);
                Ok(file)
            }
            file => file.map(File::from),
        }
    }

    /// Puts the file there, whole and in one step.
    fn show(mut self, file: &File) -> Result<(), Errno> {
        if self.hidden.is_none() {
            match self.link(file, &self.name) {
                Err(Errno::EXIST) => {}
                linked => return linked,
            }
            // A link cannot replace. From here to the rename a crash leaves the hidden name
            // behind, which the next start sweeps away.
            part_name::hold(file);
            let ((), hidden) = part_name::under_new_name(|hidden| self.link(file, hidden))?;
            self.hidden = Some(hidden);
        }
        let hidden = self.hidden.as_deref().expect("set above or from the start");
        rustix::fs::renameat(&self.folder, hidden, &self.folder, &*self.name)?;
        self.hidden = None;
        Ok(())
    }

    /// Gives the file what the one that it replaces has, if there is one: permission bits, ACL,
    /// and owner and group as far as this process may. Setuid and setgid belong to the old content.
    fn inherit(&self, file: &File) -> bool {
        let found = rustix::fs::statat(&self.folder, &*self.name, AtFlags::SYMLINK_NOFOLLOW);
        let Some(old) = found.ok().filter(is_file).or(self.replaced) else {
            return false;
        };
        let (owner, group) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
        if rustix::fs::fchown(file, Some(owner), Some(group)).is_err() {
            let _ = rustix::fs::fchown(file, None, Some(group));
        }
        let path = format!("/proc/self/fd/{}/{}", self.folder.as_raw_fd(), self.name);
        let mut acl = Vec::with_capacity(64 * 1024);
        let acl_was = rustix::fs::lgetxattr(path, ACL, spare_capacity(&mut acl));
        // The folder may have given the new file one of its own.
        let _ = rustix::fs::fremovexattr(file, ACL);
        if let Err(errno) = rustix::fs::fchmod(file, Mode::from_raw_mode(old.st_mode & 0o777)) {
            log::debug!("cannot keep the permissions of {:?}: {errno}", self.name);
        }
        if acl_was.is_ok() {
            let _ = rustix::fs::fsetxattr(file, ACL, &acl, XattrFlags::empty());
        }
        true
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

/// The access list of acl(5).
const ACL: &str = "system.posix_acl_access";

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_file()
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

#[cfg(test)]
mod tests {
    use super::*;
    use cap_std::ambient_authority;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_put_in_front_overwrites_nothing() {
        for (length, step) in [(0, 3), (1, 1), (7, 3), (9, 3), (100, 7), (5, 100)] {
            let file = tempfile::tempfile().unwrap();
            let body: Vec<u8> = (0..length).collect();
            file.write_all_at(&body, 0).unwrap();
            put_in_front(&file, length.into(), b"12345", step).unwrap();
            let mut stored = vec![0; 5 + body.len()];
            file.read_exact_at(&mut stored, 0).unwrap();
            assert_eq!(stored, [b"12345", &body[..]].concat());
            assert_eq!(file.metadata().unwrap().len(), stored.len() as u64);
        }
    }

    #[test]
    fn a_hidden_file_inherits_also_from_a_file_that_is_gone_by_then() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let root = Arc::new(Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap());
        for is_gone in [false, true] {
            std::fs::write(&path, "old").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            let found = rustix::fs::stat(&path).unwrap();
            let mut place = Place::new(root.clone(), "a", Some(found));
            let (file, hidden) = part_name::create(&root, Mode::from_raw_mode(0o600)).unwrap();
            place.hidden = Some(hidden);
            if is_gone {
                std::fs::remove_file(&path).unwrap();
            }
            assert!(place.inherit(&file));
            place.show(&file).unwrap();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o640);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }
}
