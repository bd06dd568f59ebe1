//! Remembers the messages that the room has not sent back yet.
//! Sends none again: the room would show them twice.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The messages on their way, oldest first.
#[derive(Debug)]
pub struct Unacked {
    sent: VecDeque<(String, Instant)>,
    patience: Duration,
}

impl Unacked {
    /// Messages that have not come back after `patience` are lost.
    pub fn new(patience: Duration) -> Unacked {
        Unacked {
            sent: VecDeque::new(),
            patience,
        }
    }

    /// This message is about to be sent.
    pub fn add(&mut self, message: String, now: Instant) {
        self.sent.push_back((message, now + self.patience));
    }

    /// Whether this is one of ours; it is then not on its way any more.
    pub fn take(&mut self, message: &str) -> bool {
        let place = self.sent.iter().position(|(ours, _)| ours == message);
        place.and_then(|place| self.sent.remove(place)).is_some()
    }

    /// When the oldest is to be called lost.
    pub fn deadline(&self) -> Option<Instant> {
        self.sent.front().map(|(_, deadline)| *deadline)
    }

    /// A message that is lost by now.
    pub fn next_lost(&mut self, now: Instant) -> Option<String> {
        self.deadline().filter(|deadline| *deadline <= now)?;
        self.sent.pop_front().map(|(message, _)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_taken_once_and_the_rest_is_lost_in_time() {
        let mut unacked = Unacked::new(Duration::from_secs(1));
        let begin = Instant::now();
        for message in ["ani: a", "ani: b", "ani: a"] {
            unacked.add(message.to_owned(), begin);
        }
        assert!(unacked.take("ani: a"));
        assert!(!unacked.take("budi: a"));
        assert_eq!(unacked.next_lost(begin), None);
        let end = unacked.deadline().unwrap();
        assert_eq!(unacked.next_lost(end).as_deref(), Some("ani: b"));
        assert!(unacked.take("ani: a"));
        assert_eq!(unacked.deadline(), None);
    }
}
