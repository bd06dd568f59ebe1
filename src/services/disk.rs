//! Has what may wait for a disk done by one helper thread, in the order of asking.
//! Decides nothing: the loop and every protocol stay on their one thread, and ask for the outcome.
//!
//! PROTO

use crate::session::notice::PeerId;
use std::sync::mpsc::{self, SendError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;

/// Says whether the loop must be woken.
type Job = Box<dyn FnOnce() -> bool + Send>;

/// The way to the helper. Clones share it.
#[derive(Clone, Default)]
pub struct Disk {
    /// Without a helper, whoever asks does the waiting.
    helper: Option<Sender<Job>>,
    /// Whose waits are over.
    finished: Arc<Mutex<Vec<PeerId>>>,
}

/// What the helper will have found out.
pub struct Pending<T>(Arc<Mutex<Option<T>>>);

impl<T> Pending<T> {
    /// Takes the outcome, once.
    pub fn poll(&self) -> Poll<T> {
        lock(&self.0).take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Disk {
    /// Starts the helper. It calls `wake` when there is something to learn, and ends with the last
    /// clone of this.
    pub fn start(&mut self, wake: Box<dyn Fn() + Send>) {
        let (sender, jobs) = mpsc::channel::<Job>();
        let spawned = thread::Builder::new().name("disk".into()).spawn(move || {
            for job in jobs {
                if job() {
                    wake();
                }
            }
        });
        match spawned {
            Ok(_) => self.helper = Some(sender),
            Err(error) => {
                log::warn!("no helper thread: {error}; slow disks will hold everybody up");
            }
        }
    }

    /// Has `work` done for a session, which is among [`Disk::finished`] afterwards.
    pub fn ask<T: Send + 'static>(
        &self,
        for_peer: PeerId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pending<T> {
        let slot = Arc::new(Mutex::new(None));
        let answer = slot.clone();
        match &self.helper {
            None => *lock(&answer) = Some(work()),
            Some(helper) => {
                let finished = self.finished.clone();
                let job = move || {
                    *lock(&answer) = Some(work());
                    let mut finished = lock(&finished);
                    finished.push(for_peer);
                    // The first one wakes the loop for all that it has not fetched yet.
                    finished.len() == 1
                };
                send(helper, Box::new(job));
            }
        }
        Pending(slot)
    }

    /// Has something done of which nobody needs to hear.
    pub fn leave(&self, work: impl FnOnce() + Send + 'static) {
        match &self.helper {
            None => work(),
            Some(helper) => send(
                helper,
                Box::new(|| {
                    work();
                    false
                }),
            ),
        }
    }

    /// Whose waits have come to an end since this was last asked.
    pub fn finished(&self) -> Vec<PeerId> {
        std::mem::take(&mut *lock(&self.finished))
    }
}

/// Without its thread the work is still done, only not beside the loop.
fn send(helper: &Sender<Job>, job: Job) {
    if let Err(SendError(job)) = helper.send(job) {
        job();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_announced_and_wakes_at_least_once() {
        let mut disk = Disk::default();
        let (told, woken) = mpsc::channel();
        disk.start(Box::new(move || told.send(()).expect("the test listens")));
        let pending: Vec<_> = (0..100)
            .map(|number| disk.ask(PeerId(number), move || number * 2))
            .collect();
        let mut finished = Vec::new();
        while finished.len() < pending.len() {
            woken.recv().expect("the helper lives");
            finished.extend(disk.finished());
        }
        for (number, pending) in pending.iter().enumerate() {
            assert_eq!(pending.poll(), Poll::Ready(number as u64 * 2));
            assert_eq!(finished[number], PeerId(number as u64));
        }
    }

    #[test]
    fn without_a_helper_the_outcome_is_there_at_once() {
        let disk = Disk::default();
        assert_eq!(disk.ask(PeerId(1), || 5).poll(), Poll::Ready(5));
        assert!(disk.finished().is_empty());
    }
}
