//! Sends PING to redis, and compares the answers.

use super::requests::{Checked, Requests, wrong_byte};
use crate::session::outbox::Outbox;
use crate::wire::text::OneLine;

/// A PING in the protocol of redis, an array of one string.
pub const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// The PINGs of one worker.
#[derive(Default)]
pub struct RedisRequests {
    /// Received bytes of the answer.
    checked: usize,
    /// The answer is an error, and this is its text.
    error: Option<Vec<u8>>,
}

impl Requests for RedisRequests {
    fn prepare(&mut self, out: &mut Outbox) {
        self.next_request(out);
    }

    fn next_request(&mut self, out: &mut Outbox) -> usize {
        out.bytes(PING);
        0
    }

    fn check(&mut self, input: &[u8]) -> (usize, Checked) {
        if self.checked == 0 && input.first() == Some(&b'-') {
            self.error = Some(Vec::new());
        }
        if let Some(error) = &mut self.error {
            let end = input.iter().position(|byte| *byte == b'\n');
            error.extend_from_slice(&input[..end.unwrap_or(input.len())]);
            let text = String::from_utf8_lossy(error).trim_end().to_owned();
            let refused = format!("the server answered: {}", OneLine(&text));
            return match end {
                Some(end) => (end + 1, Checked::Refused(refused)),
                None => (input.len(), Checked::Part),
            };
        }
        let wanted = &PONG[self.checked..];
        let count = wanted.len().min(input.len());
        let same = wanted.iter().zip(input).take_while(|(a, b)| a == b).count();
        if same < count {
            let offset = (self.checked + same) as u64;
            return (count, wrong_byte(offset, "an answer"));
        }
        self.checked = (self.checked + count) % PONG.len();
        match self.checked {
            0 => (count, Checked::Answer),
            _ => (count, Checked::Part),
        }
    }

    fn reset(&mut self) {
        *self = RedisRequests::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pongs_and_errors_are_told_apart_for_any_split() {
        let stream = b"+PONG\r\n+PONG\r\n-NOAUTH no\r\n";
        for step in 1..stream.len() {
            let mut redis = RedisRequests::default();
            let mut found = Vec::new();
            for mut piece in stream.chunks(step) {
                while !piece.is_empty() {
                    let (taken, checked) = redis.check(piece);
                    piece = &piece[taken..];
                    found.extend((checked != Checked::Part).then_some(checked));
                }
            }
            let refused = "the server answered: -NOAUTH no".to_owned();
            let wanted = [Checked::Answer, Checked::Answer, Checked::Refused(refused)];
            assert_eq!(found, wanted, "{step}");
        }
        let wrong = Checked::Wrong("byte 3 of an answer is wrong".to_owned());
        assert_eq!(RedisRequests::default().check(b"+PI"), (3, wrong));
    }
}
