//! Keeps sessions waiting for a disk, and ends their waits in any order, at moments of the seed's.
//! Knows no files: what is waited for was done by the store, or is done when the wait ends.

use super::random::Random;
use loket::session::notice::PeerId;
use loket::store::error::StoreError;
use loket::store::{Errand, List, Listing};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

/// The disk; its copies are one.
#[derive(Clone, Default)]
pub struct Disk {
    /// How many of a hundred errands have to wait.
    percent: usize,
    random: Rc<Cell<u64>>,
    waits: Rc<RefCell<Vec<(PeerId, Wait)>>>,
    finished: Rc<RefCell<Vec<PeerId>>>,
}

/// Something that goes on at the disk, whether anybody still waits for it or not.
type Wait = Rc<RefCell<Job>>;

struct Job {
    inner: Option<Box<dyn Errand>>,
    done: Option<Result<(), StoreError>>,
    over: bool,
}

impl Disk {
    /// A disk that keeps so many of a hundred waiting.
    pub fn new(percent: usize, seed: u64) -> Disk {
        Disk {
            percent,
            random: Rc::new(Cell::new(seed)),
            ..Disk::default()
        }
    }

    fn keeps_waiting(&self) -> bool {
        let random = Random::new(self.random.get());
        self.random.set(random.next());
        random.chance(self.percent)
    }

    fn wait(&self, peer: PeerId, inner: Option<Box<dyn Errand>>) -> Wait {
        let mut job = Job {
            inner,
            done: None,
            over: false,
        };
        let waits = self.keeps_waiting();
        // What is waited for may have been done long before that is known.
        if !waits || self.random.get().is_multiple_of(2) {
            job.act();
        }
        job.over = !waits;
        let wait = Rc::new(RefCell::new(job));
        if waits {
            self.waits.borrow_mut().push((peer, wait.clone()));
        }
        wait
    }

    /// An errand that may have to wait.
    pub fn errand(&self, peer: PeerId, inner: Box<dyn Errand>) -> Box<dyn Errand> {
        Box::new(WaitingErrand(self.wait(peer, Some(inner))))
    }

    /// The list of a folder, which may have to be waited for.
    pub fn listing(&self, peer: PeerId, inner: Box<dyn Listing>) -> Box<dyn Listing> {
        Box::new(WaitingListing {
            inner,
            wait: self.wait(peer, None),
        })
    }

    /// Ends one wait. Says whether there was any.
    pub fn finish(&self, random: usize) -> bool {
        let mut waits = self.waits.borrow_mut();
        if waits.is_empty() {
            return false;
        }
        let chosen = random % waits.len();
        let (peer, wait) = waits.remove(chosen);
        wait.borrow_mut().act();
        wait.borrow_mut().over = true;
        self.finished.borrow_mut().push(peer);
        true
    }

    /// Somebody is said to be worth asking, who is not.
    pub fn finish_wrongly(&self, peer: PeerId) {
        self.finished.borrow_mut().push(peer);
    }

    /// Whose waits are over, or are said to be.
    pub fn told(&self) -> Vec<PeerId> {
        self.finished.borrow().clone()
    }

    /// Takes them.
    pub fn finished(&self) -> Vec<PeerId> {
        self.finished.take()
    }

    /// Whether anybody waits.
    pub fn is_busy(&self) -> bool {
        !self.waits.borrow().is_empty()
    }

    /// Whether a session waits, or was not told yet that it need not.
    pub fn is_waited_for(&self, peer: PeerId) -> bool {
        if self.finished.borrow().contains(&peer) {
            return true;
        }
        self.waits
            .borrow()
            .iter()
            .any(|(waiting, _)| *waiting == peer)
    }
}

impl Job {
    fn act(&mut self) {
        if let Some(mut inner) = self.inner.take()
            && let Poll::Ready(done) = inner.poll()
        {
            self.done = Some(done);
        }
    }
}

struct WaitingErrand(Wait);

impl Errand for WaitingErrand {
    fn poll(&mut self) -> Poll<Result<(), StoreError>> {
        let mut job = self.0.borrow_mut();
        if !job.over {
            return Poll::Pending;
        }
        Poll::Ready(job.done.take().expect("asked once more than it was done"))
    }
}

struct WaitingListing {
    inner: Box<dyn Listing>,
    wait: Wait,
}

impl Listing for WaitingListing {
    fn poll(&mut self) -> Poll<Result<List, StoreError>> {
        if !self.wait.borrow().over {
            return Poll::Pending;
        }
        self.inner.poll()
    }
}
