//! Builds the list of a folder once for all clients that request it meanwhile.
//!
//! ```text
//!   request ──▶ first step ── end of folder ──────────────────────▶ merge ──▶ list or error
//!                   └─ more ──▶ queue ──▶ read again from the start ──┘
//! ```
//!
//! A helper thread reads and sorts in bounded steps. The list of a small folder is complete after
//! the first step. Larger lists of a device are built one at a time, so that memory does not grow
//! with the number of folders. A request joins a list that is not started, or whose folder has not
//! changed since the start: a list contains every change that was confirmed before the request. A
//! large list is a memory file: `sendfile` sends it to each reader at the reader's own speed, and
//! the last reader frees it.

mod builder;
mod sorted_names;

use super::root::ListedFolder;
use super::workers::{JobKind, Lane, Workers};
use crate::session::blob::{Blob, Readable};
use crate::session::session_id::SessionId;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{Content, ListStyle, ListingLimits, StoreReply};
use builder::{ListBuilder, Queues};
use cap_std::fs::Dir;
use rustix::io::Errno;
use rustix::time::ClockId;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

/// All lists that are requested or read at the moment. Clones share them.
#[derive(Clone)]
pub struct Lists(Arc<SharedLists>);

/// Shared by the loop and the helper thread.
struct SharedLists {
    limits: ListingLimits,
    /// The oldest first. A list lives while a client waits for it or reads it.
    jobs: Mutex<Vec<Weak<ListJob>>>,
    /// Large folders that wait for their list.
    queues: Queues,
}

impl SharedLists {
    /// Frees memory for a list of this length: revokes the oldest lists while the limit is
    /// exceeded, so that slow readers do not block new requests.
    fn make_room(&self, length: u64) {
        let jobs: Vec<_> = lock(&self.jobs).iter().filter_map(Weak::upgrade).collect();
        let mut held: u64 = jobs.iter().map(|job| job.held()).sum();
        for job in &jobs {
            if held + length <= self.limits.memory {
                break;
            }
            held -= job.revoke();
        }
    }
}

impl Lists {
    pub(super) fn new(limits: ListingLimits) -> Lists {
        Lists(Arc::new(SharedLists {
            limits,
            jobs: Mutex::default(),
            queues: Queues::default(),
        }))
    }

    /// Requests the list of the folder, which contains every change made up to `seen`.
    pub(super) fn request(
        &self,
        folder: ListedFolder,
        style: ListStyle,
        seen: FolderStamp,
        workers: Workers,
        session: SessionId,
    ) -> StoreReply<Content> {
        let mut jobs = lock(&self.0.jobs);
        jobs.retain(|job| job.strong_count() > 0);
        let shared = jobs
            .iter()
            .rev()
            .filter_map(Weak::upgrade)
            .find(|job| job.style == style && job.join(&seen, session, &self.0.limits));
        if let Some(job) = shared {
            return job.content();
        }
        let job = Arc::new(ListJob {
            folder: seen.folder,
            style,
            open_folder: Mutex::new(Some(Arc::new(folder))),
            large: self.0.limits.large,
            workers: workers.clone(),
            state: Mutex::new(ListState {
                waiting: vec![session],
                begun: None,
                revoked: false,
            }),
            outcome: OnceLock::new(),
        });
        jobs.push(Arc::downgrade(&job));
        drop(jobs);
        let builder = ListBuilder::new(&job, self.0.clone());
        workers.spawn_detached(job.lane(), move || builder.build_if_small());
        job.content()
    }
}

/// The timestamps of a folder at one time.
pub(super) struct FolderStamp {
    /// Device and inode.
    folder: (u64, u64),
    /// mtime and ctime: a program can set the first to any value.
    changed: [Duration; 2],
    /// When the timestamps were read.
    at: Duration,
}

impl FolderStamp {
    /// The timestamps of now.
    pub fn now(folder: &Dir) -> Result<FolderStamp, Errno> {
        let now = rustix::time::clock_gettime(ClockId::Realtime);
        let stat = rustix::fs::fstat(folder)?;
        let time = |seconds, nanos| {
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0)) + Duration::from_nanos(nanos)
        };
        Ok(FolderStamp {
            folder: (stat.st_dev, stat.st_ino),
            changed: [
                time(stat.st_mtime, stat.st_mtime_nsec),
                time(stat.st_ctime, stat.st_ctime_nsec),
            ],
            at: time(now.tv_sec, now.tv_nsec.try_into().unwrap_or(0)),
        })
    }

    /// Whether every later change gets another timestamp.
    fn is_settled(&self, limits: &ListingLimits) -> bool {
        let [_, last] = self.changed;
        let tick = match last.subsec_nanos() {
            0 => limits.coarse_tick,
            _ => limits.tick,
        };
        self.changed.iter().all(|changed| *changed + tick < self.at)
    }
}

/// A list that clients wait for or read.
struct ListJob {
    folder: (u64, u64),
    style: ListStyle,
    /// `Some` until the list is built.
    open_folder: Mutex<Option<Arc<ListedFolder>>>,
    large: u64,
    workers: Workers,
    state: Mutex<ListState>,
    outcome: OnceLock<Result<List, StoreError>>,
}

struct ListState {
    waiting: Vec<SessionId>,
    /// The state of the folder when reading began.
    begun: Option<FolderStamp>,
    /// Its memory was freed while readers were left.
    revoked: bool,
}

impl ListJob {
    /// Adds a session to those that wait, if the list contains every change up to `seen`.
    fn join(&self, seen: &FolderStamp, peer: SessionId, limits: &ListingLimits) -> bool {
        let mut state = lock(&self.state);
        let is_same = self.folder == seen.folder;
        // A change of a file leaves the timestamps of its folder as they are.
        let is_plain = self.style == ListStyle::Names;
        let is_good = state.begun.as_ref().is_none_or(|begun| {
            is_plain && begun.changed == seen.changed && begun.is_settled(limits)
        });
        let has_failed = matches!(self.outcome.get(), Some(Err(_)));
        let joins = is_same && is_good && !has_failed && !state.revoked;
        if joins && self.outcome.get().is_none() {
            state.waiting.push(peer);
        }
        joins
    }

    /// The list, once it is built.
    fn content(self: Arc<ListJob>) -> StoreReply<Content> {
        Pending::later(move || {
            let length = match self.outcome.get() {
                None => return Poll::Pending,
                Some(Err(error)) => return Poll::Ready(Err(error.clone())),
                Some(Ok(List::Text(text))) => text.len() as u64,
                Some(Ok(List::File(_, length))) => *length,
            };
            let list: Rc<dyn Blob> = Rc::new(ListBlob(self.clone()));
            Poll::Ready(Ok((list, length)))
        })
    }

    /// Records the state of the folder at the start of reading. `None`: reading has not begun.
    fn begin(&self, seen: Option<FolderStamp>) {
        lock(&self.state).begun = seen;
    }

    /// Stores the list or the error, and notifies all sessions that wait.
    fn finish(&self, outcome: Result<List, StoreError>) {
        // Under the lock: a session either sees the outcome or is in `waiting`.
        let mut state = lock(&self.state);
        let first = self.outcome.set(outcome).is_ok();
        assert!(first, "a list is built once");
        *lock(&self.open_folder) = None;
        for peer in std::mem::take(&mut state.waiting) {
            self.workers.notify(peer);
        }
    }

    /// Where the jobs of this list wait.
    fn lane(&self) -> Lane {
        let (kind, device) = (JobKind::LookUps, self.folder.0);
        Lane { kind, device }
    }

    fn open_folder(&self) -> Arc<ListedFolder> {
        lock(&self.open_folder)
            .clone()
            .expect("present until the list is built")
    }

    fn list(&self) -> Option<&List> {
        self.outcome.get()?.as_ref().ok()
    }

    /// Bytes that the list holds in its memory file.
    fn held(&self) -> u64 {
        match self.list() {
            Some(List::File(_, length)) if !lock(&self.state).revoked => *length,
            _ => 0,
        }
    }

    /// Frees the memory of the list. Its readers see a file that became shorter, and are closed.
    /// Returns the number of freed bytes.
    fn revoke(&self) -> u64 {
        let held = self.held();
        if let Some(List::File(file, _)) = self.list()
            && held > 0
        {
            lock(&self.state).revoked = true;
            log::warn!("lists use too much memory: closing the readers of a list of {held} bytes");
            if let Err(error) = file.set_len(0) {
                log::warn!("cannot free a list: {error}");
            }
        }
        held
    }
}

impl Drop for ListJob {
    fn drop(&mut self) {
        if let Some(Ok(List::File(file, length))) = self.outcome.take()
            && length >= self.large
        {
            self.workers.spawn_detached(self.lane(), move || drop(file));
        }
    }
}

/// The text of a list, one entry a line.
enum List {
    /// A short list.
    Text(Vec<u8>),
    /// A memory file, and its length in bytes.
    File(File, u64),
}

/// A complete list, for one of its readers.
struct ListBlob(Arc<ListJob>);

impl ListBlob {
    fn list(&self) -> &List {
        self.0.list().expect("the list is complete")
    }
}

impl Blob for ListBlob {
    fn readable(&self, range: Range<u64>) -> io::Result<Readable<'_>> {
        Ok(match self.list() {
            List::File(file, _) => Readable::File(file.as_fd(), (range.end - range.start) as usize),
            List::Text(text) => {
                Readable::Bytes(Box::new(&text[range.start as usize..range.end as usize]))
            }
        })
    }

    fn append_short(&self, range: &Range<u64>, bytes: &mut Vec<u8>) -> bool {
        match self.list() {
            List::File(..) => false,
            List::Text(text) => {
                bytes.extend_from_slice(&text[range.start as usize..range.end as usize]);
                true
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
