//! Keeps the claims to names that are taken, while the holder of the name is probed.
//! Decides nothing: the room does, when the holder answers, refuses or the time is over.

use crate::session::datagram::Route;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// A stranger that wants a name which a member has.
#[derive(Debug)]
pub struct Claim {
    /// The stranger.
    pub from: Route,
    /// The name.
    pub name: String,
    /// The member that has it.
    pub holder: SocketAddr,
    /// When the claim fails, in microseconds.
    pub until: u64,
}

/// A bounded number of claims, all of which wait equally long.
pub struct Claims {
    queue: VecDeque<Claim>,
    most: usize,
}

impl Claims {
    /// No claims, and room for a number of them.
    pub fn new(most: usize) -> Claims {
        Claims {
            queue: VecDeque::new(),
            most,
        }
    }

    /// Whether there is no room for another.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= self.most
    }

    /// Keeps a claim.
    pub fn add(&mut self, claim: Claim) {
        assert!(!self.is_full(), "there is room for a claim");
        self.queue.push_back(claim);
    }

    /// Whether a claim of this stranger waits.
    pub fn waits(&self, from: SocketAddr) -> bool {
        self.queue.iter().any(|claim| claim.from.peer == from)
    }

    /// Takes the claims to the name of a member, the oldest first.
    pub fn take_on(&mut self, holder: SocketAddr) -> VecDeque<Claim> {
        let (taken, left) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|claim| claim.holder == holder);
        self.queue = left;
        taken
    }

    /// Takes the oldest claim whose time is over.
    pub fn take_due(&mut self, now: u64) -> Option<Claim> {
        self.next_due()
            .filter(|due| *due <= now)
            .and_then(|_| self.queue.pop_front())
    }

    /// When the time of the oldest claim is over.
    pub fn next_due(&self) -> Option<u64> {
        self.queue.front().map(|claim| claim.until)
    }
}
