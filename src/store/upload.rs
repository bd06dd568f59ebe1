//! Receives a file without a visible name, and publishes it under its name in one step.
//!
//! ```text
//!                      commit: fsync; name free: linkat
//!   Anonymous (O_TMPFILE) ────────────────────────────▶ visible ── fsync of the folder ──▶ done
//!        │   └─── name exists: linkat ──▶ hidden ── renameat ──▶ visible
//!        └ drop: discarded
//!   Hidden (without O_TMPFILE) ── renameat ──▶ visible;  drop: unlinkat
//! ```
//!
//! A helper thread does the commit: it waits for the disk, and freeing a large replaced file is
//! slow.

use super::backlog::JobStatus;
use super::entry::folder_to_sync;
use super::file_blob::FileBlob;
use super::part_name;
use super::place::{FsKind, Place};
use super::quota::{Exchange, Reservation};
use super::root::Root;
use super::workers::{JobKind, Workers};
use super::{FileVersion, Overwrite, Requester, StoreReply, StoreSettings, Stored, Upload};
use crate::session::blob::Blob;
use crate::store::pending::Pending;
use cap_std::fs::Dir;
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Uid, XattrFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;

/// An upload that is not published yet.
pub struct FileUpload {
    root: Arc<Root>,
    blob: Rc<FileBlob>,
    workers: Workers,
    destination: Destination,
    reservation: Arc<Reservation>,
    settings: StoreSettings,
}

impl FileUpload {
    /// An upload into the file of `blob`, which was created for this destination.
    pub(super) fn new(
        root: &Arc<Root>,
        blob: Rc<FileBlob>,
        destination: Destination,
        reservation: Arc<Reservation>,
        workers: Workers,
        settings: &StoreSettings,
    ) -> FileUpload {
        FileUpload {
            root: root.clone(),
            blob,
            workers,
            destination,
            reservation,
            settings: *settings,
        }
    }
}

impl Upload for FileUpload {
    fn blob(&self) -> Rc<dyn Blob> {
        self.blob.clone()
    }

    fn replaces(&self) -> Option<FileVersion> {
        self.destination.found.map(FileVersion::from)
    }

    fn commit(
        self: Box<Self>,
        front: &[u8],
        overwrite: Overwrite,
        client: Requester,
    ) -> StoreReply<Stored> {
        let FileUpload {
            root,
            blob,
            workers,
            destination,
            reservation,
            settings,
        } = *self;
        let device = destination.place.device;
        let front = Box::<[u8]>::from(front);
        blob.forget_name();
        let (file, stage, length) = FileBlob::into_parts(blob);
        if let Err(error) = reservation.grow(length + front.len() as u64) {
            return Pending::Ready(Err(error));
        }
        let store = move |status: &JobStatus| {
            stage.write(&file)?;
            if !front.is_empty() {
                put_in_front(&file, length, &front, settings.copy_step)?;
            }
            // Without a client that waits for the answer, durability was not promised.
            let sync = settings.sync && status.is_awaited();
            let inherits = destination.inherit_attributes(&file);
            if sync && inherits {
                rustix::fs::fsync(&*file)?;
            } else if sync {
                rustix::fs::fdatasync(&*file)?;
            }
            // Open the folder before the file becomes visible. If no descriptor is free, an
            // accepted upload is stored all the same: then the whole file system is synced.
            let folder = match sync.then(|| folder_to_sync(&destination.folder)) {
                Some(Err(Errno::MFILE | Errno::NFILE)) | None => None,
                Some(opened) => opened?,
            };
            let stored = reservation.publish(|| destination.publish(&file, overwrite))?;
            if sync && folder.is_none() {
                rustix::fs::syncfs(&*file)?;
            }
            Ok((stored, folder))
        };
        let store =
            move |status: &JobStatus| store(status).map_err(|error| root.explain_folder(error));
        workers.spawn_synced(device, client, length >= settings.large, store)
    }
}

/// Inserts `front` before the `length` bytes of a file; moves at most `step` bytes at a time.
fn put_in_front(file: &File, length: u64, front: &[u8], step: usize) -> io::Result<()> {
    let mut bytes = vec![0; length.min(step as u64) as usize];
    let mut left = length;
    // From the end, so that no byte is overwritten before it is moved.
    while left > 0 {
        let piece = &mut bytes[..left.min(step as u64) as usize];
        left -= piece.len() as u64;
        file.read_exact_at(piece, left)?;
        file.write_all_at(piece, left + front.len() as u64)?;
    }
    file.write_all_at(front, 0)
}

/// The folder and name of an upload.
pub struct Destination {
    folder: Arc<Dir>,
    name: Box<str>,
    /// The file or link that had the name when the upload began.
    found: Option<Stat>,
    /// The name of the part file; `None` for an anonymous file.
    hidden: Option<String>,
    place: Place,
    workers: Workers,
}

impl Destination {
    /// A name in a folder; `found` is the entry that has the name now.
    pub fn new(
        folder: Arc<Dir>,
        name: &str,
        found: Option<Stat>,
        place: Place,
        workers: &Workers,
    ) -> Destination {
        Destination {
            folder,
            name: name.into(),
            found,
            hidden: None,
            place,
            workers: workers.clone(),
        }
    }

    /// Creates an invisible file that can be published here.
    pub fn create(&mut self) -> Result<File, Errno> {
        // As other programs do: the umask decides.
        let mode = Mode::from_raw_mode(0o666);
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::TMPFILE;
        match rustix::fs::openat(&self.folder, ".", flags, mode) {
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => {
                // The replaced file may be private, and this one has a name already.
                let private = Mode::from_raw_mode(0o600);
                let mode = self.found.filter(is_file).map_or(mode, |_| private);
                let (file, hidden) = part_name::create(&self.folder, mode)?;
                self.hidden = Some(hidden);
                Ok(file)
            }
            file => file.map(File::from),
        }
    }

    /// Makes the file visible under its name in one step.
    fn publish(mut self, file: &File, overwrite: Overwrite) -> Result<(Stored, Exchange), Errno> {
        let added = length(&rustix::fs::fstat(file)?);
        match self.take_free_name(file) {
            Ok(()) => return Ok((Stored::Created, Exchange::of(added, 0))),
            Err(Errno::EXIST | Errno::OPNOTSUPP) if overwrite == Overwrite::Allowed => {}
            Err(errno) => return Err(errno),
        }
        if self.hidden.is_none() {
            // linkat cannot replace a file. A crash before the rename leaves the hidden name, which
            // the next start removes.
            part_name::lock_part(file);
            let ((), hidden) = part_name::under_new_name(|hidden| self.link(file, hidden))?;
            self.hidden = Some(hidden);
        }
        let hidden = self.hidden.as_deref().expect("set above or from the start");
        let old = stat_of_name(&self.folder, &self.name);
        rustix::fs::renameat(&self.folder, hidden, &self.folder, &*self.name)?;
        self.hidden = None;
        let stored = match &old {
            Ok(_) => Stored::Replaced,
            Err(_) => Stored::Created,
        };
        let removed = old.map_or(0, |stat| length(&stat));
        Ok((stored, Exchange::of(added, removed)))
    }

    /// Makes the file visible under its name, unless an entry has that name.
    fn take_free_name(&mut self, file: &File) -> Result<(), Errno> {
        let Some(hidden) = self.hidden.as_deref() else {
            return self.link(file, &self.name);
        };
        move_to_free_name(&self.folder, hidden, &self.name)?;
        self.hidden = None;
        Ok(())
    }

    /// Copies the attributes of the replaced file, if there is one: permission bits, ACL, and owner
    /// and group as far as permitted. Not setuid and setgid: they belong to the old content.
    fn inherit_attributes(&self, file: &File) -> bool {
        let found = stat_of_name(&self.folder, &self.name);
        let Some(old) = found.ok().filter(is_file).or(self.found.filter(is_file)) else {
            return false;
        };
        let (owner, group) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
        if rustix::fs::fchown(file, Some(owner), Some(group)).is_err() {
            let _ = rustix::fs::fchown(file, None, Some(group));
        }
        let path = format!("/proc/self/fd/{}/{}", self.folder.as_raw_fd(), self.name);
        let mut acl = Vec::with_capacity(64 * 1024);
        let acl_was = rustix::fs::lgetxattr(path, ACL, spare_capacity(&mut acl));
        // The new file may have inherited an ACL from the folder.
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
        // Before Linux 6.10 an empty path needs a capability; the link in /proc does not.
        let own_link = format!("/proc/self/fd/{}", file.as_raw_fd());
        let here = rustix::fs::CWD;
        rustix::fs::linkat(here, own_link, &self.folder, name, AtFlags::SYMLINK_FOLLOW)
    }
}

/// The access ACL of acl(5).
const ACL: &str = "system.posix_acl_access";

/// The bytes that an entry counts in the quota.
fn length(stat: &Stat) -> u64 {
    match is_file(stat) {
        true => u64::try_from(stat.st_size).unwrap_or(0),
        false => 0,
    }
}

/// The same for the entry of this name.
pub(super) fn length_of_name(folder: &Dir, name: &str) -> u64 {
    stat_of_name(folder, name).map_or(0, |stat| length(&stat))
}

fn stat_of_name(folder: &Dir, name: &str) -> Result<Stat, Errno> {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Gives a file another name in its folder, which must be free. A file system that cannot rename
/// without replacing can link.
///
/// # Errors
///
/// EXIST: the name is taken. OPNOTSUPP: the file system can do neither.
pub(super) fn move_to_free_name(folder: &Dir, old: &str, new: &str) -> Result<(), Errno> {
    match rustix::fs::renameat_with(folder, old, folder, new, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL) => {}
        renamed => return renamed,
    }
    match rustix::fs::linkat(folder, old, folder, new, AtFlags::empty()) {
        Err(Errno::PERM | Errno::NOSYS | Errno::INVAL) => return Err(Errno::OPNOTSUPP),
        linked => linked?,
    }
    if let Err(errno) = rustix::fs::unlinkat(folder, old, AtFlags::empty()) {
        log::warn!("cannot remove the second name {old}: {errno}");
    }
    Ok(())
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_file()
}

impl Drop for Destination {
    fn drop(&mut self) {
        let Some(hidden) = self.hidden.take() else {
            return;
        };
        let folder = self.folder.clone();
        let remove = move || {
            if let Err(errno) = rustix::fs::unlinkat(&folder, &*hidden, AtFlags::empty()) {
                log::warn!("cannot remove the unfinished upload {hidden}: {errno}");
            }
        };
        match self.place.kind {
            FsKind::Memory => remove(),
            FsKind::Local | FsKind::Remote => {
                let lane = self.place.lane(JobKind::Writes);
                self.workers.spawn_detached(lane, remove);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cap_std::ambient_authority;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_front_is_inserted_without_overwriting_the_body() {
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

    fn destination(root: &Arc<Dir>, found: Option<Stat>) -> Destination {
        let place = Place {
            device: 0,
            kind: FsKind::Memory,
        };
        Destination::new(root.clone(), "a", found, place, &Workers::default())
    }

    #[test]
    fn a_hidden_file_inherits_from_a_replaced_file_that_was_removed_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let root = Arc::new(Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap());
        for is_gone in [false, true] {
            std::fs::write(&path, "old").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            let found = rustix::fs::stat(&path).unwrap();
            let mut destination = destination(&root, Some(found));
            let (file, hidden) = part_name::create(&root, Mode::from_raw_mode(0o600)).unwrap();
            destination.hidden = Some(hidden);
            if is_gone {
                std::fs::remove_file(&path).unwrap();
            }
            assert!(destination.inherit_attributes(&file));
            let stored = destination.publish(&file, Overwrite::Allowed).unwrap();
            let wanted = if is_gone {
                Stored::Created
            } else {
                Stored::Replaced
            };
            assert_eq!(stored.0, wanted);
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o640);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_commit_that_must_not_replace_keeps_the_file_that_has_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = Arc::new(Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap());
        for is_hidden in [false, true] {
            for wanted in [Ok(Stored::Created), Err(Errno::EXIST)] {
                let mut destination = destination(&root, None);
                let file = if is_hidden {
                    let (file, hidden) =
                        part_name::create(&root, Mode::from_raw_mode(0o600)).unwrap();
                    destination.hidden = Some(hidden);
                    file
                } else {
                    destination.create().unwrap()
                };
                let stored = destination.publish(&file, Overwrite::Refused);
                assert_eq!(stored.map(|(stored, _)| stored), wanted);
                assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
            }
            std::fs::remove_file(folder.path().join("a")).unwrap();
        }
    }
}
