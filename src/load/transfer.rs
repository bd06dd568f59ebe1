//! Asks a transfer service to keep files and to give them back.

use super::expect::{Script, Step};
use super::requests::{Heard, Requests};
use super::settings::Direction;
use crate::session::outbox::Outbox;
use crate::wire::SEPARATOR;

/// The one file of one connection, sent anew with other content each time.
pub struct Transfer {
    script: Script,
    name: String,
    size: u64,
    direction: Direction,
    /// Where in the pattern its content begins, for the version that was sent last.
    at: u64,
    sends_next: bool,
    /// Whether the server may have a file of ours that is not empty.
    left: bool,
    /// Whether the answer that is awaited says that it has none.
    clears_away: bool,
}

impl Transfer {
    /// A file of this name and size.
    pub fn new(script: Script, name: String, size: u64, direction: Direction, at: u64) -> Transfer {
        Transfer {
            script,
            name,
            size,
            direction,
            at,
            sends_next: false,
            left: false,
            clears_away: false,
        }
    }

    fn send(&mut self, size: u64, out: &mut Outbox) {
        self.left |= size > 0;
        let Transfer { name, .. } = self;
        // Another content than before: what was kept of the old one would be found out.
        self.at += 1_009;
        out.bytes(format!("SEND\n{name}\n{name}{SEPARATOR}{size}\n").as_bytes());
        self.script.pattern().send(self.at, size, out);
        let answers = ["OK".to_owned(), format!("OK {size}")];
        self.script.expect(answers.map(Step::Line));
    }

    fn receive(&mut self, out: &mut Outbox) {
        let Transfer { name, size, at, .. } = self;
        out.bytes(format!("RECEIVE\n{name}\n").as_bytes());
        self.script.expect([
            Step::Line("OK".to_owned()),
            Step::Line(format!("{name}{SEPARATOR}{size}")),
            Step::Body {
                at: *at,
                length: *size,
            },
        ]);
    }
}

impl Requests for Transfer {
    fn greet(&mut self, out: &mut Outbox) -> bool {
        out.bytes(format!("RECEIVE\n{}\n", self.name).as_bytes());
        let answers = ["OK", "ERROR: File not found"].map(str::to_owned);
        self.script.expect(answers.map(Step::Line));
        true
    }

    fn prepare(&mut self, out: &mut Outbox) {
        self.send(self.size, out);
    }

    fn ask(&mut self, out: &mut Outbox) -> usize {
        self.sends_next = match self.direction {
            Direction::Send => true,
            Direction::Receive => false,
            Direction::Mix => !self.sends_next,
        };
        if self.sends_next {
            self.send(self.size, out);
            0
        } else {
            self.receive(out);
            1
        }
    }

    fn hear(&mut self, input: &[u8]) -> (usize, Heard) {
        let (taken, heard) = self.script.hear(input);
        if heard == Heard::Answer && self.clears_away {
            (self.left, self.clears_away) = (false, false);
        }
        (taken, heard)
    }

    fn leaves(&self) -> Option<&str> {
        self.left.then_some(&self.name)
    }

    /// The service removes nothing, but an empty file takes no room.
    fn clean_up(&mut self, out: &mut Outbox) {
        self.send(0, out);
        self.clears_away = true;
    }

    fn forget(&mut self) {
        self.clears_away = false;
        self.script.forget();
    }
}
