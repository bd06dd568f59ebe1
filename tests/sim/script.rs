//! Is what one peer says and, worked out from that alone, all that it must hear.

pub use crate::memory::Service;
pub use crate::memory::store::Fault;
use loket::session::close_reason::CloseReason;
use loket::wire::follows::Timer;
use std::ops::Range;

/// What a bare upload without a byte of data is answered.
pub const NO_DATA: &str = "ERROR no data came, nothing is stored; send the file's bytes a moment \
                           after the command, and then shut down your sending side (SHUT_WR)";

/// The peer says nothing beyond a place before this.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// So many bytes have reached it.
    Heard(usize),
    /// The server has taken so many of its bytes.
    Took(usize),
    /// The server has noticed a pause, as between two keys.
    Paused,
}

/// Once the first of these bytes is read, the last must be within that delay: a silence between
/// them would mean something.
pub struct Tight {
    pub bytes: Range<usize>,
    pub within: Timer,
}

/// What the server owes when it has taken so much.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub taken: usize,
    pub owed: usize,
    /// The last body among it ends here; 0 is none.
    pub body_end: usize,
}

/// A conversation and its outcome.
pub struct Script {
    pub service: Service,
    /// All that the peer says.
    pub input: Vec<u8>,
    pub gates: Vec<(usize, Until)>,
    pub tights: Vec<Tight>,
    /// Where bodies stand in the input.
    pub bodies: Vec<Range<usize>>,
    /// All that it must hear.
    pub expected: Vec<u8>,
    pub points: Vec<Point>,
    /// Why the conversation ends.
    pub ends: CloseReason,
    /// Every content that a file may be given, in order.
    pub stored: Vec<(String, Vec<u8>)>,
    /// What the peer's files are in the end.
    pub kept: Vec<(String, Option<Vec<u8>>)>,
    pub faults: Vec<(String, Fault)>,
    /// Files that are there before it begins.
    pub given: Vec<(String, Vec<u8>)>,
    /// And are there at its end, whatever happens: names that begin as those that are meant.
    pub untouched: Vec<(String, Vec<u8>)>,
    /// What a talk client says, and where in its input that ends.
    pub said: Vec<(usize, String)>,
    /// The outcome of everything is told: nothing more is added.
    pub over: bool,
    /// The peer ends in the middle of something: whatever it said next would belong to that.
    pub breaks_off: bool,
}

impl Default for Script {
    fn default() -> Script {
        Script::new(Service::Echo)
    }
}

impl Script {
    /// Nothing is said yet; the conversation ends when the peer does.
    pub fn new(service: Service) -> Script {
        Script {
            service,
            input: Vec::new(),
            gates: Vec::new(),
            tights: Vec::new(),
            bodies: Vec::new(),
            expected: Vec::new(),
            points: vec![Point {
                taken: 0,
                owed: 0,
                body_end: 0,
            }],
            ends: CloseReason::PeerFinished,
            stored: Vec::new(),
            kept: Vec::new(),
            faults: Vec::new(),
            given: Vec::new(),
            untouched: Vec::new(),
            said: Vec::new(),
            over: false,
            breaks_off: false,
        }
    }

    /// The peer says this.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.extend_from_slice(bytes.as_ref());
    }

    /// The peer says this without a pause that would end it.
    pub fn say_at_once(&mut self, bytes: impl AsRef<[u8]>) {
        self.say_within(bytes, Timer::Settle);
    }

    /// The peer sends this by one `send()`.
    pub fn say_by_one_send(&mut self, bytes: impl AsRef<[u8]>) {
        self.say_within(bytes, Timer::Interbyte);
    }

    /// The peer types this key by key, from its first byte on. It may pause at any byte, but not
    /// for so long that what has come is given up.
    pub fn type_in(&mut self, bytes: impl AsRef<[u8]>) {
        let start = self.input.len();
        self.say_within(bytes, Timer::PartialCommand);
        self.gates.push((start + 1, Until::Paused));
    }

    fn say_within(&mut self, bytes: impl AsRef<[u8]>, within: Timer) {
        let start = self.input.len();
        self.say(bytes);
        let bytes = start..self.input.len();
        self.tights.push(Tight { bytes, within });
    }

    /// Whether a talk client that was understood so far has said something without a line end.
    pub fn lacks_line_ends(&self, understood: usize) -> bool {
        let mut said = self.said[..understood].iter();
        said.any(|(end, _)| self.input[end - 1] != b'\n')
    }

    /// The peer sends a body.
    pub fn say_body(&mut self, bytes: &[u8]) {
        let start = self.input.len();
        self.say(bytes);
        self.bodies.push(start..self.input.len());
    }

    /// All that is said so far is answered by this.
    pub fn hear(&mut self, bytes: impl AsRef<[u8]>) {
        self.expected.extend_from_slice(bytes.as_ref());
        self.point(0);
    }

    /// And by this body.
    pub fn hear_body(&mut self, bytes: &[u8]) {
        self.expected.extend_from_slice(bytes);
        let body_end = if bytes.is_empty() {
            0
        } else {
            self.expected.len()
        };
        self.point(body_end);
    }

    /// What it hears once more has happened than that its words were taken.
    pub fn hear_later(&mut self, bytes: impl AsRef<[u8]>) {
        self.expected.extend_from_slice(bytes.as_ref());
    }

    /// A word is understood, and half answered, before its line end has come.
    pub fn hear_early(&mut self, taken: usize, owed: usize) {
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

    /// The peer waits until it has heard all answers.
    pub fn await_answer(&mut self) {
        let heard = Until::Heard(self.expected.len());
        self.gates.push((self.input.len(), heard));
    }

    /// The peer waits until the server has understood all it has said.
    pub fn await_taken(&mut self) {
        let took = Until::Took(self.input.len());
        self.gates.push((self.input.len(), took));
    }

    /// The conversation ends here, whatever the peer still says.
    pub fn end(&mut self, reason: CloseReason) {
        self.ends = reason;
        self.over = true;
    }

    /// What the server must have said when it has taken so much.
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
