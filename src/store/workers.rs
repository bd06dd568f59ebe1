//! Work that may wait for a disk, on helper threads. The event loop and all protocols stay on their
//! one thread, and poll for the results.
//!
//! ```text
//!   loop    spawn ──▶ lanes by device                    completions ◀─┐
//!                        │                                            │
//!   look-ups             ├──▶ job ──▶ job ────────────────────────────┤
//!   reads                ├──▶ piece of a body ────────────────────────┤
//!   digests              ├──▶ piece of a file ────────────────────────┤
//!   writes               ├──▶ new file, piece of a body, close ───────┤
//!   commits              └──▶ job ──▶ job ──▶ folders synced ─────────┘
//! ```
//!
//! Each kind of job has its own threads because a commit may take long: with one thread for all, an
//! `ls` waited 619 ms behind three uploads of 768 MiB. Commits of a device wait for each other, as
//! they do for the disk itself.
//!
//! The alternative is io_uring with its eventfd in the poll. A prototype was measured with echo at
//! 1,000 requests/s beside durable commits (commits/s, CPU per commit, longest delay of the loop by
//! a submission): 8 writers of 4 KiB, io_uring 4,985 / 154 us / 3.9 ms, threads 3,569 / 147 us /
//! 0.1 ms; 8 of 1 MiB, 819 / 578 us / 3.7 ms against 782 / 558 us / 0.1 ms; 2 of 256 MiB, 5.4 /
//! 127 ms / 6.9 ms against 6.5 / 107 ms / 0.1 ms. Without threads the last one blocked the loop for
//! 155 ms. io_uring also needs unsafe code to submit, and is disabled on many machines.

use super::backlog::{Backlog, JobGuard, JobStatus, RequesterGuard};
use super::lanes::{self, Job, Lanes};
use super::sync_batch::{SyncBatch, Unsynced};
use super::{Requester, StoreReply, WorkerLimits};
use crate::session::completions::Completions;
use crate::session::session_id::SessionId;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::thread::{self, ThreadId};

/// The helper threads. Clones share them.
#[derive(Clone, Default)]
pub struct Workers {
    threads: Arc<Threads>,
    backlog: Arc<Backlog>,
}

/// The threads, each started by a job: a process with one thread has cheaper system calls, and a
/// server without file services starts none.
#[derive(Default)]
struct Threads {
    /// Unset: there are no helper threads, and jobs run in the calling thread.
    started: OnceLock<Started>,
}

struct Started {
    completions: Completions,
    /// By [`JobKind`].
    kinds: [Arc<Lanes>; 5],
    limits: WorkerLimits,
}

impl Drop for Started {
    fn drop(&mut self) {
        for lanes in &self.kinds {
            lanes.close();
        }
    }
}

/// The kinds of jobs. A job waits only for jobs of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Names, folders, metadata.
    LookUps,
    /// Pieces of bodies that are sent.
    Reads,
    /// Pieces of files whose digest is computed. Each takes the processor, too.
    Digests,
    /// New files, pieces of bodies that are received, and files to close.
    Writes,
    /// Changes of names, with their syncs.
    Commits,
}

/// Where a job waits: with the jobs of the same kind for the same device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// The kind of the job.
    pub kind: JobKind,
    /// The number of the device that it may wait for: stat(2), `st_dev`.
    pub device: u64,
}

type Slot<T> = Arc<Mutex<Option<T>>>;

impl Workers {
    /// Enables the helper threads, which end with the last clone of this.
    pub fn start(&self, limits: WorkerLimits, completions: Completions) {
        let (several, one) = (limits.threads_of_lane, 1);
        let started = self.threads.started.set(Started {
            completions,
            kinds: [
                Lanes::new("look-ups", several, limits),
                Lanes::new("reads", several, limits),
                Lanes::new("digests", one, limits),
                Lanes::new("writes", several, limits),
                Lanes::new("commits", one, limits),
            ],
            limits,
        });
        assert!(started.is_ok(), "started once");
    }

    /// An error if as many jobs wait in the lane as [`WorkerLimits::waiting`] or, for digests,
    /// [`WorkerLimits::digests`] allows.
    pub fn check(&self, lane: Lane) -> Result<(), StoreError> {
        let Some(started) = self.threads.started.get() else {
            return Ok(());
        };
        let waiting = started.kinds[lane.kind as usize].waiting(lane.device);
        match lane.kind {
            JobKind::Digests if waiting >= started.limits.digests => Err(StoreError::Busy),
            _ if waiting >= started.limits.waiting => Err(StoreError::DiskBusy(waiting)),
            _ => Ok(()),
        }
    }

    /// Runs `work` for a session and then adds the session to the completions. The work is skipped
    /// if the result was dropped before it starts.
    pub fn spawn<T: Send + 'static>(
        &self,
        lane: Lane,
        session: SessionId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pending<T> {
        let (slot, answer) = self.slot(session);
        let wanted = Arc::downgrade(&slot);
        let job = move |_: &mut SyncBatch| {
            if wanted.strong_count() > 1 {
                answer(work());
            }
        };
        self.send(lane, Box::new(job));
        Pending::later(move || poll(&slot))
    }

    /// Runs `work` as a commit of this device. It returns its result, and perhaps a folder to sync
    /// before the session gets that. `large` work ends the batch. The work is never skipped: when
    /// the result is dropped, the job counts in the backlog of its network, moves ahead of other
    /// commits, and is not synced.
    pub fn spawn_synced<T: Send + 'static>(
        &self,
        device: u64,
        client: Requester,
        large: bool,
        work: impl FnOnce(&JobStatus) -> Result<(T, Option<OwnedFd>), StoreError> + Send + 'static,
    ) -> StoreReply<T> {
        let (slot, answer) = self.slot(client.session);
        let status = Arc::new(JobStatus::new(client.address, self.backlog.clone()));
        let end = JobGuard(status.clone());
        let job: Job = Box::new(move |batch| match work(&end.0) {
            Ok((result, Some(folder))) => {
                let synced = |done: Result<(), _>| answer(done.map(|()| result));
                let answer = Box::new(synced);
                let job = Unsynced {
                    folder,
                    answer,
                    end,
                };
                batch.add(job, large);
            }
            Ok((result, None)) => answer(Ok(result)),
            Err(error) => answer(Err(error)),
        });
        let job = Arc::new(Mutex::new(Some(job)));
        let run = |job: Arc<Mutex<Option<Job>>>| {
            move |batch: &mut SyncBatch| {
                // The other thread may have run it already.
                let job = lock(&job).take();
                if let Some(job) = job {
                    job(batch);
                }
            }
        };
        let (workers, other) = (self.clone(), run(job.clone()));
        let lane = move |kind| Lane { kind, device };
        let rerun = move || workers.send(lane(JobKind::Writes), Box::new(other));
        let guard = RequesterGuard::new(status, rerun);
        self.send(lane(JobKind::Commits), Box::new(run(job)));
        Pending::later(move || {
            // Moved in here, so that dropping the result abandons the job.
            let _ = &guard;
            poll(&slot)
        })
    }

    /// Unfinished jobs of closed connections.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Runs work without a result.
    pub fn spawn_detached(&self, lane: Lane, work: impl FnOnce() + Send + 'static) {
        self.send(lane, Box::new(|_| work()));
    }

    /// The same in pieces, which return whether there are more. Other jobs run between two pieces.
    pub fn spawn_in_pieces(&self, lane: Lane, piece: impl FnMut() -> bool + Send + 'static) {
        self.spawn_piece(lane, thread::current().id(), piece);
    }

    fn spawn_piece(
        &self,
        lane: Lane,
        caller: ThreadId,
        mut piece: impl FnMut() -> bool + Send + 'static,
    ) {
        let workers = self.clone();
        self.spawn_detached(lane, move || {
            // Without a helper thread, each piece would be a call in the one before.
            let is_helped = thread::current().id() != caller;
            while piece() {
                if is_helped {
                    return workers.spawn_piece(lane, caller, piece);
                }
            }
        });
    }

    /// Runs work in pieces until one returns the result. The session is added to the completions
    /// after each piece, which shows that the disk answers.
    pub fn spawn_until<T: Send + 'static>(
        &self,
        lane: Lane,
        session: SessionId,
        mut piece: impl FnMut() -> Option<T> + Send + 'static,
    ) -> Pending<T> {
        let (slot, answer) = self.slot(session);
        let (workers, wanted) = (self.clone(), Arc::downgrade(&slot));
        let mut answer = Some(answer);
        self.spawn_in_pieces(lane, move || {
            if wanted.strong_count() < 2 {
                return false;
            }
            match (piece(), answer.take()) {
                (Some(result), Some(answer)) => {
                    answer(result);
                    false
                }
                (_, unused) => {
                    answer = unused;
                    workers.notify(session);
                    true
                }
            }
        });
        Pending::later(move || poll(&slot))
    }

    /// Runs work in a thread of its own, which ends with it. It may wait for any device, so that
    /// it must delay no job.
    pub fn spawn_alone(&self, name: &str, work: impl FnOnce() + Send + 'static) {
        let started = self.threads.started.get();
        let nice = started.and_then(|started| lanes::nice(&started.limits));
        if let Err(error) = lanes::start_thread(name, nice, work) {
            log::warn!("cannot start the thread {name:?}, its work is not done: {error}");
        }
    }

    /// Adds a session to the completions, for a result that several sessions share.
    pub fn notify(&self, peer: SessionId) {
        if let Some(started) = self.threads.started.get() {
            started.completions.add(peer);
        }
    }

    /// Wakes the loop, which writes the log of the thread.
    pub fn wake(&self) {
        if let Some(started) = self.threads.started.get() {
            started.completions.wake();
        }
    }

    fn slot<T: Send + 'static>(
        &self,
        session: SessionId,
    ) -> (Slot<T>, impl FnOnce(T) + Send + use<T>) {
        let slot = Arc::new(Mutex::new(None));
        let answers = slot.clone();
        let started = self.threads.started.get();
        let completions = started.map(|started| started.completions.clone());
        let answer = move |outcome| {
            *lock(&answers) = Some(outcome);
            if let Some(completions) = completions {
                completions.add(session);
            }
        };
        (slot, answer)
    }

    fn send(&self, lane: Lane, job: Job) {
        let sent = match self.threads.started.get() {
            None => Err(job),
            Some(started) => started.kinds[lane.kind as usize].push(lane.device, job),
        };
        // Without a helper thread the job runs here, in the loop.
        if let Err(job) = sent {
            let mut batch = SyncBatch::default();
            job(&mut batch);
            batch.sync();
        }
    }
}

fn poll<T>(slot: &Slot<T>) -> Poll<T> {
    lock(slot).take().map_or(Poll::Pending, Poll::Ready)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::store::STORE;
    use crate::store::BacklogLimits;
    use std::net::IpAddr;
    use std::sync::mpsc::{self, Receiver};

    const DEVICE: u64 = 5;

    fn lane(kind: JobKind) -> Lane {
        let device = DEVICE;
        Lane { kind, device }
    }

    fn folder() -> ((), Option<OwnedFd>) {
        let here = rustix::fs::open(".", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty());
        ((), Some(here.expect("a folder")))
    }

    /// Started workers, and a receiver that gets one `()` for every wake.
    fn started() -> (Workers, Completions, Receiver<()>) {
        let (wake, woken) = mpsc::channel();
        let completions = Completions::new(move || wake.send(()).expect("the test receives"));
        let workers = Workers::default();
        let limits = WorkerLimits {
            batch: 8,
            ..STORE.workers
        };
        workers.start(limits, completions.clone());
        (workers, completions, woken)
    }

    fn from(session: u64) -> Requester {
        Requester {
            session: SessionId(session),
            address: IpAddr::from([192, 0, 2, 1]),
            reads: 0,
        }
    }

    #[test]
    fn every_result_is_a_completion_and_wakes_the_loop() {
        let (workers, completions, woken) = started();
        let pending: Vec<_> = (0..200)
            .map(|number| match number % 3 {
                0 => workers.spawn_synced(DEVICE, from(number), number % 2 == 0, |_| Ok(folder())),
                1 => {
                    workers.spawn_synced(DEVICE, from(number), false, |_| Err(StoreError::NoSpace))
                }
                _ => workers.spawn(lane(JobKind::LookUps), SessionId(number), || Ok(())),
            })
            .collect();
        let mut finished = Vec::new();
        while finished.len() < pending.len() {
            woken.recv().expect("the helper thread runs");
            finished.extend(
                completions
                    .take()
                    .into_iter()
                    .map(|SessionId(number)| number),
            );
        }
        finished.sort_unstable();
        assert!(finished.into_iter().eq(0..200));
        for (number, pending) in pending.into_iter().enumerate() {
            let Ok(outcome) = pending.take() else {
                panic!("{number} was reported too early")
            };
            assert_eq!(outcome.is_ok(), number % 3 != 1);
        }
    }

    #[test]
    fn a_look_up_does_not_wait_for_a_commit() {
        let (workers, completions, woken) = started();
        let (end, may_end) = mpsc::channel::<()>();
        let commit = workers.spawn_synced(DEVICE, from(1), true, move |_| {
            may_end.recv().expect("the test sends");
            Ok(folder())
        });
        let look_up = workers.spawn(lane(JobKind::LookUps), SessionId(2), || 5);
        woken.recv().expect("a helper thread runs");
        assert_eq!(completions.take(), [SessionId(2)]);
        assert!(matches!(look_up.take(), Ok(5)));
        let Err(commit) = commit.take() else {
            panic!("the commit has not ended")
        };
        end.send(()).expect("the commit waits");
        woken.recv().expect("a helper thread runs");
        assert!(matches!(commit.take(), Ok(Ok(()))));
    }

    #[test]
    fn abandoned_work_is_skipped_or_not_synced() {
        let (workers, completions, woken) = started();
        let busy = |kind| {
            let (end, may_end) = mpsc::channel::<()>();
            workers.spawn_detached(lane(kind), move || may_end.recv().expect("the test sends"));
            end
        };
        let (look_ups, commits) = (busy(JobKind::LookUps), busy(JobKind::Commits));
        drop(workers.spawn(lane(JobKind::LookUps), SessionId(1), || {
            unreachable!("its result was dropped")
        }));
        let look_up = workers.spawn(lane(JobKind::LookUps), SessionId(2), || 5);
        let (done, outcomes) = mpsc::channel();
        let commit = |peer| {
            let done = done.clone();
            workers.spawn_synced(DEVICE, from(peer), false, move |status| {
                let outcome = (peer, status.is_awaited());
                done.send(outcome).expect("the test receives");
                Ok(folder())
            })
        };
        let (awaited, left) = (commit(3), commit(4));
        drop(left);
        let is_full = |network, all| {
            let address = from(0).address;
            let limits = BacklogLimits { network, all };
            workers.backlog().is_full(address, &limits)
        };
        assert!(is_full(1, 9) && is_full(9, 1) && !is_full(2, 2));
        assert_eq!(outcomes.recv(), Ok((4, false)));
        look_ups.send(()).expect("the job waits");
        woken.recv().expect("a helper thread runs");
        assert_eq!(completions.take(), [SessionId(2)]);
        assert!(matches!(look_up.take(), Ok(5)));
        commits.send(()).expect("the job waits");
        assert_eq!(outcomes.recv(), Ok((3, true)));
        woken.recv().expect("a helper thread runs");
        assert_eq!(completions.take(), [SessionId(3)]);
        assert!(matches!(awaited.take(), Ok(Ok(()))));
        while is_full(1, 1) {
            thread::yield_now();
        }
    }

    #[test]
    fn without_helper_threads_the_result_is_ready_at_once() {
        let workers = Workers::default();
        assert!(matches!(
            workers
                .spawn(lane(JobKind::LookUps), SessionId(1), || 5)
                .take(),
            Ok(5)
        ));
        let stored = workers
            .spawn_synced(DEVICE, from(1), false, |_| Ok(folder()))
            .take();
        assert!(matches!(stored, Ok(Ok(()))));
    }
}
