//! The conversation of one peer: what it sends and all that it must receive.

pub use crate::memory::Service;
pub use crate::memory::store::Fault;
use loket::session::close_reason::CloseReason;
use loket::wire::follows::Timer;
use std::ops::Range;

/// The answer to a bare upload without data.
pub const NO_DATA: &str = "ERROR no data came, nothing is stored; send the file's bytes a moment \
                           after the command, and then shut down your sending side (SHUT_WR)";

/// What a peer waits for before it sends on.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// The peer has received this number of bytes.
    Received(usize),
    /// The protocol has consumed this number of bytes.
    Consumed(usize),
    /// The server has noticed a pause between bytes.
    Paused,
}

/// Once the first of these bytes is read, the last must follow before this timer expires: a
/// silence between them would change the meaning.
pub struct NoPause {
    pub bytes: Range<usize>,
    pub within: Timer,
}

/// What the server must have sent once it has read a part of the input.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub taken: usize,
    pub owed: usize,
    /// The end of the last body in it; 0 if there is none.
    pub body_end: usize,
}

/// A conversation and its result.
pub struct Script {
    pub service: Service,
    /// All that the peer sends.
    pub input: Vec<u8>,
    pub waits: Vec<(usize, Until)>,
    pub no_pauses: Vec<NoPause>,
    /// The ranges of bodies in the input.
    pub bodies: Vec<Range<usize>>,
    /// All that it must receive.
    pub expected: Vec<u8>,
    pub points: Vec<Point>,
    /// Why the server closes the connection.
    pub ends: CloseReason,
    /// Every content that may be stored, in order.
    pub stored: Vec<(String, Vec<u8>)>,
    /// The peer's files at the end.
    pub final_files: Vec<(String, Option<Vec<u8>>)>,
    pub faults: Vec<(String, Fault)>,
    /// Files that exist at the beginning.
    pub initial_files: Vec<(String, Vec<u8>)>,
    /// Files that no command may change: their names are prefixes of the peer's names.
    pub untouched: Vec<(String, Vec<u8>)>,
    /// The messages of a talk client, and the ends of them in its input.
    pub messages: Vec<(usize, String)>,
    /// The conversation is complete: nothing more is added.
    pub is_over: bool,
    /// The peer ends its stream inside a command or body: nothing may be sent after it.
    pub is_cut: bool,
}

impl Default for Script {
    fn default() -> Script {
        Script::new(Service::Echo)
    }
}

impl Script {
    /// An empty conversation, which ends when the peer ends its stream.
    pub fn new(service: Service) -> Script {
        Script {
            service,
            input: Vec::new(),
            waits: Vec::new(),
            no_pauses: Vec::new(),
            bodies: Vec::new(),
            expected: Vec::new(),
            points: vec![Point {
                taken: 0,
                owed: 0,
                body_end: 0,
            }],
            ends: CloseReason::PeerFinished,
            stored: Vec::new(),
            final_files: Vec::new(),
            faults: Vec::new(),
            initial_files: Vec::new(),
            untouched: Vec::new(),
            messages: Vec::new(),
            is_over: false,
            is_cut: false,
        }
    }

    /// The peer sends this.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.extend_from_slice(bytes.as_ref());
    }

    /// The peer sends this without a pause of the settle window.
    pub fn say_at_once(&mut self, bytes: impl AsRef<[u8]>) {
        self.say_within(bytes, Timer::Settle);
    }

    /// The peer sends this by one send(2).
    pub fn say_in_one_call(&mut self, bytes: impl AsRef<[u8]>) {
        self.say_within(bytes, Timer::Interbyte);
    }

    /// The peer types this key by key. It may pause at any byte, but not until the partial command
    /// is refused.
    pub fn type_keys(&mut self, bytes: impl AsRef<[u8]>) {
        let start = self.input.len();
        self.say_within(bytes, Timer::PartialCommand);
        self.waits.push((start + 1, Until::Paused));
    }

    fn say_within(&mut self, bytes: impl AsRef<[u8]>, within: Timer) {
        let start = self.input.len();
        self.say(bytes);
        let bytes = start..self.input.len();
        self.no_pauses.push(NoPause { bytes, within });
    }

    /// Whether one of the first `understood` messages of a talk client has no line end.
    pub fn is_bare(&self, parsed: usize) -> bool {
        let mut messages = self.messages[..parsed].iter();
        messages.any(|(end, _)| self.input[end - 1] != b'\n')
    }

    /// The peer sends a body.
    pub fn say_body(&mut self, bytes: &[u8]) {
        let start = self.input.len();
        self.say(bytes);
        self.bodies.push(start..self.input.len());
    }

    /// The answer to everything that is sent so far.
    pub fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        self.expected.extend_from_slice(bytes.as_ref());
        self.point(0);
    }

    /// A body in the answer to everything that is sent so far.
    pub fn expect_body(&mut self, bytes: &[u8]) {
        self.expected.extend_from_slice(bytes);
        let body_end = if bytes.is_empty() {
            0
        } else {
            self.expected.len()
        };
        self.point(body_end);
    }

    /// An answer that does not follow at once when the input is read.
    pub fn expect_later(&mut self, bytes: impl AsRef<[u8]>) {
        self.expected.extend_from_slice(bytes.as_ref());
    }

    /// A part of the answer to a word, which is sent before the line end has arrived.
    pub fn expect_early(&mut self, taken: usize, owed: usize) {
        let body_end = self.points.last().map_or(0, |point| point.body_end);
        self.points.push(Point {
            taken,
            owed,
            body_end,
        });
    }

    fn point(&mut self, body_end: usize) {
        let before = self.points.last().map_or(0, |point| point.body_end);
        self.points.push(Point {
            taken: self.input.len(),
            owed: self.expected.len(),
            body_end: body_end.max(before),
        });
    }

    /// The peer waits for all answers.
    pub fn await_replies(&mut self) {
        let received = Until::Received(self.expected.len());
        self.waits.push((self.input.len(), received));
    }

    /// The peer waits until the protocol has consumed everything that is sent so far.
    pub fn await_consumed(&mut self) {
        let took = Until::Consumed(self.input.len());
        self.waits.push((self.input.len(), took));
    }

    /// The conversation ends here, whatever the peer still sends.
    pub fn end(&mut self, reason: CloseReason) {
        self.ends = reason;
        self.is_over = true;
    }

    /// What the server must have sent once it has read `taken` bytes.
    pub fn owed(&self, taken: usize) -> Point {
        if matches!(self.service, Service::Echo) {
            return Point {
                taken,
                owed: taken,
                body_end: 0,
            };
        }
        let behind = self.points.partition_point(|point| point.taken <= taken);
        self.points[behind - 1]
    }
}
