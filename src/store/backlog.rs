//! Counts the work at the disk that is still to be done although its asker is gone, by network.
//!
//! ```text
//!             the asker goes              the job ends
//!   Awaited ─────────────────▶ Left ─────────────────────▶ Ended
//!      └──────────────────── the job ends ──────────────────▲
//! ```

use crate::session::client_net::client_net;
use crate::store::BacklogLimits;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The jobs that are left, by network.
#[derive(Default)]
pub struct Backlog(Mutex<HashMap<IpAddr, usize>>);

impl Backlog {
    /// Whether this network, or all together, have left so much that no more is taken.
    pub fn is_full(&self, address: IpAddr, limits: &BacklogLimits) -> bool {
        let left = lock(&self.0);
        let of_network = left.get(&client_net(address)).copied().unwrap_or(0);
        of_network >= limits.network || left.values().sum::<usize>() >= limits.all
    }
}

/// One job, as its asker and the helper see it.
pub struct Slip {
    network: IpAddr,
    backlog: Arc<Backlog>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Awaited,
    Left,
    Ended,
}

impl Slip {
    /// A job for a peer at this address.
    pub fn new(address: IpAddr, backlog: Arc<Backlog>) -> Slip {
        Slip {
            network: client_net(address),
            backlog,
            state: Mutex::new(State::Awaited),
        }
    }

    /// Whether the asker will get to know how it went.
    pub fn is_awaited(&self) -> bool {
        *lock(&self.state) == State::Awaited
    }
}

/// The asker's end of a slip.
pub struct Asker {
    slip: Arc<Slip>,
    hurry: Option<Box<dyn FnOnce()>>,
}

impl Asker {
    /// `hurry` is called if the asker goes before the job has ended.
    pub fn new(slip: Arc<Slip>, hurry: impl FnOnce() + 'static) -> Asker {
        let hurry: Box<dyn FnOnce()> = Box::new(hurry);
        Asker {
            slip,
            hurry: Some(hurry),
        }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let mut state = lock(&self.slip.state);
        if *state != State::Awaited {
            return;
        }
        *state = State::Left;
        let network = self.slip.network;
        *lock(&self.slip.backlog.0).entry(network).or_insert(0) += 1;
        drop(state);
        if let Some(hurry) = self.hurry.take() {
            hurry();
        }
    }
}

/// The job's end of a slip.
pub struct JobEnd(pub Arc<Slip>);

impl Drop for JobEnd {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        if *state == State::Left {
            let mut left = lock(&self.0.backlog.0);
            let count = left.get_mut(&self.0.network).expect("it was counted");
            *count -= 1;
            if *count == 0 {
                left.remove(&self.0.network);
            }
        }
        *state = State::Ended;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
