//! Jobs that may wait for a disk, in one queue (a lane) for each device, and their threads.
//!
//! ```text
//!   push ──▶ lane of device 8:1  ──▶ one thread at once; one more each time a job took long
//!        ──▶ lane of device 0:45 ──▶ one thread at once
//! ```
//!
//! A file system that does not answer keeps one thread busy, and delays only the jobs of its lane.
//! A lane whose jobs take long but complete gets more threads: such a file system waits for
//! something else than the processor, and serves several requests at once.

use super::WorkerLimits;
use super::sync_batch::SyncBatch;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// One piece of work.
pub(super) type Job = Box<dyn FnOnce(&mut SyncBatch) + Send>;

/// The lanes of one kind of job.
pub(super) struct Lanes {
    /// The name of their threads.
    name: &'static str,
    limits: WorkerLimits,
    /// The most threads that one lane uses at once.
    most: usize,
    /// The nice value of the threads. A thread begins with that of the thread that started it,
    /// which may be one of them.
    nice: Option<i32>,
    state: Mutex<LanesState>,
    work: Condvar,
}

#[derive(Default)]
struct LanesState {
    lanes: HashMap<u64, Lane>,
    /// Devices whose lane has a job and may use one more thread.
    ready: VecDeque<u64>,
    threads: usize,
    /// Threads that wait and are not notified yet.
    idle: usize,
    /// Threads that are notified and have not noticed it yet.
    notified: usize,
    closed: bool,
}

struct Lane {
    jobs: VecDeque<Job>,
    running: usize,
    /// How many threads it may use at once now.
    allowed: usize,
    /// Whether it is in `ready`.
    offered: bool,
}

impl Lanes {
    /// Lanes without jobs; their threads start with the first job.
    pub fn new(name: &'static str, most: usize, limits: WorkerLimits) -> Arc<Lanes> {
        Arc::new(Lanes {
            name,
            nice: nice(&limits),
            limits,
            most,
            state: Mutex::default(),
            work: Condvar::new(),
        })
    }

    /// The number of jobs that wait in the lane of a device.
    pub fn waiting(&self, device: u64) -> usize {
        let state = self.lock();
        state.lanes.get(&device).map_or(0, |lane| lane.jobs.len())
    }

    /// Appends a job to the lane of a device. Gives it back if no thread can be started.
    pub fn push(self: &Arc<Self>, device: u64, job: Job) -> Result<(), Job> {
        let mut state = self.lock();
        let lane = state.lanes.entry(device).or_insert(Lane {
            jobs: VecDeque::new(),
            running: 0,
            allowed: 1,
            offered: false,
        });
        lane.jobs.push_back(job);
        if state.offer(device) {
            self.wake(&mut state);
        }
        if state.threads > 0 {
            return Ok(());
        }
        state.ready.clear();
        let lane = state.lanes.get_mut(&device).expect("inserted above");
        lane.offered = false;
        Err(lane.jobs.pop_back().expect("pushed above"))
    }

    /// Ends the threads, each after its job. Does not wait for them.
    pub fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    /// Wakes or starts a thread for the lane that was offered last.
    fn wake(self: &Arc<Self>, state: &mut LanesState) {
        if state.idle > 0 {
            state.idle -= 1;
            state.notified += 1;
            self.work.notify_one();
        } else if state.threads < self.limits.threads {
            let lanes = self.clone();
            match start_thread(self.name, self.nice, move || lanes.serve()) {
                Ok(()) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    log::warn!(
                        "cannot start a thread for {}: {error}; a slow disk delays every client",
                        self.name
                    );
                }
                // The running threads serve this lane, too.
                Err(_) => {}
            }
        }
    }

    /// The main function of a thread.
    fn serve(self: &Arc<Self>) {
        let mut state = self.lock();
        loop {
            if let Some(device) = state.ready.pop_front() {
                let first = state.begin(device);
                if state.offer(device) {
                    self.wake(&mut state);
                }
                drop(state);
                let took = self.run(device, first);
                state = self.lock();
                // This thread serves the lane next, so no other one is woken.
                state.end(device, took, self.most, &self.limits);
                continue;
            }
            state.idle += 1;
            while state.notified == 0 && !state.closed {
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.closed {
                return;
            }
            state.notified -= 1;
        }
    }

    /// Runs a job, and those behind it that can share its sync. Returns the time of the first.
    fn run(&self, device: u64, first: Job) -> Duration {
        let mut batch = SyncBatch::default();
        let begin = Instant::now();
        first(&mut batch);
        let took = begin.elapsed();
        for _ in 1..self.limits.batch {
            let next = match batch.may_grow() {
                true => self.lock().next_of(device),
                false => None,
            };
            let Some(next) = next else { break };
            next(&mut batch);
        }
        batch.sync();
        took
    }

    fn lock(&self) -> MutexGuard<'_, LanesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The nice value of helper threads; the kernel takes more than 19 for 19.
pub(super) fn nice(limits: &WorkerLimits) -> Option<i32> {
    let own = rustix::process::getpriority_process(None).ok()?;
    Some(own + limits.nice)
}

/// Starts a thread that gives way to the event loop.
pub(super) fn start_thread(
    name: &str,
    nice: Option<i32>,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let work = move || {
        if let Some(nice) = nice {
            // On Linux this is about the calling thread.
            let _ = rustix::process::setpriority_process(None, nice);
        }
        work();
    };
    let thread = thread::Builder::new().name(name.into());
    thread.spawn(work).map(drop)
}

impl LanesState {
    /// Puts a lane into `ready` if it has a job and may use one more thread.
    fn offer(&mut self, device: u64) -> bool {
        let lane = self
            .lanes
            .get_mut(&device)
            .expect("a lane is never removed");
        if lane.offered || lane.jobs.is_empty() || lane.running >= lane.allowed {
            return false;
        }
        lane.offered = true;
        self.ready.push_back(device);
        true
    }

    /// Takes the first job of a lane that was in `ready`.
    fn begin(&mut self, device: u64) -> Job {
        let lane = self
            .lanes
            .get_mut(&device)
            .expect("a lane is never removed");
        lane.offered = false;
        lane.running += 1;
        lane.jobs.pop_front().expect("an offered lane has a job")
    }

    fn next_of(&mut self, device: u64) -> Option<Job> {
        let lane = self
            .lanes
            .get_mut(&device)
            .expect("a lane is never removed");
        // The last job of a lane in `ready` belongs to the thread that takes the lane.
        if lane.offered && lane.jobs.len() == 1 {
            return None;
        }
        lane.jobs.pop_front()
    }

    /// A thread has completed a job of the lane.
    fn end(&mut self, device: u64, took: Duration, most: usize, limits: &WorkerLimits) {
        let lane = self
            .lanes
            .get_mut(&device)
            .expect("a lane is never removed");
        lane.running -= 1;
        lane.allowed = match took < limits.slow {
            true => 1,
            false => most.min(lane.allowed + 1),
        };
        self.offer(device);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::store::STORE;
    use std::sync::mpsc::{self, Receiver, Sender};

    fn lanes(most: usize, slow: Duration) -> Arc<Lanes> {
        let limits = WorkerLimits {
            slow,
            ..STORE.workers
        };
        Lanes::new("test", most, limits)
    }

    /// A job that reports its number and then waits until the test sends or drops the other end.
    fn hanging(number: u64, reports: &Sender<u64>) -> (Job, Sender<()>) {
        let (end, may_end) = mpsc::channel();
        let reports = reports.clone();
        let job = move |_: &mut SyncBatch| {
            let _ = reports.send(number);
            let _: Result<(), _> = may_end.recv();
        };
        (Box::new(job), end)
    }

    fn push(lanes: &Arc<Lanes>, device: u64, job: Job) {
        assert!(lanes.push(device, job).is_ok(), "a thread can be started");
    }

    fn running(reports: &Receiver<u64>, count: usize) -> Vec<u64> {
        let mut numbers: Vec<_> = (0..count).map(|_| reports.recv().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn a_device_that_does_not_answer_keeps_one_thread_busy() {
        let lanes = lanes(4, Duration::ZERO);
        let (reports, reported) = mpsc::channel();
        let mut ends = Vec::new();
        for number in 0..20 {
            let (job, end) = hanging(number, &reports);
            push(&lanes, 1, job);
            ends.push(end);
        }
        assert_eq!(running(&reported, 1), [0]);
        for number in 100..103 {
            let (job, end) = hanging(number, &reports);
            drop(end);
            push(&lanes, 2, job);
        }
        assert_eq!(running(&reported, 3), [100, 101, 102]);
        assert_eq!(lanes.waiting(1), 19);
        assert!(reported.try_recv().is_err(), "one job of the device runs");
        drop(ends);
        assert_eq!(running(&reported, 19), (1..20).collect::<Vec<_>>());
        lanes.close();
    }

    #[test]
    fn no_thread_is_nicer_for_being_started_by_a_helper_thread() {
        let own = rustix::process::getpriority_process(None).unwrap();
        let lanes = lanes(2, Duration::ZERO);
        let (reports, reported) = mpsc::channel();
        let mut ends = Vec::new();
        for _ in 0..3 {
            let (end, may_end) = mpsc::channel::<()>();
            let reports = reports.clone();
            let job = move |_: &mut SyncBatch| {
                let nice = rustix::process::getpriority_process(None);
                let _ = reports.send((thread::current().id(), nice));
                let _: Result<(), _> = may_end.recv();
            };
            push(&lanes, 1, Box::new(job));
            ends.push(end);
        }
        let nice = Ok((own + STORE.workers.nice).min(19));
        assert_eq!(reported.recv().unwrap().1, nice);
        drop(ends.remove(0));
        let (first, second) = (reported.recv().unwrap(), reported.recv().unwrap());
        assert_ne!(first.0, second.0, "the first thread has started another");
        assert_eq!((first.1, second.1), (nice, nice));
        drop(ends);
        lanes.close();
    }

    #[test]
    fn a_lane_gets_more_threads_while_its_jobs_take_long_and_complete() {
        // No job takes less than no time.
        for (most, slow, together) in [
            (4, Duration::ZERO, 4),
            (1, Duration::ZERO, 1),
            (4, Duration::MAX, 1),
        ] {
            let lanes = lanes(most, slow);
            let (reports, reported) = mpsc::channel();
            let mut ends = Vec::new();
            for number in 0..20 {
                let (job, end) = hanging(number, &reports);
                push(&lanes, 1, job);
                ends.push(end);
            }
            assert_eq!(running(&reported, 1), [0]);
            for (number, end) in ends.drain(..5).enumerate() {
                drop(end);
                // One more starts with each job that ends, and then the next.
                let started = match number + 1 < together {
                    true => 2,
                    false => 1,
                };
                running(&reported, started);
            }
            assert!(reported.try_recv().is_err(), "{most} threads at most");
            drop(ends);
            running(&reported, 20 - 1 - 5 - (together - 1));
            lanes.close();
        }
    }
}
