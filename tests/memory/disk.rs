//! A simulated disk that makes sessions wait and completes its operations in any order, by seed.

use super::random::Random;
use loket::session::session_id::SessionId;
use loket::store::StoreReply;
use loket::store::error::StoreError;
use loket::store::pending::Pending;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

/// The disk; clones share their state.
#[derive(Clone, Default)]
pub struct Disk {
    /// The percentage of operations that have to wait, and of pieces of files.
    percent: usize,
    pieces: usize,
    random: Rc<Cell<u64>>,
    waits: Rc<RefCell<Vec<Rc<Wait>>>>,
    finished: Rc<RefCell<Vec<SessionId>>>,
}

/// A running disk operation, whether a session still waits for it or not.
struct Wait {
    peer: SessionId,
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
    /// A disk on which these percentages of operations and of pieces have to wait.
    pub fn new(percent: usize, pieces: usize, seed: u64) -> Disk {
        Disk {
            percent,
            pieces,
            random: Rc::new(Cell::new(seed)),
            ..Disk::default()
        }
    }

    fn injects(&self, percent: usize) -> bool {
        let random = Random::new(self.random.get());
        self.random.set(random.next());
        random.chance(percent)
    }

    /// Runs the operation now or later, by seed.
    pub fn reply<T: 'static>(
        &self,
        peer: SessionId,
        act: impl FnOnce() -> Result<T, StoreError> + 'static,
    ) -> StoreReply<T> {
        match self.injects(self.percent) {
            true => self.later(peer, act),
            false => Pending::Ready(act()),
        }
    }

    /// Reads or writes a piece of a file now or later, by seed.
    pub fn piece<T: 'static>(
        &self,
        peer: SessionId,
        act: impl FnOnce() -> T + 'static,
    ) -> Pending<T> {
        match self.injects(self.pieces) {
            true => self.later(peer, act),
            false => Pending::Ready(act()),
        }
    }

    fn later<T: 'static>(&self, peer: SessionId, act: impl FnOnce() -> T + 'static) -> Pending<T> {
        let outcome = Rc::new(Cell::new(None));
        let answer = outcome.clone();
        let act: Box<dyn FnOnce()> = Box::new(move || answer.set(Some(act())));
        let wait = Rc::new(Wait {
            peer,
            act: Cell::new(Some(act)),
            over: Cell::new(false),
        });
        // An operation may be done long before its completion is reported.
        if self.random.get().is_multiple_of(2) {
            wait.act();
        }
        self.waits.borrow_mut().push(wait.clone());
        Pending::later(move || {
            if !wait.over.get() {
                return Poll::Pending;
            }
            Poll::Ready(outcome.take().expect("polled after it was ready"))
        })
    }

    /// Completes one operation; false if none is running.
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

    /// Reports a completion for a session that may have none.
    pub fn finish_wrongly(&self, peer: SessionId) {
        self.finished.borrow_mut().push(peer);
    }

    /// The sessions of the reported completions.
    pub fn reported(&self) -> Vec<SessionId> {
        self.finished.borrow().clone()
    }

    /// Removes and returns the sessions of the reported completions.
    pub fn finished(&self) -> Vec<SessionId> {
        self.finished.take()
    }

    /// Whether an operation is running.
    pub fn is_busy(&self) -> bool {
        !self.waits.borrow().is_empty()
    }

    /// Whether a session waits for an operation, or has not handled its completion yet.
    pub fn is_waited_for(&self, peer: SessionId) -> bool {
        if self.finished.borrow().contains(&peer) {
            return true;
        }
        self.waits.borrow().iter().any(|wait| wait.peer == peer)
    }
}
