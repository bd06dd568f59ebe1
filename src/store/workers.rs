//! Has what may wait for a disk done by two helper threads, each in the order of asking.
//! The loop and every protocol stay on their one thread, and ask for the outcome.
//!
//! ```text
//!   loop    spawn ──▶ queues                      completions ◀─┐
//!                       │                                      │
//!   commits             ├──▶ job ──▶ job ──▶ folders synced ───┤
//!   look-ups            └──▶ job ──▶ job ──────────────────────┘
//! ```
//!
//! Look-ups have a thread of their own because a commit may take long: behind three uploads of 768
//! MiB an `ls` waited 619 ms for its turn, with one thread for both. Commits wait for each other,
//! as they do for the disk itself.
//!
//! io_uring with its eventfd in the poll is the other shape. Measured on a prototype, echo at 1,000
//! a second beside durable commits (commits a second, CPU a commit, longest time that handing over
//! held the loop): 8 writers of 4 KiB, uring 4,985 / 154 us / 3.9 ms, this 3,569 / 147 us / 0.1 ms;
//! 8 of 1 MiB, 819 / 578 us / 3.7 ms against 782 / 558 us / 0.1 ms; 2 of 256 MiB, 5.4 / 127 ms /
//! 6.9 ms against 6.5 / 107 ms / 0.1 ms. On the loop itself the last one stopped everybody for
//! 155 ms. io_uring also needs unsafe code to submit, and is switched off on many machines.

use super::backlog::{Asker, Backlog, JobEnd, Slip};
use crate::session::completions::Completions;
use crate::session::session_id::SessionId;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{Reply, Requester};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Receiver, SendError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::thread;

type Job = Box<dyn FnOnce(&mut Batch) + Send>;
type Outcome = Result<(), StoreError>;

/// The way to the helpers. Clones share it.
#[derive(Clone, Default)]
pub struct Workers {
    threads: Arc<Threads>,
    backlog: Arc<Backlog>,
}

/// The helpers, who come with the first wait: a process of one thread has cheaper system calls,
/// and one that serves no files stays like that.
#[derive(Default)]
struct Threads {
    /// Commits that wait for one sync, and where it is said that something is done. Without it
    /// there are no helpers, and whoever asks does the waiting.
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
            builder.spawn(move || help(&jobs, batch)).map(|_| sender)
        };
        let helpers = self.helpers.get_or_init(|| {
            let (commits, look_ups) = (start("commits"), start("look-ups"));
            let both = commits.and_then(|commits| {
                let look_ups = look_ups?;
                Ok(Helpers { commits, look_ups })
            });
            both.inspect_err(|error| {
                log::warn!("no helper threads: {error}; slow disks will hold everybody up");
            })
            .ok()
        });
        helpers.as_ref()
    }
}

/// Behind what a job may have to wait.
#[derive(Clone, Copy)]
pub enum Worker {
    /// What is written.
    Commits,
    /// What is read.
    LookUps,
}

type Slot<T> = Arc<Mutex<Option<T>>>;

/// Jobs that are done but for their folders, so that one sync is enough for all of a folder.
#[derive(Default)]
struct Batch {
    jobs: usize,
    unsynced: Vec<Unsynced>,
    /// Others should not wait for more jobs behind a big one.
    full: bool,
}

struct Unsynced {
    folder: OwnedFd,
    answer: Box<dyn FnOnce(Outcome) + Send>,
    end: JobEnd,
}

impl Workers {
    /// From now on there are helpers, which end with the last clone of this. At most `batch`
    /// commits wait for each other's folders.
    pub fn start(&self, batch: usize, completions: Completions) {
        let started = self.threads.started.set((batch, completions));
        assert!(started.is_ok(), "the helpers are started once");
    }

    /// Has `work` done for a session, which is among the completions afterwards. It is skipped
    /// if the session is gone when its turn comes.
    pub fn spawn<T: Send + 'static>(
        &self,
        session: SessionId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pending<T> {
        let (slot, answer) = self.slot(session);
        let wanted = Arc::downgrade(&slot);
        let job = move |_: &mut Batch| {
            if wanted.strong_count() > 1 {
                answer(work());
            }
        };
        self.hand_over(Worker::LookUps, Box::new(job));
        Pending::later(move || poll(&slot))
    }

    /// The same for work on a folder whose names must outlive a power cut: `work` says which one,
    /// if any, and it is synced before the session hears of it. `big` work is not made to wait for
    /// more. It is done in any case; once the session is gone, it is counted in the backlog of its
    /// network, and does not wait for the syncs of others, nor for its own.
    pub fn spawn_synced(
        &self,
        client: Requester,
        big: bool,
        work: impl FnOnce(&Slip) -> Result<Option<OwnedFd>, StoreError> + Send + 'static,
    ) -> Reply<()> {
        let (slot, answer) = self.slot(client.session);
        let slip = Arc::new(Slip::new(client.address, self.backlog.clone()));
        let end = JobEnd(slip.clone());
        let job: Job = Box::new(move |batch| match work(&end.0) {
            Ok(Some(folder)) => {
                batch.full |= big;
                let answer = Box::new(answer);
                batch.unsynced.push(Unsynced {
                    folder,
                    answer,
                    end,
                });
            }
            Ok(None) => answer(Ok(())),
            Err(error) => answer(Err(error)),
        });
        let job = Arc::new(Mutex::new(Some(job)));
        let run = |job: Arc<Mutex<Option<Job>>>| {
            move |batch: &mut Batch| {
                // The other worker may have been faster.
                let job = lock(&job).take();
                if let Some(job) = job {
                    job(batch);
                }
            }
        };
        let (workers, other) = (self.clone(), run(job.clone()));
        let hurry = move || workers.hand_over(Worker::LookUps, Box::new(other));
        let asker = Asker::new(slip, hurry);
        self.hand_over(Worker::Commits, Box::new(run(job)));
        Pending::later(move || {
            // Dropped with this, it lets the work wait for no other.
            let _ = &asker;
            poll(&slot)
        })
    }

    /// Work whose session is gone and that is not done yet.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Has something done of which nobody needs to hear.
    pub fn spawn_detached(&self, worker: Worker, work: impl FnOnce() + Send + 'static) {
        self.hand_over(worker, Box::new(|_| work()));
    }

    /// The same in pieces, which say whether there are more: what others ask comes between two.
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

    /// The session may go on: what it waits for was done on behalf of several.
    pub fn tell(&self, peer: SessionId) {
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

    fn hand_over(&self, worker: Worker, job: Job) {
        let helper = self.threads.helpers().map(|helpers| match worker {
            Worker::Commits => &helpers.commits,
            Worker::LookUps => &helpers.look_ups,
        });
        let left = match helper {
            None => Some(job),
            Some(helper) => helper.send(job).err().map(|SendError(job)| job),
        };
        // Without its thread the work is still done, only not beside the loop.
        if let Some(job) = left {
            let mut batch = Batch::default();
            job(&mut batch);
            batch.sync();
        }
    }
}

/// A helper's life.
fn help(jobs: &Receiver<Job>, most: usize) {
    while let Ok(job) = jobs.recv() {
        let mut batch = Batch::default();
        let mut next = Some(job);
        while let Some(job) = next {
            job(&mut batch);
            batch.jobs += 1;
            let more = !batch.full && batch.jobs < most;
            next = more.then(|| jobs.try_recv().ok()).flatten();
        }
        batch.sync();
    }
}

impl Batch {
    /// Syncs every folder once, and answers who waited for it.
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

    fn folder() -> Option<OwnedFd> {
        let here = rustix::fs::open(".", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty());
        Some(here.expect("a folder"))
    }

    /// With helpers, and a receiver that gets one `()` for every wake.
    fn started() -> (Workers, Completions, Receiver<()>) {
        let (told, woken) = mpsc::channel();
        let completions = Completions::new(move || told.send(()).expect("the test listens"));
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
    fn every_outcome_is_announced_and_wakes_at_least_once() {
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
            woken.recv().expect("the helper lives");
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
                panic!("{number} was announced too early")
            };
            assert_eq!(outcome.is_ok(), number % 3 != 1);
        }
    }

    #[test]
    fn a_look_up_waits_for_no_commit() {
        let (workers, completions, woken) = started();
        let (end, may_end) = mpsc::channel::<()>();
        let commit = workers.spawn_synced(from(1), true, move |_| {
            may_end.recv().expect("the test tells when");
            Ok(folder())
        });
        let look_up = workers.spawn(SessionId(2), || 5);
        woken.recv().expect("a helper lives");
        assert_eq!(completions.take(), [SessionId(2)]);
        assert!(matches!(look_up.take(), Ok(5)));
        let Err(commit) = commit.take() else {
            panic!("the commit has not ended")
        };
        end.send(()).expect("the commit waits");
        woken.recv().expect("a helper lives");
        assert!(matches!(commit.take(), Ok(Ok(()))));
    }

    #[test]
    fn work_whose_asker_is_gone_is_skipped_or_waits_for_no_sync() {
        let (workers, completions, woken) = started();
        let busy = |worker| {
            let (end, may_end) = mpsc::channel::<()>();
            workers.spawn_detached(worker, move || may_end.recv().expect("the test tells when"));
            end
        };
        let (look_ups, commits) = (busy(Worker::LookUps), busy(Worker::Commits));
        drop(workers.spawn(SessionId(1), || unreachable!("nobody waits for it")));
        let look_up = workers.spawn(SessionId(2), || 5);
        let (done, outcomes) = mpsc::channel();
        let commit = |peer| {
            let done = done.clone();
            workers.spawn_synced(from(peer), false, move |slip| {
                let outcome = (peer, slip.is_awaited());
                done.send(outcome).expect("the test listens");
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
        look_ups.send(()).expect("it waits");
        assert_eq!(outcomes.recv(), Ok((4, false)));
        woken.recv().expect("a helper lives");
        assert_eq!(completions.take(), [SessionId(2)]);
        assert!(matches!(look_up.take(), Ok(5)));
        commits.send(()).expect("it waits");
        assert_eq!(outcomes.recv(), Ok((3, true)));
        woken.recv().expect("a helper lives");
        assert_eq!(completions.take(), [SessionId(3)]);
        assert!(matches!(awaited.take(), Ok(Ok(()))));
        while is_full(1, 1) {
            thread::yield_now();
        }
    }

    #[test]
    fn without_a_helper_the_outcome_is_there_at_once() {
        let workers = Workers::default();
        assert!(matches!(workers.spawn(SessionId(1), || 5).take(), Ok(5)));
        let stored = workers
            .spawn_synced(from(1), false, |_| Ok(folder()))
            .take();
        assert!(matches!(stored, Ok(Ok(()))));
    }
}
