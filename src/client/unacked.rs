//! Messages whose copy has not come back from the room: in flight, or lost.
//! A lost message is reported and not sent again, because the room may have relayed it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The messages without a copy, oldest first.
#[derive(Debug)]
pub struct Unacked {
    sent: VecDeque<(String, Instant)>,
    timeout: Duration,
}

impl Unacked {
    /// A message without a copy after `timeout` is lost.
    pub fn new(timeout: Duration) -> Unacked {
        Unacked {
            sent: VecDeque::new(),
            timeout,
        }
    }

    /// Adds a message that was just sent.
    pub fn add(&mut self, message: String, now: Instant) {
        self.sent.push_back((message, now + self.timeout));
    }

    /// Removes the oldest message with this text. Returns whether there was one.
    pub fn take(&mut self, message: &str) -> bool {
        let index = self.sent.iter().position(|(sent, _)| sent == message);
        index.and_then(|index| self.sent.remove(index)).is_some()
    }

    /// When the oldest message counts as lost.
    pub fn deadline(&self) -> Option<Instant> {
        self.sent.front().map(|(_, deadline)| *deadline)
    }

    /// Removes the oldest message, if it is lost by now.
    pub fn next_lost(&mut self, now: Instant) -> Option<String> {
        self.deadline().filter(|deadline| *deadline <= now)?;
        self.sent.pop_front().map(|(message, _)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_acknowledges_one_message_and_the_others_are_lost_at_their_deadline() {
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
