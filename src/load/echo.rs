//! Sends messages to an echo service and compares every byte of the answers.
//! Messages are not stored: the expected bytes follow from the offset in the stream.

use super::requests::{Checked, Requests, wrong_byte};
use super::test_data::TestData;
use crate::session::outbox::Outbox;
use std::rc::Rc;

/// The echo messages of one worker.
pub struct EchoRequests {
    data: Rc<TestData>,
    size: u64,
    /// Offset of this worker's stream in the test data, different for each worker.
    origin: u64,
    sent: u64,
    checked: u64,
}

impl EchoRequests {
    /// Messages of `size` bytes.
    pub fn new(data: Rc<TestData>, size: u64, origin: u64) -> EchoRequests {
        EchoRequests {
            data,
            size,
            origin,
            sent: 0,
            checked: 0,
        }
    }
}

impl Requests for EchoRequests {
    fn prepare(&mut self, out: &mut Outbox) {
        self.next_request(out);
    }

    fn next_request(&mut self, out: &mut Outbox) -> usize {
        self.data.write(self.origin + self.sent, self.size, out);
        self.sent += self.size;
        0
    }

    fn check(&mut self, input: &[u8]) -> (usize, Checked) {
        let left = self.size - self.checked % self.size;
        let count = left.min(input.len() as u64) as usize;
        let at = self.origin + self.checked;
        if let Some(offset) = self.data.difference(at, &input[..count]) {
            let offset = self.checked % self.size + offset as u64;
            return (count, wrong_byte(offset, "a message"));
        }
        self.checked += count as u64;
        if count as u64 == left {
            (count, Checked::Answer)
        } else {
            (count, Checked::Part)
        }
    }

    fn reset(&mut self) {
        // The next answer belongs to the next message that is sent.
        self.checked = self.sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::outbox::Front;

    #[test]
    fn a_changed_byte_is_reported_for_any_split_of_the_answer() {
        let data = Rc::new(TestData::new(101).expect("memory"));
        let mut echo = EchoRequests::new(data, 10, 95);
        let mut out = Outbox::default();
        echo.next_request(&mut out);
        echo.next_request(&mut out);
        let Some(Front::Bytes(sent)) = out.front() else {
            panic!("two messages")
        };
        let mut back = sent.to_vec();
        back[17] ^= 1;
        assert_eq!(echo.check(&back[..4]), (4, Checked::Part));
        assert_eq!(echo.check(&back[4..]), (6, Checked::Answer));
        assert_eq!(
            echo.check(&back[10..]),
            (
                10,
                Checked::Wrong("byte 8 of a message is wrong".to_owned())
            )
        );
    }
}
