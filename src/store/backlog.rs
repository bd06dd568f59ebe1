//! Counts unfinished disk jobs of closed connections, by client network.
//!
//! ```text
//!           the connection closes             the job ends
//!   Awaited ─────────────────────▶ Abandoned ──────────────▶ Done
//!      └──────────────────── the job ends ───────────────────▲
//! ```

use crate::session::client_net::client_net;
use crate::store::BacklogLimits;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Abandoned jobs, by client network.
#[derive(Default)]
pub struct Backlog(Mutex<HashMap<IpAddr, usize>>);

impl Backlog {
    /// Whether the network of this address, or all networks together, have reached the limit.
    pub fn is_full(&self, address: IpAddr, limits: &BacklogLimits) -> bool {
        let abandoned = lock(&self.0);
        let of_network = abandoned.get(&client_net(address)).copied().unwrap_or(0);
        of_network >= limits.network || abandoned.values().sum::<usize>() >= limits.all
    }
}

/// The state of one job, shared by the session and the helper thread.
pub struct JobStatus {
    network: IpAddr,
    backlog: Arc<Backlog>,
    state: Mutex<JobState>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum JobState {
    Awaited,
    Abandoned,
    Done,
}

impl JobStatus {
    /// A job for a client at this address.
    pub fn new(address: IpAddr, backlog: Arc<Backlog>) -> JobStatus {
        JobStatus {
            network: client_net(address),
            backlog,
            state: Mutex::new(JobState::Awaited),
        }
    }

    /// Whether a session still waits for the result.
    pub fn is_awaited(&self) -> bool {
        *lock(&self.state) == JobState::Awaited
    }
}

/// Held by the session: dropping it before the job ends abandons the job.
pub struct RequesterGuard {
    status: Arc<JobStatus>,
    on_abandon: Option<Box<dyn FnOnce()>>,
}

impl RequesterGuard {
    /// `on_abandon` is called if this is dropped before the job ends.
    pub fn new(status: Arc<JobStatus>, on_abandon: impl FnOnce() + 'static) -> RequesterGuard {
        let on_abandon: Box<dyn FnOnce()> = Box::new(on_abandon);
        RequesterGuard {
            status,
            on_abandon: Some(on_abandon),
        }
    }
}

impl Drop for RequesterGuard {
    fn drop(&mut self) {
        let mut state = lock(&self.status.state);
        if *state != JobState::Awaited {
            return;
        }
        *state = JobState::Abandoned;
        let network = self.status.network;
        *lock(&self.status.backlog.0).entry(network).or_insert(0) += 1;
        drop(state);
        if let Some(on_abandon) = self.on_abandon.take() {
            on_abandon();
        }
    }
}

/// Held by the job: dropping it marks the job as done.
pub struct JobGuard(pub Arc<JobStatus>);

impl Drop for JobGuard {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        if *state == JobState::Abandoned {
            let mut abandoned = lock(&self.0.backlog.0);
            let count = abandoned.get_mut(&self.0.network).expect("it was counted");
            *count -= 1;
            if *count == 0 {
                abandoned.remove(&self.0.network);
            }
        }
        *state = JobState::Done;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
