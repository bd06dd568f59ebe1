//! Keeps sessions waiting for a disk, and ends their waits in any order, at moments of the seed's.

use super::random::Random;
use loket::session::notice::PeerId;
use loket::store::Reply;
use loket::store::error::StoreError;
use loket::store::pending::Pending;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

/// The disk; its copies are one.
#[derive(Clone, Default)]
pub struct Disk {
    /// How many of a hundred errands have to wait.
    percent: usize,
    random: Rc<Cell<u64>>,
    waits: Rc<RefCell<Vec<Rc<Wait>>>>,
    finished: Rc<RefCell<Vec<PeerId>>>,
}

/// Something that goes on at the disk, whether a session still waits for it or not.
struct Wait {
    peer: PeerId,
    act: Cell<Option<Box<dyn FnOnce()>>>,
    over: Cell<bool>,
}

impl Wait {
    fn act(&self) {
        if let Some(act) = self.act.take() {
            act();
        }
    }
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

    /// What is done now, or waited for.
    pub fn reply<T: 'static>(
        &self,
        peer: PeerId,
        act: impl FnOnce() -> Result<T, StoreError> + 'static,
    ) -> Reply<T> {
        if !self.keeps_waiting() {
            return Pending::Ready(act());
        }
        let outcome = Rc::new(Cell::new(None));
        let answer = outcome.clone();
        let act: Box<dyn FnOnce()> = Box::new(move || answer.set(Some(act())));
        let wait = Rc::new(Wait {
            peer,
            act: Cell::new(Some(act)),
            over: Cell::new(false),
        });
        // What is waited for may have been done long before that is known.
        if self.random.get().is_multiple_of(2) {
            wait.act();
        }
        self.waits.borrow_mut().push(wait.clone());
        Pending::later(move || {
            if !wait.over.get() {
                return Poll::Pending;
            }
            Poll::Ready(outcome.take().expect("asked once more than it was done"))
        })
    }

    /// Ends one wait. Says whether there was any.
    pub fn finish(&self, random: usize) -> bool {
        let mut waits = self.waits.borrow_mut();
        if waits.is_empty() {
            return false;
        }
        let chosen = random % waits.len();
        let wait = waits.remove(chosen);
        wait.act();
        wait.over.set(true);
        self.finished.borrow_mut().push(wait.peer);
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
        self.waits.borrow().iter().any(|wait| wait.peer == peer)
    }
}
