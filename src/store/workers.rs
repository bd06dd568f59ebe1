//! Two helper threads for work that may wait for the disk; each runs its jobs in order.
//! The event loop and all protocols stay on their one thread, and poll for the result.
//!
//! ```text
//!   loop    spawn ──▶ queues                      completions ◀─┐
//!                       │                                      │
//!   commits             ├──▶ job ──▶ job ──▶ folders synced ───┤
//!   look-ups            └──▶ job ──▶ job ──────────────────────┘
//! ```
//!
//! Look-ups have their own thread because a commit may take long: with one thread for both, an `ls`
//! waited 619 ms behind three uploads of 768 MiB. Commits wait for each other, as they do for the
//! disk itself.
//!
//! The alternative is io_uring with its eventfd in the poll. A prototype was measured with echo at
//! 1,000 requests/s beside durable commits (commits/s, CPU per commit, longest delay of the loop by
//! a submission): 8 writers of 4 KiB, io_uring 4,985 / 154 us / 3.9 ms, threads 3,569 / 147 us /
//! 0.1 ms; 8 of 1 MiB, 819 / 578 us / 3.7 ms against 782 / 558 us / 0.1 ms; 2 of 256 MiB, 5.4 /
//! 127 ms / 6.9 ms against 6.5 / 107 ms / 0.1 ms. Without threads the last one blocked the loop for
//! 155 ms. io_uring also needs unsafe code to submit, and is disabled on many machines.

use super::backlog::{Backlog, JobGuard, JobStatus, RequesterGuard};
use crate::session::completions::Completions;
use crate::session::session_id::SessionId;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{Requester, StoreReply};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Receiver, SendError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::thread;

type Job = Box<dyn FnOnce(&mut SyncBatch) + Send>;

/// The queues of the helper threads. Clones share them.
#[derive(Clone, Default)]
pub struct Workers {
    threads: Arc<Threads>,
    backlog: Arc<Backlog>,
}

/// The helper threads, started by the first job: a process with one thread has cheaper system
/// calls, and a server without file services never starts them.
#[derive(Default)]
struct Threads {
    /// The most commits of one sync, and the receiver of finished sessions. Unset: there are no
    /// helper threads, and jobs run in the calling thread.
    started: OnceLock<(usize, Completions)>,
    helpers: OnceLock<Option<Helpers>>,
}

struct Helpers {
    commits: Sender<Job>,
    look_ups: Sender<Job>,
}

impl Threads {
    fn helpers(&self) -> Option<&Helpers> {
        let batch = self.started.get()?.0;
        let start = |name: &str| {
            let (sender, jobs) = mpsc::channel();
            let builder = thread::Builder::new().name(name.into());
            builder
                .spawn(move || run_jobs(&jobs, batch))
                .map(|_| sender)
        };
        let helpers = self.helpers.get_or_init(|| {
            let (commits, look_ups) = (start("commits"), start("look-ups"));
            let both = commits.and_then(|commits| {
                let look_ups = look_ups?;
                Ok(Helpers { commits, look_ups })
            });
            both.inspect_err(|error| {
                log::warn!("no helper threads: {error}; a slow disk will delay every client");
            })
            .ok()
        });
        helpers.as_ref()
    }
}

/// The helper thread for a job.
#[derive(Clone, Copy)]
pub enum Worker {
    /// Writes.
    Commits,
    /// Reads.
    LookUps,
}

type Slot<T> = Arc<Mutex<Option<T>>>;

/// Jobs that only lack the sync of their folder, so that one sync serves all jobs of a folder.
#[derive(Default)]
struct SyncBatch {
    jobs: usize,
    unsynced: Vec<Unsynced>,
    /// A large job was added: do not delay the answers by further jobs.
    full: bool,
}

struct Unsynced {
    folder: OwnedFd,
    answer: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
    end: JobGuard,
}

impl Workers {
    /// Enables the helper threads, which end with the last clone of this. At most `batch` commits
    /// share one sync of their folder.
    pub fn start(&self, batch: usize, completions: Completions) {
        let started = self.threads.started.set((batch, completions));
        assert!(started.is_ok(), "started once");
    }

    /// Runs `work` for a session and then adds the session to the completions. The work is skipped
    /// if the result was dropped before it starts.
    pub fn spawn<T: Send + 'static>(
        &self,
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
        self.send(Worker::LookUps, Box::new(job));
        Pending::later(move || poll(&slot))
    }

    /// Runs `work`. It returns its result, and perhaps a folder to sync before the session gets
    /// that. `large` work ends the batch. The work is never skipped: when the result is dropped,
    /// the job counts in the backlog of its network, moves ahead of other commits, and is not
    /// synced.
    pub fn spawn_synced<T: Send + 'static>(
        &self,
        client: Requester,
        large: bool,
        work: impl FnOnce(&JobStatus) -> Result<(T, Option<OwnedFd>), StoreError> + Send + 'static,
    ) -> StoreReply<T> {
        let (slot, answer) = self.slot(client.session);
        let status = Arc::new(JobStatus::new(client.address, self.backlog.clone()));
        let end = JobGuard(status.clone());
        let job: Job = Box::new(move |batch| match work(&end.0) {
            Ok((result, Some(folder))) => {
                batch.full |= large;
                let synced = |done: Result<(), _>| answer(done.map(|()| result));
                let answer = Box::new(synced);
                batch.unsynced.push(Unsynced {
                    folder,
                    answer,
                    end,
                });
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
        let rerun = move || workers.send(Worker::LookUps, Box::new(other));
        let guard = RequesterGuard::new(status, rerun);
        self.send(Worker::Commits, Box::new(run(job)));
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
    pub fn spawn_detached(&self, worker: Worker, work: impl FnOnce() + Send + 'static) {
        self.send(worker, Box::new(|_| work()));
    }

    /// The same in pieces, which return whether there are more. Other jobs run between two pieces.
    pub fn spawn_in_pieces(
        &self,
        worker: Worker,
        mut piece: impl FnMut() -> bool + Send + 'static,
    ) {
        if self.threads.helpers().is_none() {
            while piece() {}
            return;
        }
        let workers = self.clone();
        self.spawn_detached(worker, move || {
            if piece() {
                workers.spawn_in_pieces(worker, piece);
            }
        });
    }

    /// Adds a session to the completions, for a result that several sessions share.
    pub fn notify(&self, peer: SessionId) {
        if let Some(completions) = self.completions() {
            completions.add(peer);
        }
    }

    fn completions(&self) -> Option<&Completions> {
        self.threads.helpers()?;
        self.threads
            .started
            .get()
            .map(|(_, completions)| completions)
    }

    fn slot<T: Send + 'static>(
        &self,
        session: SessionId,
    ) -> (Slot<T>, impl FnOnce(T) + Send + use<T>) {
        let slot = Arc::new(Mutex::new(None));
        let answers = slot.clone();
        let completions = self.completions().cloned();
        let answer = move |outcome| {
            *lock(&answers) = Some(outcome);
            if let Some(completions) = completions {
                completions.add(session);
            }
        };
        (slot, answer)
    }

    fn send(&self, worker: Worker, job: Job) {
        let helper = self.threads.helpers().map(|helpers| match worker {
            Worker::Commits => &helpers.commits,
            Worker::LookUps => &helpers.look_ups,
        });
        let left = match helper {
            None => Some(job),
            Some(helper) => helper.send(job).err().map(|SendError(job)| job),
        };
        // Without the helper thread the job runs here, in the loop.
        if let Some(job) = left {
            let mut batch = SyncBatch::default();
            job(&mut batch);
            batch.sync();
        }
    }
}

/// The main function of a helper thread.
fn run_jobs(jobs: &Receiver<Job>, max_batch: usize) {
    while let Ok(job) = jobs.recv() {
        let mut batch = SyncBatch::default();
        let mut next = Some(job);
        while let Some(job) = next {
            job(&mut batch);
            batch.jobs += 1;
            let more = !batch.full && batch.jobs < max_batch;
            next = more.then(|| jobs.try_recv().ok()).flatten();
        }
        batch.sync();
    }
}

impl SyncBatch {
    /// Syncs every folder once and delivers the results.
    fn sync(self) {
        let mut synced: Vec<((u64, u64), Result<(), Errno>)> = Vec::new();
        for Unsynced {
            folder,
            answer,
            end,
        } in self.unsynced
        {
            if !end.0.is_awaited() {
                continue;
            }
            let identity = rustix::fs::fstat(&folder).map(|stat| (stat.st_dev, stat.st_ino));
            let done = synced
                .iter()
                .find(|(known, _)| Ok(*known) == identity)
                .map(|(_, done)| *done);
            let done = done.unwrap_or_else(|| rustix::fs::fsync(&folder));
            if let Ok(identity) = identity {
                synced.push((identity, done));
            }
            drop(folder);
            answer(done.map_err(StoreError::from));
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
    use crate::store::BacklogLimits;
    use std::net::IpAddr;

    fn folder() -> ((), Option<OwnedFd>) {
        let here = rustix::fs::open(".", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty());
        ((), Some(here.expect("a folder")))
    }

    /// Started workers, and a receiver that gets one `()` for every wake.
    fn started() -> (Workers, Completions, Receiver<()>) {
        let (wake, woken) = mpsc::channel();
        let completions = Completions::new(move || wake.send(()).expect("the test receives"));
        let workers = Workers::default();
        workers.start(8, completions.clone());
        (workers, completions, woken)
    }

    fn from(session: u64) -> Requester {
        Requester {
            session: SessionId(session),
            address: IpAddr::from([192, 0, 2, 1]),
        }
    }

    #[test]
    fn every_result_is_a_completion_and_wakes_the_loop() {
        let (workers, completions, woken) = started();
        let pending: Vec<_> = (0..200)
            .map(|number| match number % 3 {
                0 => workers.spawn_synced(from(number), number % 2 == 0, |_| Ok(folder())),
                1 => workers.spawn_synced(from(number), false, |_| Err(StoreError::NoSpace)),
                _ => workers.spawn(SessionId(number), || Ok(())),
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
        let commit = workers.spawn_synced(from(1), true, move |_| {
            may_end.recv().expect("the test sends");
            Ok(folder())
        });
        let look_up = workers.spawn(SessionId(2), || 5);
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
        let busy = |worker| {
            let (end, may_end) = mpsc::channel::<()>();
            workers.spawn_detached(worker, move || may_end.recv().expect("the test sends"));
            end
        };
        let (look_ups, commits) = (busy(Worker::LookUps), busy(Worker::Commits));
        drop(workers.spawn(SessionId(1), || unreachable!("its result was dropped")));
        let look_up = workers.spawn(SessionId(2), || 5);
        let (done, outcomes) = mpsc::channel();
        let commit = |peer| {
            let done = done.clone();
            workers.spawn_synced(from(peer), false, move |status| {
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
        look_ups.send(()).expect("the job waits");
        assert_eq!(outcomes.recv(), Ok((4, false)));
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
        assert!(matches!(workers.spawn(SessionId(1), || 5).take(), Ok(5)));
        let stored = workers
            .spawn_synced(from(1), false, |_| Ok(folder()))
            .take();
        assert!(matches!(stored, Ok(Ok(()))));
    }
}
