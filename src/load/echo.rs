//! Sends messages to an echo service and compares every byte that comes back.
//! Keeps no message: what is expected is known from its place in the stream alone.

use super::requests::{Heard, Requests, wrong_byte};
use super::test_data::Pattern;
use crate::session::outbox::Outbox;
use std::rc::Rc;

/// The messages of one connection.
pub struct Echo {
    pattern: Rc<Pattern>,
    size: u64,
    /// Where in the pattern this connection's stream begins: no two have the same bytes.
    origin: u64,
    asked: u64,
    heard: u64,
}

impl Echo {
    /// Messages of `size` bytes.
    pub fn new(pattern: Rc<Pattern>, size: u64, origin: u64) -> Echo {
        Echo {
            pattern,
            size,
            origin,
            asked: 0,
            heard: 0,
        }
    }
}

impl Requests for Echo {
    fn prepare(&mut self, out: &mut Outbox) {
        self.ask(out);
    }

    fn ask(&mut self, out: &mut Outbox) -> usize {
        self.pattern.write(self.origin + self.asked, self.size, out);
        self.asked += self.size;
        0
    }

    fn hear(&mut self, input: &[u8]) -> (usize, Heard) {
        let left = self.size - self.heard % self.size;
        let count = left.min(input.len() as u64) as usize;
        let at = self.origin + self.heard;
        if let Some(place) = self.pattern.difference(at, &input[..count]) {
            let place = self.heard % self.size + place as u64;
            return (count, wrong_byte(place, "a message"));
        }
        self.heard += count as u64;
        if count as u64 == left {
            (count, Heard::Answer)
        } else {
            (count, Heard::Part)
        }
    }

    fn forget(&mut self) {
        // What comes next begins behind everything that was ever sent.
        self.heard = self.asked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::outbox::Front;

    #[test]
    fn messages_are_compared_at_any_cut_and_one_changed_byte_is_named() {
        let pattern = Rc::new(Pattern::new(101).expect("memory"));
        let mut echo = Echo::new(pattern, 10, 95);
        let mut out = Outbox::default();
        echo.ask(&mut out);
        echo.ask(&mut out);
        let Some(Front::Bytes(sent)) = out.front() else {
            panic!("two messages")
        };
        let mut back = sent.to_vec();
        back[17] ^= 1;
        assert_eq!(echo.hear(&back[..4]), (4, Heard::Part));
        assert_eq!(echo.hear(&back[4..]), (6, Heard::Answer));
        assert_eq!(
            echo.hear(&back[10..]),
            (
                10,
                Heard::Wrong("byte 8 of a message came back changed".to_owned())
            )
        );
    }
}
