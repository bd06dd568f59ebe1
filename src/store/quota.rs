//! How many bytes all files below the root hold, and whether one more upload fits.
//!
//! ```text
//!   command ── reserve ──▶ Reservation ── publish: its bytes are held, the replaced ones are not
//!                 │           │   │
//!              refused     grow   └ drop: free again
//!                          by each piece of an upload of unknown size
//! ```
//!
//! With a limit, the first change waits until all files are counted. Then each change keeps the
//! number exact. Other programs change files, too: when an upload does not fit, the files are
//! counted again before it is refused, unless that was done a moment ago. An upload long after the
//! last count starts another, without waiting for it.
//!
//! Names are changed while the files are counted: each file that lost its name meanwhile was
//! counted or not, and each that got one, too. With `removed` and `added` bytes of these, the files
//! hold at least `counted - removed` and at most `counted + added` at the end. The known number is
//! kept if it is within these bounds, and otherwise the nearer one is taken. So it is never less
//! than what the files hold because of changes of this server. A folder that moves may pass the
//! count with all its files: then the count is not used.
//!
//! A file counts with its length, which a hole does not reduce, once for each of its names. Links
//! and folders count nothing. A file that will be replaced counts until it is replaced.

use super::QuotaLimits;
use super::error::StoreError;
use super::pending::Pending;
use crate::session::session_id::SessionId;
use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Decides which uploads fit. The loop and the helper threads share it.
pub struct Quota {
    limits: QuotaLimits,
    state: Mutex<QuotaState>,
    /// A change has ended while the files are counted.
    change_ended: Condvar,
    /// By device: held while a name of it is changed.
    devices: Mutex<HashMap<u64, Arc<Mutex<()>>>>,
}

/// What all files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all files; `None` without a limit, and before the first count ends.
    pub held: Option<u64>,
    /// Bytes that uploads may still store. Their sum may be larger than a `u64`.
    pub reserved: u128,
    /// The most that both may be together.
    pub limit: Option<u64>,
}

/// What a change of names does to the bytes that files hold.
#[derive(Debug, Default, Clone, Copy)]
pub struct Exchange {
    /// The length of the file that has got a name.
    pub added: u64,
    /// The length of the file that has lost its name.
    pub removed: u64,
    /// Whether a folder has another name.
    pub moves_folder: bool,
}

impl Exchange {
    /// Files of these lengths have got and lost a name.
    pub fn of(added: u64, removed: u64) -> Exchange {
        Exchange {
            added,
            removed,
            moves_folder: false,
        }
    }
}

#[derive(Default)]
struct QuotaState {
    held: Option<u64>,
    reserved: u128,
    /// By device: bytes that are reserved and not written yet.
    unwritten: HashMap<u64, u128>,
    /// Changes of names that have begun.
    changes: u64,
    /// The numbers of those that run.
    running: BTreeSet<u64>,
    counting: Option<Counting>,
    counts: u64,
    last: Option<LastCount>,
    /// The sessions that wait for the count.
    waiting: Vec<SessionId>,
}

/// A running count.
#[derive(Clone, Copy)]
struct Counting {
    began: Instant,
    /// Bytes of the files that have got a name meanwhile.
    added: u64,
    /// Bytes of the files that have lost theirs.
    removed: u64,
    /// Whether a folder was moved.
    is_void: bool,
}

/// The count that has ended last.
#[derive(Clone, Copy)]
struct LastCount {
    ended: Instant,
    /// How long no other begins.
    pause: Duration,
}

/// How a count has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The files hold this number of bytes.
    Bytes(u64),
    /// It was not complete.
    Failed,
}

impl Quota {
    /// Without a limit nothing is counted. With one nothing fits before the first count.
    pub fn new(limits: QuotaLimits) -> Arc<Quota> {
        Arc::new(Quota {
            limits,
            state: Mutex::default(),
            change_ended: Condvar::new(),
            devices: Mutex::default(),
        })
    }

    /// What the files hold now.
    pub fn usage(&self) -> Usage {
        let state = self.lock();
        Usage {
            held: state.held,
            reserved: state.reserved,
            limit: self.limits.total,
        }
    }

    /// Reserves the announced size of an upload, if there is one. Its device has `free` bytes.
    ///
    /// # Errors
    ///
    /// It does not fit, or nothing does.
    pub fn reserve(
        self: &Arc<Self>,
        size: Option<u64>,
        device: u64,
        free: Option<u64>,
    ) -> Result<Reservation, StoreError> {
        let bytes = size.unwrap_or(0);
        let mut state = self.lock();
        if self.limits.total.is_some() && state.held.is_none() {
            // The count has failed.
            return Err(StoreError::Uncounted);
        }
        match self.free(&state) {
            // Not even an empty file: it would be the first of many.
            Some(0) => return Err(self.full(0)),
            Some(free) if bytes > free => return Err(self.full(free)),
            _ => {}
        }
        let unwritten = state.unwritten.entry(device).or_default();
        if free.is_some_and(|free| u128::from(bytes) > u128::from(free).saturating_sub(*unwritten))
        {
            return Err(StoreError::NoSpace);
        }
        *unwritten += u128::from(bytes);
        state.reserved += u128::from(bytes);
        drop(state);
        Ok(Reservation {
            quota: self.clone(),
            device,
            reserved: Mutex::new(Reserved { bytes, written: 0 }),
        })
    }

    /// Bytes below the limit.
    fn free(&self, state: &QuotaState) -> Option<u64> {
        let taken = state.reserved + u128::from(state.held.unwrap_or(0));
        let free = u128::from(self.limits.total?).saturating_sub(taken);
        Some(u64::try_from(free).expect("less than the limit"))
    }

    fn full(&self, free: u64) -> StoreError {
        let limit = self.limits.total.unwrap_or(0);
        StoreError::Full { limit, free }
    }

    /// Changes names of a device; no other change of it runs meanwhile. `act` returns its result,
    /// and which files have got or lost a name.
    pub fn change<T>(&self, device: u64, act: impl FnOnce() -> (T, Exchange)) -> T {
        match self.change_and(device, || Ok::<_, Infallible>(act()), |_| {}) {
            Ok(done) => done,
        }
    }

    fn change_and<T, E>(
        &self,
        device: u64,
        act: impl FnOnce() -> Result<(T, Exchange), E>,
        and: impl FnOnce(&mut QuotaState),
    ) -> Result<T, E> {
        let device = lock(&self.devices).entry(device).or_default().clone();
        let _alone = self.limits.total.map(|_| lock(&device));
        let _change = Change::begin(self);
        let (done, exchange) = act()?;
        let mut state = self.lock();
        let Exchange { added, removed, .. } = exchange;
        if let Some(held) = &mut state.held {
            *held = held.saturating_add(added).saturating_sub(removed);
        }
        if let Some(counting) = &mut state.counting {
            counting.note(exchange);
        }
        and(&mut state);
        Ok(done)
    }

    /// Waits for the first count, if it is running.
    pub fn await_first_count(self: &Arc<Self>, session: SessionId) -> Pending<()> {
        match self.usage().held {
            Some(_) => Pending::Ready(()),
            None => self.await_count(session).unwrap_or(Pending::Ready(())),
        }
    }

    /// Waits for the end of the running count, if there is one.
    pub fn await_count(self: &Arc<Self>, session: SessionId) -> Option<Pending<()>> {
        let mut state = self.lock();
        state.counting?;
        state.waiting.push(session);
        let (quota, before) = (self.clone(), state.counts);
        Some(Pending::later(move || match quota.lock().counts > before {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }))
    }

    /// Begins a count if the last one ended long enough ago for another before an upload is
    /// refused; returns whether.
    pub fn begin_count(&self, now: Instant) -> bool {
        self.begin_after(Duration::ZERO, now)
    }

    /// The same if the last one is stale: [`QuotaLimits::stale`].
    pub fn begin_late_count(&self, now: Instant) -> bool {
        self.begin_after(self.limits.stale, now)
    }

    fn begin_after(&self, pause: Duration, now: Instant) -> bool {
        let mut state = self.lock();
        let is_early = state
            .last
            .is_some_and(|last| now.saturating_duration_since(last.ended) < last.pause.max(pause));
        if self.limits.total.is_none() || state.counting.is_some() || is_early {
            return false;
        }
        state.counting = Some(Counting {
            began: now,
            added: 0,
            removed: 0,
            is_void: false,
        });
        true
    }

    /// Ends the running count. Waits until the changes that run now have ended: it is not known
    /// which of their files were counted. If one takes too long, the count is not used. Returns
    /// the sessions that have waited for it.
    pub fn end_count(&self, counted: Counted, now: Instant) -> Vec<SessionId> {
        let state = self.lock();
        let next = state.changes;
        let runs = |state: &mut QuotaState| state.running.first().is_some_and(|&run| run < next);
        let patience = self.limits.last_changes;
        let waited = self.change_ended.wait_timeout_while(state, patience, runs);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        let counting = state.counting.take().expect("a count is running");
        match counted {
            Counted::Bytes(bytes) if !waited.timed_out() => {
                state.held = counting.held(bytes, state.held).or(state.held);
            }
            Counted::Bytes(_) | Counted::Failed => {}
        }
        state.counts += 1;
        let took = now.saturating_duration_since(counting.began);
        let pause = took.saturating_mul(self.limits.recount_share);
        state.last = Some(LastCount {
            ended: now,
            pause: pause.max(self.limits.recount),
        });
        std::mem::take(&mut state.waiting)
    }

    fn lock(&self) -> MutexGuard<'_, QuotaState> {
        lock(&self.state)
    }
}

impl Counting {
    fn note(&mut self, exchange: Exchange) {
        self.added = self.added.saturating_add(exchange.added);
        self.removed = self.removed.saturating_add(exchange.removed);
        self.is_void |= exchange.moves_folder;
    }

    /// What the files hold if these bytes were counted, and `known` were held with all changes.
    fn held(&self, counted: u64, known: Option<u64>) -> Option<u64> {
        let most = counted.saturating_add(self.added);
        let least = counted.saturating_sub(self.removed);
        (!self.is_void).then(|| known.unwrap_or(most).clamp(least, most))
    }
}

/// A change of a name, from begin to end.
struct Change<'a> {
    quota: &'a Quota,
    number: u64,
}

impl Change<'_> {
    fn begin(quota: &Quota) -> Change<'_> {
        let mut state = quota.lock();
        let number = state.changes;
        state.changes += 1;
        state.running.insert(number);
        Change { quota, number }
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let mut state = self.quota.lock();
        state.running.remove(&self.number);
        if state.counting.is_some() {
            self.quota.change_ended.notify_all();
        }
    }
}

/// The bytes of one upload. Dropping it makes them free again.
pub struct Reservation {
    quota: Arc<Quota>,
    device: u64,
    reserved: Mutex<Reserved>,
}

struct Reserved {
    bytes: u64,
    /// The front that is on the disk.
    written: u64,
}

impl Reservation {
    /// Reserves the bytes up to this length, if they are more.
    ///
    /// # Errors
    ///
    /// They do not fit.
    pub fn grow(&self, length: u64) -> Result<(), StoreError> {
        let mut reserved = lock(&self.reserved);
        let more = length.saturating_sub(reserved.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut state = self.quota.lock();
        match self.quota.free(&state) {
            Some(free) if more > free => return Err(self.quota.full(free)),
            _ => {}
        }
        reserved.bytes += more;
        state.reserved += u128::from(more);
        *state.unwritten.entry(self.device).or_default() += u128::from(more);
        Ok(())
    }

    /// The file has this length on the disk now.
    pub fn wrote(&self, length: u64) {
        let mut reserved = lock(&self.reserved);
        let more = length.min(reserved.bytes).saturating_sub(reserved.written);
        reserved.written += more;
        self.quota.lock().write(self.device, more);
    }

    /// As [`Quota::change`], for the change that gives the file its name.
    ///
    /// # Errors
    ///
    /// Those of `act`.
    pub fn publish<T, E>(&self, act: impl FnOnce() -> Result<(T, Exchange), E>) -> Result<T, E> {
        let mut reserved = lock(&self.reserved);
        let release = |state: &mut QuotaState| reserved.release(self.device, state);
        self.quota.change_and(self.device, act, release)
    }
}

impl QuotaState {
    /// Bytes that were reserved are written, or will not be.
    fn write(&mut self, device: u64, bytes: u64) {
        if let Some(unwritten) = self.unwritten.get_mut(&device) {
            *unwritten -= u128::from(bytes);
        }
    }
}

impl Reserved {
    fn release(&mut self, device: u64, state: &mut QuotaState) {
        state.reserved -= u128::from(self.bytes);
        state.write(device, self.bytes - self.written);
        (self.bytes, self.written) = (0, 0);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut reserved = lock(&self.reserved);
        reserved.release(self.device, &mut self.quota.lock());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
