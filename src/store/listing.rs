//! Makes the list of a folder once for all peers that ask for it meanwhile.
//!
//! ```text
//!   ask ──▶ first piece ── the end ────────────────────────────▶ merge ──▶ made, or failed
//!                └─ more ──▶ queue ──▶ read from the start ─────────┘
//! ```
//!
//! A helper reads and sorts in bounded pieces. A small folder is made with its first piece; of the
//! others one is made at a time, so that no number of folders takes more memory than one. A peer
//! joins a list that is not begun yet, or whose folder has not changed since it was begun: a change
//! that was answered before is always in the list. A large list is a file in memory, which
//! `sendfile` sends to all readers at their own pace, and which is gone with its last reader.

mod builder;
mod sorted_names;

use super::root::Beneath;
use super::workers::{Worker, Workers};
use crate::session::blob::Blob;
use crate::session::session_id::SessionId;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{Content, ListingLimits, Reply};
use cap_std::fs::Dir;
use builder::{Maker, Queue};
use rustix::io::Errno;
use rustix::time::ClockId;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

/// All lists that are wanted at the moment. Clones share them.
#[derive(Clone)]
pub struct Lists(Arc<Desk>);

/// What the loop and the helper share.
struct Desk {
    limits: ListingLimits,
    /// The oldest first. A list lives as long as a peer waits for it or reads it.
    orders: Mutex<Vec<Weak<Order>>>,
    /// Of large folders.
    queue: Queue,
}

impl Desk {
    /// Makes room for a list, if need be at the cost of those that have been read for the longest
    /// time: a slow reader keeps no other from its list.
    fn make_room(&self, length: u64) {
        let orders: Vec<_> = lock(&self.orders)
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        let mut held: u64 = orders.iter().map(|order| order.held()).sum();
        for order in &orders {
            if held + length <= self.limits.memory {
                break;
            }
            held -= order.withdraw();
        }
    }
}

impl Lists {
    pub(super) fn new(limits: ListingLimits) -> Lists {
        Lists(Arc::new(Desk {
            limits,
            orders: Mutex::default(),
            queue: Queue::default(),
        }))
    }

    /// The list of the folder as it is now, or will be in a moment.
    pub(super) fn ask(
        &self,
        folder: Beneath,
        workers: Workers,
        session: SessionId,
    ) -> Reply<Content> {
        let seen = match Seen::now(folder.folder()) {
            Ok(seen) => seen,
            Err(errno) => return Pending::Ready(Err(errno.into())),
        };
        let mut orders = lock(&self.0.orders);
        orders.retain(|order| order.strong_count() > 0);
        let shared = orders
            .iter()
            .rev()
            .filter_map(Weak::upgrade)
            .find(|order| order.join(&seen, session, &self.0.limits));
        if let Some(order) = shared {
            return order.content();
        }
        let order = Arc::new(Order {
            folder: seen.folder,
            listed: Mutex::new(Some(Arc::new(folder))),
            heavy: self.0.limits.heavy,
            workers: workers.clone(),
            state: Mutex::new(State {
                waiting: vec![session],
                begun: None,
                withdrawn: false,
            }),
            outcome: OnceLock::new(),
        });
        orders.push(Arc::downgrade(&order));
        drop(orders);
        let maker = Maker::new(&order, self.0.clone());
        workers.spawn_detached(Worker::LookUps, move || maker.make_if_small());
        order.content()
    }
}

/// A folder as it was at some time.
struct Seen {
    /// Device and inode.
    folder: (u64, u64),
    /// When its entries changed last, and when anything of it did: a program can set the first.
    changed: [Duration; 2],
    /// The time of the look.
    at: Duration,
}

impl Seen {
    fn now(folder: &Dir) -> Result<Seen, Errno> {
        let now = rustix::time::clock_gettime(ClockId::Realtime);
        let stat = rustix::fs::fstat(folder)?;
        let time = |seconds, nanos| {
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0)) + Duration::from_nanos(nanos)
        };
        Ok(Seen {
            folder: (stat.st_dev, stat.st_ino),
            changed: [
                time(stat.st_mtime, stat.st_mtime_nsec),
                time(stat.st_ctime, stat.st_ctime_nsec),
            ],
            at: time(now.tv_sec, now.tv_nsec.try_into().unwrap_or(0)),
        })
    }

    /// Whether any later change has another time stamp.
    fn is_settled(&self, limits: &ListingLimits) -> bool {
        let [_, last] = self.changed;
        let tick = match last.subsec_nanos() {
            0 => limits.coarse_tick,
            _ => limits.tick,
        };
        self.changed.iter().all(|changed| *changed + tick < self.at)
    }
}

/// A list that peers wait for or read.
struct Order {
    folder: (u64, u64),
    /// Until the list is made, or no session waits for it any more.
    listed: Mutex<Option<Arc<Beneath>>>,
    heavy: u64,
    workers: Workers,
    state: Mutex<State>,
    outcome: OnceLock<Result<List, StoreError>>,
}

struct State {
    waiting: Vec<SessionId>,
    /// How the folder was when it began to be read.
    begun: Option<Seen>,
    /// It was taken from its readers.
    withdrawn: bool,
}

impl Order {
    /// Has one more peer wait for the list, if it is good for what the peer has seen.
    fn join(&self, seen: &Seen, peer: SessionId, limits: &ListingLimits) -> bool {
        let mut state = lock(&self.state);
        let is_same = self.folder == seen.folder;
        let is_good = state
            .begun
            .as_ref()
            .is_none_or(|begun| begun.changed == seen.changed && begun.is_settled(limits));
        let has_failed = matches!(self.outcome.get(), Some(Err(_)));
        let joins = is_same && is_good && !has_failed && !state.withdrawn;
        if joins && self.outcome.get().is_none() {
            state.waiting.push(peer);
        }
        joins
    }

    /// The list, once it is made.
    fn content(self: Arc<Order>) -> Reply<Content> {
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

    /// The folder is read from its start, as it is seen now. `None` takes that back.
    fn begin(&self, seen: Option<Seen>) {
        lock(&self.state).begun = seen;
    }

    /// The list is made, or cannot be: all that wait are notified.
    fn finish(&self, outcome: Result<List, StoreError>) {
        // Under the lock: a peer either sees the outcome or is among those that are notified.
        let mut state = lock(&self.state);
        let first = self.outcome.set(outcome).is_ok();
        assert!(first, "a list is made once");
        *lock(&self.listed) = None;
        for peer in std::mem::take(&mut state.waiting) {
            self.workers.tell(peer);
        }
    }

    fn listed(&self) -> Arc<Beneath> {
        lock(&self.listed).clone().expect("the list is being made")
    }

    fn list(&self) -> Option<&List> {
        self.outcome.get()?.as_ref().ok()
    }

    /// Bytes of memory that the list holds beside what was copied.
    fn held(&self) -> u64 {
        match self.list() {
            Some(List::File(_, length)) if !lock(&self.state).withdrawn => *length,
            _ => 0,
        }
    }

    /// Takes the list from its readers, who see a file that shrank and are closed. Says how many
    /// bytes that freed.
    fn withdraw(&self) -> u64 {
        let held = self.held();
        if let Some(List::File(file, _)) = self.list()
            && held > 0
        {
            lock(&self.state).withdrawn = true;
            log::warn!("lists take too much memory: the readers of one of {held} bytes lose it");
            if let Err(error) = file.set_len(0) {
                log::warn!("cannot free a list: {error}");
            }
        }
        held
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        if let Some(Ok(List::File(file, length))) = self.outcome.take()
            && length >= self.heavy
        {
            self.workers
                .spawn_detached(Worker::LookUps, move || drop(file));
        }
    }
}

/// The text of a list, a line an entry.
enum List {
    /// A short one.
    Text(Vec<u8>),
    /// A file in memory, and its length.
    File(File, u64),
}

/// A list that was made, for one of its readers.
struct ListBlob(Arc<Order>);

impl ListBlob {
    fn list(&self) -> &List {
        self.0.list().expect("it was made")
    }
}

impl Blob for ListBlob {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        match self.list() {
            List::File(file, _) => file.read_at(into, at),
            List::Text(text) => {
                let rest = &text[text.len().min(at as usize)..];
                let count = rest.len().min(into.len());
                into[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
        }
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
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

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self.list() {
            List::File(file, _) => Some(file.as_fd()),
            List::Text(_) => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
