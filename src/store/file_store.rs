//! The store on a disk: files below one root folder. The kernel enforces that no name leaves it.
//!
//! Only regular files are opened for reading. Opening a pipe or a device has side effects: a
//! writer that waits for a reader would continue.

use super::buffers::Buffers;
use super::cold_files::ColdFiles;
use super::digest;
use super::disk_file::DiskFile;
use super::entry::{Changed, Entry};
use super::features::{self, Lack};
use super::file_blob::{BlobShared, FileBlob};
use super::found::Found;
use super::listing::Lists;
use super::open_files::OpenFiles;
use super::part_name;
use super::place::{FsKind, Place, Places};
use super::quota::{Exchange, Quota, Reservation, Usage};
use super::root::{Look, Root};
use super::shared_files::{SharedFiles, size};
use super::slots::Slots;
use super::upload::{Destination, FileUpload, length_of_name};
use super::walk::{RunningCount, Walk};
use super::workers::JobKind::{LookUps, Writes};
use super::workers::Workers;
use super::{
    Content, FileDigest, FileVersion, ListStyle, OpenFile, Requester, Store, StoreReply,
    StoreSettings, Upload,
};
use crate::session::completions::Completions;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The files below a root folder.
pub struct FileStore {
    files: Arc<SharedFiles>,
    workers: Workers,
    lists: Lists,
    blobs: Rc<BlobShared>,
    /// Whether a job checks the path of the root.
    checking: Arc<AtomicBool>,
}

impl FileStore {
    /// Opens the root, which must be a folder.
    pub fn open(root: &Path, settings: StoreSettings) -> io::Result<FileStore> {
        let mut quota = settings.quota;
        if settings.read_only {
            quota.total = None;
        }
        let root = Arc::new(Root::open(root)?);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc_self_fd = rustix::fs::open("/proc/self/fd", flags, Mode::empty()).ok();
        let (places, workers) = (Places::default(), Workers::default());
        let blobs = Rc::new(BlobShared {
            inline_limit: settings.inline_limit,
            stage_limit: settings.stage,
            cold_files: ColdFiles::default(),
            open_files: OpenFiles::default(),
            buffers: Buffers::new(settings.buffers),
            slots: Slots::new(settings.pieces, &workers),
        });
        Ok(FileStore {
            files: Arc::new(SharedFiles {
                root_place: places.learn(&root)?,
                root,
                places,
                workers: workers.clone(),
                quota: Quota::new(quota),
                settings,
                proc_self_fd,
            }),
            workers,
            lists: Lists::new(settings.listing),
            blobs,
            checking: Arc::default(),
        })
    }

    /// Tries what changes need of the file system.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub fn check_features(&self) -> Result<(), Lack> {
        let StoreSettings {
            read_only, sync, ..
        } = self.files.settings;
        match read_only {
            true => Ok(()),
            false => features::check(self.files.root.folder(), sync),
        }
    }

    /// Runs slow work on helper threads from now on; `completions` receives the finished sessions.
    pub fn start_workers(&self, completions: Completions) {
        let settings = &self.files.settings;
        self.workers.start(settings.workers, completions);
        if !settings.read_only {
            let walk = walk(
                &self.files,
                true,
                self.files.quota.begin_count(Instant::now()),
            );
            let (quota, workers) = (self.files.quota.clone(), self.workers.clone());
            self.workers.spawn_alone("sweep", move || {
                walk.run();
                log_usage(quota.usage());
                workers.wake();
            });
        }
    }

    /// Called at the end of each round of the event loop.
    pub fn end_round(&self) {
        self.blobs.open_files.end_round();
    }

    /// Checks whether the root is still at its path, and warns the operator if not.
    pub fn check_root(&self) {
        let is_checked = self.files.root.check_path(Look::Cached);
        if is_checked || self.checking.swap(true, Ordering::Relaxed) {
            return;
        }
        let (files, checking) = (self.files.clone(), self.checking.clone());
        let lane = files.root_place.lane(LookUps);
        self.workers.spawn_detached(lane, move || {
            files.root.check_path(Look::Full);
            checking.store(false, Ordering::Relaxed);
        });
    }

    /// The same only if the root was not at its path in the last check.
    fn recheck_root(&self) {
        if !self.files.root.was_here() {
            self.check_root();
        }
    }

    /// The root folder, for the sandbox rules.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.files.root.as_fd()
    }

    fn may_write(&self, client: Requester) -> Result<(), StoreError> {
        self.blobs.open_files.forget_name();
        let settings = &self.files.settings;
        if settings.read_only {
            return Err(StoreError::ReadOnly);
        }
        let backlog = self.workers.backlog();
        match backlog.is_full(client.address, &settings.backlog) {
            true => Err(StoreError::Backlog),
            false => Ok(()),
        }
    }

    /// The file that was found, if another request of this round has opened it.
    fn shared(&self, name: &str, found: Option<&Found>) -> Option<(Rc<DiskFile>, FileVersion)> {
        let found = found.filter(|found| found.place.kind != FsKind::Remote)?;
        let version = found.version;
        let file = (self.blobs.open_files).get(found.place.device, version.inode)?;
        (!part_name::is_own(name)).then_some((file, version))
    }
}

impl FileStore {
    /// Changes a name in a commit, when the files are counted. `find` finds what it needs in jobs;
    /// `act` gets that, and whether the change must be durable.
    fn change<T: Send + 'static>(
        &self,
        client: Requester,
        find: impl FnOnce(&Arc<SharedFiles>) -> StoreReply<(T, Place)>,
        act: impl FnOnce(T, bool) -> (Changed, Exchange) + Send + 'static,
    ) -> StoreReply<()> {
        self.commit(client, find, |quota, device, found, sync| {
            quota.change(device, || act(found, sync))
        })
    }

    /// The same, where `act` tells the quota what changes.
    fn commit<T: Send + 'static>(
        &self,
        client: Requester,
        find: impl FnOnce(&Arc<SharedFiles>) -> StoreReply<(T, Place)>,
        act: impl FnOnce(&Quota, u64, T, bool) -> Changed + Send + 'static,
    ) -> StoreReply<()> {
        self.check_root();
        if let Err(error) = self.may_write(client) {
            return Pending::Ready(self.files.explain(Err(error)));
        }
        let (files, workers) = (self.files.clone(), self.workers.clone());
        find(&self.files).then(move |found| {
            let (found, place) = match found {
                Ok(found) => found,
                Err(error) => return Pending::Ready(files.explain(Err(error))),
            };
            let counted = files.quota.await_first_count(client.session);
            counted.then(move |()| {
                workers.spawn_synced(place.device, client, false, move |status| {
                    let sync = files.settings.sync && status.is_awaited();
                    let changed = act(&files.quota, place.device, found, sync);
                    files.explain(changed.map(|folder| ((), folder)))
                })
            })
        })
    }
}

impl Store for FileStore {
    fn open(&self, name: &str, client: Requester) -> StoreReply<OpenFile> {
        let (blobs, session) = (self.blobs.clone(), client.session);
        let open_file = move |file, version: FileVersion| OpenFile {
            blob: Rc::new(FileBlob::new(file, version.inode, session, blobs.clone())),
            version,
            sha256: None,
        };
        let open_files = &self.blobs.open_files;
        if let Some((file, version)) = open_files.again(name, client.reads) {
            return Pending::Ready(Ok(open_file(file, version)));
        }
        self.recheck_root();
        let cached = self.files.look(Some(name));
        if let Some((file, version)) = self.shared(name, cached.found.as_ref()) {
            open_files.found(name, client.reads, &file, version);
            return Pending::Ready(Ok(open_file(file, version)));
        }
        let (name, blobs) = (name.to_owned(), self.blobs.clone());
        let open = move |files: &SharedFiles, found| files.explain(files.open(&name, found));
        let opened = self.files.dispatch_known(LookUps, cached, client, open);
        opened.map(move |opened| {
            let (file, version) = opened?;
            Ok(open_file(
                blobs.open_files.share(file, version.inode),
                version,
            ))
        })
    }

    fn size(&self, name: &str, client: Requester) -> StoreReply<u64> {
        self.recheck_root();
        if let Some(found) = self.files.look(Some(name)).found {
            // Also behind a server: the caches know the length.
            return Pending::Ready(self.files.explain(size(name, &found)));
        }
        let (path, name) = (Some(name), name.to_owned());
        self.files.dispatch(LookUps, path, client, move |files, _| {
            files.explain(files.find(&name).and_then(|found| size(&name, &found)))
        })
    }

    fn remove(&self, name: &str, client: Requester) -> StoreReply<()> {
        let (path, name) = (Some(name), name.to_owned());
        let removable = move |files: &SharedFiles, _| files.removable(&name);
        let find = |files: &Arc<_>| SharedFiles::dispatch(files, LookUps, path, client, removable);
        self.change(client, find, |entry, sync| {
            let length = || length_of_name(&entry.folder, &entry.leaf);
            let (removed, done) = (length(), entry.remove(sync));
            // A sync that has failed leaves no file.
            let added = length();
            (done, Exchange::of(added, removed))
        })
    }

    fn make_folder(&self, name: &str, client: Requester) -> StoreReply<()> {
        let (path, name) = (Some(name), name.trim_end_matches('/').to_owned());
        let new = move |files: &SharedFiles, _| files.free_name(&name);
        let find = |files: &Arc<_>| SharedFiles::dispatch(files, LookUps, path, client, new);
        // To the quota an empty folder is no change, which would make a running count useless.
        self.commit(client, find, |_, _, entry, sync| entry.make_folder(sync))
    }

    fn rename(&self, old: &str, new: &str, client: Requester) -> StoreReply<()> {
        let (path, old, new) = (Some(old), old.to_owned(), new.to_owned());
        let movable = move |files: &SharedFiles, _| files.movable(&old);
        let find = |files: &Arc<SharedFiles>| {
            let found = files.dispatch(LookUps, path, client, movable);
            let files = files.clone();
            // In a lane of its own: the new name may be behind another server.
            found.then(move |found| match found {
                Ok((from, place)) => {
                    let name = new.clone();
                    files.dispatch(LookUps, Some(&name), client, move |files, _| {
                        let (to, place) = files.new_name(&new, &from, place.device)?;
                        Ok(((from, to), place))
                    })
                }
                Err(error) => Pending::Ready(Err(error)),
            })
        };
        self.change(client, find, |(from, to), sync| {
            // If the old name cannot be removed, there are two.
            let length = |entry: &Entry| length_of_name(&entry.folder, &entry.leaf);
            let lengths = || length(&from.entry).saturating_add(length(&to));
            let (removed, done, added) = (lengths(), from.entry.rename(&to, sync), lengths());
            let exchange = Exchange {
                moves_folder: from.is_folder,
                ..Exchange::of(added, removed)
            };
            (done, exchange)
        })
    }

    fn digest(&self, name: &str, length: Option<u64>, client: Requester) -> StoreReply<FileDigest> {
        self.recheck_root();
        let (path, name) = (Some(name), name.to_owned());
        let open = move |files: &SharedFiles, found| files.explain(files.open(&name, found));
        let (workers, settings) = (self.workers.clone(), self.files.settings);
        let opened = self.files.dispatch(LookUps, path, client, open);
        opened.then(move |opened| match opened {
            Ok((file, version)) => {
                let session = client.session;
                digest::start(file, version, length, &workers, &settings, session)
            }
            Err(error) => Pending::Ready(Err(error)),
        })
    }

    fn create(
        &self,
        name: &str,
        size: Option<u64>,
        client: Requester,
    ) -> StoreReply<Box<dyn Upload>> {
        self.check_root();
        if let Err(error) = self.may_write(client) {
            return Pending::Ready(Err(self.files.root.explain_folder(error)));
        }
        let (files, session, blobs) = (self.files.clone(), client.session, self.blobs.clone());
        if files.quota.begin_late_count(Instant::now()) {
            recount(&files);
        }
        let name = name.to_owned();
        let counted = files.quota.await_first_count(session);
        let begun = counted.then(move |()| {
            begin_upload(&files, &name, size, client).then(move |begun| match begun {
                Err(StoreError::Full { .. } | StoreError::Uncounted) => {
                    if files.quota.begin_count(Instant::now()) {
                        recount(&files);
                    }
                    match files.quota.await_count(session) {
                        Some(counted) => {
                            counted.then(move |()| begin_upload(&files, &name, size, client))
                        }
                        None => Pending::Ready(begun),
                    }
                }
                begun => Pending::Ready(begun),
            })
        });
        let files = self.files.clone();
        begun.map(move |begun| {
            let (file, destination, reservation) = begun?;
            let reservation = Arc::new(reservation);
            let blob = FileBlob::to_write(file, reservation.clone(), session, blobs);
            let (blob, workers) = (Rc::new(blob), files.workers.clone());
            let (root, settings) = (&files.root, &files.settings);
            let upload = FileUpload::new(root, blob, destination, reservation, workers, settings);
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
    }

    fn largest(&self) -> u64 {
        self.files.settings.largest
    }

    fn usage(&self) -> Usage {
        self.files.quota.usage()
    }

    fn list(
        &self,
        folder: Option<&str>,
        style: ListStyle,
        client: Requester,
    ) -> StoreReply<Content> {
        self.check_root();
        let (path, name) = (folder, folder.map(str::to_owned));
        let open = move |files: &SharedFiles, _| {
            let opened = files.open_folder(name.as_deref());
            opened.map_err(|error| files.root.explain_folder(error))
        };
        let (lists, workers) = (self.lists.clone(), self.workers.clone());
        let opened = self.files.dispatch(LookUps, path, client, open);
        opened.then(move |opened| match opened {
            Ok((folder, seen)) => lists.request(folder, style, seen, workers, client.session),
            Err(error) => Pending::Ready(Err(error)),
        })
    }
}

/// Creates the file of an upload. The folder decides where: only in memory, it is created and its
/// name looked up here.
fn begin_upload(
    files: &Arc<SharedFiles>,
    name: &str,
    size: Option<u64>,
    client: Requester,
) -> StoreReply<(DiskFile, Destination, Reservation)> {
    let folder = name.rsplit_once('/').map(|(folder, _)| folder);
    let name = name.to_owned();
    files.dispatch(Writes, folder, client, move |files, _| {
        let begun = files.create_upload(&name, size);
        begun.map_err(|error| files.root.explain_folder(error))
    })
}

/// A walk, which also makes the count that has begun.
fn walk(files: &SharedFiles, sweeps: bool, counts: bool) -> Walk {
    Walk {
        root: files.root.folder().clone(),
        sweeps,
        count: counts.then(|| RunningCount::new(&files.quota, &files.workers)),
    }
}

/// Makes the count that has begun.
fn recount(files: &SharedFiles) {
    let walk = walk(files, false, true);
    files.workers.spawn_alone("count", move || walk.run());
}

/// What the first count has found.
fn log_usage(usage: Usage) {
    match usage {
        Usage {
            held: Some(held),
            limit: Some(limit),
            ..
        } if held >= limit => log::warn!(
            "the files hold {held} bytes, and --max-total allows {limit}: every upload is refused \
             until some are removed"
        ),
        Usage {
            held: Some(held),
            limit: Some(limit),
            ..
        } => log::info!("the files hold {held} bytes of {limit}"),
        _ => {}
    }
}
