//! Sends files to a transfer service and downloads them.

use super::expect::{Expected, ExpectedReplies};
use super::requests::{Checked, Requests};
use super::settings::TransferDirection;
use crate::session::outbox::Outbox;
use crate::wire::SEPARATOR;

/// The requests of one worker, for one file with new content on each SEND.
pub struct TransferRequests {
    replies: ExpectedReplies,
    name: String,
    size: u64,
    direction: TransferDirection,
    /// Offset in the test data of the content that was sent last.
    at: u64,
    sends_next: bool,
    /// Whether the server may have a file of this worker that is not empty.
    may_remain: bool,
    /// Whether the awaited answer confirms that the file is empty.
    clearing: bool,
}

impl TransferRequests {
    /// Requests for a file of this name and size.
    pub fn new(
        replies: ExpectedReplies,
        name: String,
        size: u64,
        direction: TransferDirection,
        at: u64,
    ) -> TransferRequests {
        TransferRequests {
            replies,
            name,
            size,
            direction,
            at,
            sends_next: false,
            may_remain: false,
            clearing: false,
        }
    }

    fn send(&mut self, size: u64, out: &mut Outbox) {
        self.may_remain |= size > 0;
        let TransferRequests { name, .. } = self;
        // New content each time, so that remains of the old content are detected.
        self.at += 1_009;
        out.bytes(format!("SEND\n{name}\n{name}{SEPARATOR}{size}\n").as_bytes());
        self.replies.data().send(self.at, size, out);
        let answers = ["OK".to_owned(), format!("OK {size}")];
        self.replies.expect(answers.map(Expected::Line));
    }

    fn receive(&mut self, out: &mut Outbox) {
        let TransferRequests { name, size, at, .. } = self;
        out.bytes(format!("RECEIVE\n{name}\n").as_bytes());
        self.replies.expect([
            Expected::Line("OK".to_owned()),
            Expected::Line(format!("{name}{SEPARATOR}{size}")),
            Expected::Body {
                at: *at,
                length: *size,
            },
        ]);
    }
}

impl Requests for TransferRequests {
    fn probe(&mut self, out: &mut Outbox) -> bool {
        out.bytes(format!("RECEIVE\n{}\n", self.name).as_bytes());
        let answers = ["OK", "ERROR: File not found"].map(str::to_owned);
        self.replies.expect(answers.map(Expected::Line));
        true
    }

    fn prepare(&mut self, out: &mut Outbox) {
        self.send(self.size, out);
    }

    fn next_request(&mut self, out: &mut Outbox) -> usize {
        self.sends_next = match self.direction {
            TransferDirection::Send => true,
            TransferDirection::Receive => false,
            TransferDirection::Mix => !self.sends_next,
        };
        if self.sends_next {
            self.send(self.size, out);
            0
        } else {
            self.receive(out);
            1
        }
    }

    fn check(&mut self, input: &[u8]) -> (usize, Checked) {
        let (taken, checked) = self.replies.check(input);
        if checked == Checked::Answer && self.clearing {
            (self.may_remain, self.clearing) = (false, false);
        }
        (taken, checked)
    }

    fn leftover(&self) -> Option<&str> {
        self.may_remain.then_some(&self.name)
    }

    /// The service has no command to remove a file; an empty file is the best clean-up.
    fn clean_up(&mut self, out: &mut Outbox) {
        self.send(0, out);
        self.clearing = true;
    }

    fn reset(&mut self) {
        self.clearing = false;
        self.replies.reset();
    }
}
