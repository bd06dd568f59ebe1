//! Has what may wait for a disk done by two helper threads, each in the order of asking.
//! Decides nothing: the loop and every protocol stay on their one thread, and ask for the outcome.
//!
//! ```text
//!   loop      ask ──▶ queues           finished(), poll() ◀── wake
//!                       │                                      ▲
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
use crate::session::notice::PeerId;
use crate::store::error::StoreError;
use rustix::io::Errno;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Receiver, SendError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::thread;

type Job = Box<dyn FnOnce(&mut Batch) + Send>;
type Outcome = Result<(), StoreError>;

/// The way to the helpers. Clones share it.
#[derive(Clone, Default)]
pub struct Disk {
    lanes: Arc<Lanes>,
    backlog: Arc<Backlog>,
}

/// The helpers, who come with the first wait: a process of one thread has cheaper system calls,
/// and one that serves no files stays like that.
#[derive(Default)]
struct Lanes {
    /// Commits that wait for one sync, and where it is said that something is done. Without it
    /// there are no helpers, and whoever asks does the waiting.
    started: OnceLock<(usize, Completions)>,
    helpers: OnceLock<Option<Helpers>>,
}

struct Helpers {
    commits: Sender<Job>,
    look_ups: Sender<Job>,
}

impl Lanes {
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
pub enum Lane {
    /// What is written.
    Commits,
    /// What is read.
    LookUps,
}

/// What the helper will have found out. Work whose pending outcome was dropped is not wanted.
pub struct Pending<T> {
    slot: Slot<T>,
    /// Of work that is done in any case.
    _asker: Option<Asker>,
}

type Slot<T> = Arc<Mutex<Option<T>>>;

impl<T> Pending<T> {
    /// Takes the outcome, once.
    pub fn poll(&self) -> Poll<T> {
        lock(&self.slot).take().map_or(Poll::Pending, Poll::Ready)
    }
}

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

impl Disk {
    /// From now on there are helpers, which end with the last clone of this. At most `batch`
    /// commits wait for each other's folders.
    pub fn start(&self, batch: usize, completions: Completions) {
        let started = self.lanes.started.set((batch, completions));
        assert!(started.is_ok(), "the helpers are started once");
    }

    /// Has `work` done for a session, which is among the completions afterwards. It is skipped
    /// if the session is gone when its turn comes.
    pub fn ask<T: Send + 'static>(
        &self,
        for_peer: PeerId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pending<T> {
        let (slot, answer) = self.slot(for_peer);
        let wanted = Arc::downgrade(&slot);
        let job = move |_: &mut Batch| {
            if wanted.strong_count() > 1 {
                answer(work());
            }
        };
        self.hand_over(Lane::LookUps, Box::new(job));
        Pending { slot, _asker: None }
    }

    /// The same for work on a folder whose names must outlive a power cut: `work` says which one,
    /// if any, and it is synced before the session hears of it. `big` work is not made to wait for
    /// more. It is done in any case; once the session is gone, it is counted in the backlog of its
    /// network, and does not wait for the syncs of others, nor for its own.
    pub fn ask_durably(
        &self,
        (for_peer, network): (PeerId, IpAddr),
        big: bool,
        work: impl FnOnce(&Slip) -> Result<Option<OwnedFd>, StoreError> + Send + 'static,
    ) -> Pending<Outcome> {
        let (slot, answer) = self.slot(for_peer);
        let slip = Arc::new(Slip::new(network, self.backlog.clone()));
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
                // The other lane may have been faster.
                let job = lock(&job).take();
                if let Some(job) = job {
                    job(batch);
                }
            }
        };
        let (disk, other) = (self.clone(), run(job.clone()));
        let hurry = move || disk.hand_over(Lane::LookUps, Box::new(other));
        let asker = Some(Asker::new(slip, hurry));
        self.hand_over(Lane::Commits, Box::new(run(job)));
        Pending {
            slot,
            _asker: asker,
        }
    }

    /// Work whose session is gone and that is not done yet.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Has something done of which nobody needs to hear.
    pub fn leave(&self, lane: Lane, work: impl FnOnce() + Send + 'static) {
        self.hand_over(lane, Box::new(|_| work()));
    }

    /// The same in pieces, which say whether there are more: what others ask comes between two.
    pub fn leave_in_pieces(&self, lane: Lane, mut piece: impl FnMut() -> bool + Send + 'static) {
        if self.lanes.helpers().is_none() {
            while piece() {}
            return;
        }
        let disk = self.clone();
        self.leave(lane, move || {
            if piece() {
                disk.leave_in_pieces(lane, piece);
            }
        });
    }

    /// The session may go on: what it waits for was done on behalf of several.
    pub fn tell(&self, peer: PeerId) {
        if let Some(completions) = self.completions() {
            completions.add(peer);
        }
    }

    fn completions(&self) -> Option<&Completions> {
        self.lanes.helpers()?;
        self.lanes.started.get().map(|(_, completions)| completions)
    }

    fn slot<T: Send + 'static>(
        &self,
        for_peer: PeerId,
    ) -> (Slot<T>, impl FnOnce(T) + Send + use<T>) {
        let slot = Arc::new(Mutex::new(None));
        let answers = slot.clone();
        let completions = self.completions().cloned();
        let answer = move |outcome| {
            *lock(&answers) = Some(outcome);
            if let Some(completions) = completions {
                completions.add(for_peer);
            }
        };
        (slot, answer)
    }

    fn hand_over(&self, lane: Lane, job: Job) {
        let helper = self.lanes.helpers().map(|helpers| match lane {
            Lane::Commits => &helpers.commits,
            Lane::LookUps => &helpers.look_ups,
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::backlog::BacklogLimits;

    fn folder() -> Option<OwnedFd> {
        let here = rustix::fs::open(".", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty());
        Some(here.expect("a folder"))
    }

    /// With helpers, and a receiver that gets one `()` for every wake.
    fn started() -> (Disk, Completions, Receiver<()>) {
        let (told, woken) = mpsc::channel();
        let completions = Completions::new(move || told.send(()).expect("the test listens"));
        let disk = Disk::default();
        disk.start(8, completions.clone());
        (disk, completions, woken)
    }

    fn from(peer: u64) -> (PeerId, IpAddr) {
        (PeerId(peer), IpAddr::from([192, 0, 2, 1]))
    }

    #[test]
    fn every_outcome_is_announced_and_wakes_at_least_once() {
        let (disk, completions, woken) = started();
        let pending: Vec<_> = (0..200)
            .map(|number| match number % 3 {
                0 => disk.ask_durably(from(number), number % 2 == 0, |_| Ok(folder())),
                1 => disk.ask_durably(from(number), false, |_| Err(StoreError::NoSpace)),
                _ => disk.ask(PeerId(number), || Ok(())),
            })
            .collect();
        let mut finished = Vec::new();
        while finished.len() < pending.len() {
            woken.recv().expect("the helper lives");
            finished.extend(completions.take().into_iter().map(|PeerId(number)| number));
        }
        finished.sort_unstable();
        assert!(finished.into_iter().eq(0..200));
        for (number, pending) in pending.iter().enumerate() {
            let Poll::Ready(outcome) = pending.poll() else {
                panic!("{number} was announced too early")
            };
            assert_eq!(outcome.is_ok(), number % 3 != 1);
        }
    }

    #[test]
    fn a_look_up_waits_for_no_commit() {
        let (disk, completions, woken) = started();
        let (end, may_end) = mpsc::channel::<()>();
        let commit = disk.ask_durably(from(1), true, move |_| {
            may_end.recv().expect("the test tells when");
            Ok(folder())
        });
        let look_up = disk.ask(PeerId(2), || 5);
        woken.recv().expect("a helper lives");
        assert_eq!(completions.take(), [PeerId(2)]);
        assert_eq!(look_up.poll(), Poll::Ready(5));
        assert!(commit.poll().is_pending());
        end.send(()).expect("the commit waits");
        woken.recv().expect("a helper lives");
        assert!(matches!(commit.poll(), Poll::Ready(Ok(()))));
    }

    #[test]
    fn work_whose_asker_is_gone_is_skipped_or_waits_for_no_sync() {
        let (disk, completions, woken) = started();
        let busy = |lane| {
            let (end, may_end) = mpsc::channel::<()>();
            disk.leave(lane, move || may_end.recv().expect("the test tells when"));
            end
        };
        let (look_ups, commits) = (busy(Lane::LookUps), busy(Lane::Commits));
        drop(disk.ask(PeerId(1), || unreachable!("nobody waits for it")));
        let look_up = disk.ask(PeerId(2), || 5);
        let (done, outcomes) = mpsc::channel();
        let commit = |peer| {
            let done = done.clone();
            disk.ask_durably(from(peer), false, move |slip| {
                let outcome = (peer, slip.is_awaited());
                done.send(outcome).expect("the test listens");
                Ok(folder())
            })
        };
        let (awaited, left) = (commit(3), commit(4));
        drop(left);
        let is_full = |network, all| {
            let (_, address) = from(0);
            let limits = BacklogLimits { network, all };
            disk.backlog().is_full(address, &limits)
        };
        assert!(is_full(1, 9) && is_full(9, 1) && !is_full(2, 2));
        look_ups.send(()).expect("it waits");
        assert_eq!(outcomes.recv(), Ok((4, false)));
        woken.recv().expect("a helper lives");
        assert_eq!(completions.take(), [PeerId(2)]);
        assert_eq!(look_up.poll(), Poll::Ready(5));
        commits.send(()).expect("it waits");
        assert_eq!(outcomes.recv(), Ok((3, true)));
        woken.recv().expect("a helper lives");
        assert_eq!(completions.take(), [PeerId(3)]);
        assert!(matches!(awaited.poll(), Poll::Ready(Ok(()))));
        while is_full(1, 1) {
            thread::yield_now();
        }
    }

    #[test]
    fn without_a_helper_the_outcome_is_there_at_once() {
        let disk = Disk::default();
        assert_eq!(disk.ask(PeerId(1), || 5).poll(), Poll::Ready(5));
        let stored = disk.ask_durably(from(1), false, |_| Ok(folder())).poll();
        assert!(matches!(stored, Poll::Ready(Ok(()))));
    }
}
