//! Remembers the messages that the room has not sent back yet.
//! Sends none again: the room would show them twice.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The messages on their way, oldest first; used by the thread that sends, the one that hears
/// and the one that waits.
#[derive(Debug)]
pub struct Pending {
    sent: Mutex<VecDeque<(String, Instant)>>,
    patience: Duration,
}

impl Pending {
    /// Messages that have not come back after `patience` are lost.
    pub fn new(patience: Duration) -> Pending {
        Pending {
            sent: Mutex::new(VecDeque::new()),
            patience,
        }
    }

    /// This message is about to be sent.
    pub fn add(&self, message: String, now: Instant) {
        self.sent().push_back((message, now + self.patience));
    }

    /// Whether this is one of ours.
    pub fn holds(&self, message: &str) -> bool {
        self.sent().iter().any(|(ours, _)| ours == message)
    }

    /// Whether this is one of ours; it is then not on its way any more.
    pub fn take(&self, message: &str) -> bool {
        let mut sent = self.sent();
        let place = sent.iter().position(|(ours, _)| ours == message);
        place.and_then(|place| sent.remove(place)).is_some()
    }

    /// When the oldest is to be called lost.
    pub fn deadline(&self) -> Option<Instant> {
        self.sent().front().map(|(_, deadline)| *deadline)
    }

    /// A message that is lost by now.
    pub fn next_lost(&self, now: Instant) -> Option<String> {
        let mut sent = self.sent();
        match sent.front() {
            Some((_, deadline)) if *deadline <= now => {}
            _ => return None,
        }
        sent.pop_front().map(|(message, _)| message)
    }

    fn sent(&self) -> MutexGuard<'_, VecDeque<(String, Instant)>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_taken_once_and_the_rest_is_lost_in_time() {
        let pending = Pending::new(Duration::from_secs(1));
        let begin = Instant::now();
        for message in ["ani: a", "ani: b", "ani: a"] {
            pending.add(message.to_owned(), begin);
        }
        assert!(pending.holds("ani: a"));
        assert!(pending.take("ani: a"));
        assert!(!pending.take("budi: a"));
        assert_eq!(pending.next_lost(begin), None);
        let end = pending.deadline().unwrap();
        assert_eq!(pending.next_lost(end).as_deref(), Some("ani: b"));
        assert!(pending.take("ani: a"));
        assert_eq!(pending.deadline(), None);
    }
}
