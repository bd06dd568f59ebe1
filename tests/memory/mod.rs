//! Plays conversations against a session without a socket, on files in memory.
//! Asserts nothing about services: the tests say what must come out.
#![allow(dead_code)] // every test binary uses another part of this

pub mod counting;
pub mod scripts;
pub mod store;

use counting::{Bodies, Counting};
use loket::config;
use loket::services::echo::Echo;
use loket::services::files::Files as FilesService;
use loket::services::limits::ServiceLimits;
use loket::services::transfer::Transfer;
use loket::session::close_reason::CloseReason;
use loket::session::notice::PeerId;
use loket::session::outbox::Front;
use loket::session::protocol::Protocol;
use loket::session::session::Session;
use loket::session::world::World;
use loket::wire::pause::{Delay, Pause};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use store::{Faults, Files, Memory};

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Echo,
    Transfer,
    Files,
}

impl Service {
    /// A new conversation. An upload moves up three bytes at a time, so that it takes many steps.
    pub fn protocol(self) -> Box<dyn Protocol> {
        let limits = Rc::new(ServiceLimits {
            copy_step: 3,
            ..config::service_limits()
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        match self {
            Service::Echo => Box::new(Echo),
            Service::Transfer => Box::new(Transfer::new(limits, address)),
            Service::Files => Box::new(FilesService::new(limits, address)),
        }
    }
}

/// What the peer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends these bytes, in whatever pieces they arrive.
    Send(Vec<u8>),
    /// Says nothing until the reply since the last step of this kind is exactly this.
    Reply(Vec<u8>),
    /// Says nothing for as long as this delay is.
    Quiet(Delay),
    /// Ends its stream.
    End,
}

/// Shorthand for a step.
pub fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

/// Shorthand for a step.
pub fn reply(bytes: impl AsRef<[u8]>) -> Step {
    Step::Reply(bytes.as_ref().to_vec())
}

/// How the bytes travel; nobody may see a difference.
#[derive(Debug, Clone)]
pub struct Way {
    /// The lengths of the pieces that arrive, over and over.
    pub pieces: Vec<usize>,
    /// Bodies are moved past the session.
    pub direct: bool,
    /// The peer's socket takes so many bytes between two looks at what has come.
    pub gulp: usize,
    /// The session takes nothing in while it owes so much.
    pub high_water: usize,
    /// The disk keeps everybody waiting.
    pub waits: bool,
}

impl Way {
    /// Pieces of one length and a peer that reads at once.
    pub fn pieces_of(length: usize, direct: bool) -> Way {
        Way {
            pieces: vec![length],
            direct,
            gulp: usize::MAX,
            high_water: config::OUTBOX_HIGH_WATER,
            waits: false,
        }
    }
}

/// What can be seen of a conversation from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Every byte that left, bodies included.
    pub transcript: Vec<u8>,
    /// Why the session ended, if it did.
    pub closed: Option<CloseReason>,
    /// The store afterwards.
    pub files: Files,
}

/// One conversation under way.
pub struct Driver {
    session: Session,
    world: World,
    pub store: Memory,
    pub bodies: Bodies,
    way: Way,
    next_piece: usize,
    arrived: VecDeque<Vec<u8>>,
    ended: bool,
    transcript: Vec<u8>,
    replied: usize,
    closed: Option<CloseReason>,
    /// Milliseconds since bytes last moved, and the delays that have passed since then.
    quiet: u64,
    passed: Vec<Delay>,
    /// The most bytes of the peer, and for the peer, that the session held at once.
    pub most_held: (usize, usize),
}

impl Driver {
    /// A conversation of which nothing has been said.
    pub fn new(service: Service, files: &Files, faults: &Faults, way: Way) -> Driver {
        let faults = Faults {
            waits: way.waits,
            ..faults.clone()
        };
        let store = Memory::with(files, faults);
        let bodies = Bodies::default();
        let counting = Counting::new(service.protocol(), bodies.clone());
        Driver {
            session: Session::new(Box::new(counting), PeerId(1)),
            world: World::new(Box::new(store.clone()), way.high_water),
            store,
            bodies,
            way,
            next_piece: 0,
            arrived: VecDeque::new(),
            ended: false,
            transcript: Vec::new(),
            replied: 0,
            closed: None,
            quiet: 0,
            passed: Vec::new(),
            most_held: (0, 0),
        }
    }

    /// Plays all steps; the error says what the peer waited for in vain.
    pub fn play(&mut self, steps: &[Step]) -> Result<(), String> {
        for step in steps {
            match step {
                Step::Send(bytes) => self.arrive(bytes),
                Step::Reply(wanted) => self.await_reply(wanted)?,
                Step::Quiet(delay) => self.stay_quiet(length(*delay)),
                Step::End => self.ended = true,
            }
            self.serve();
        }
        Ok(())
    }

    /// The connection goes, as the dispatcher lets it go.
    pub fn close(mut self) -> Outcome {
        self.session.end(CloseReason::PeerFinished, &mut self.world);
        drop(self.session);
        assert_eq!(self.store.uploads(), 0, "an upload was left behind");
        let (began, ended) = (self.bodies.began(), self.bodies.ended());
        assert_eq!(began, ended, "bodies that began and bodies that ended");
        Outcome {
            transcript: self.transcript,
            closed: self.closed,
            files: self.store.files(),
        }
    }

    fn arrive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = self.way.pieces[self.next_piece % self.way.pieces.len()];
            let (piece, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.arrived.push_back(piece.to_vec());
            self.next_piece += 1;
            bytes = rest;
        }
    }

    fn await_reply(&mut self, wanted: &[u8]) -> Result<(), String> {
        self.serve();
        while self.transcript[self.replied..] != *wanted {
            let Some(delay) = self.awaited() else {
                let got = String::from_utf8_lossy(&self.transcript[self.replied..]).into_owned();
                let wanted = String::from_utf8_lossy(wanted).into_owned();
                return Err(format!("wanted {wanted:?}, got {got:?}"));
            };
            self.tell(delay);
            self.serve();
        }
        self.replied = self.transcript.len();
        Ok(())
    }

    /// Time passes: silences are told when they are due, each measured from the last byte.
    fn stay_quiet(&mut self, mut left: u64) {
        self.serve();
        while let Some(delay) = self.awaited() {
            let wait = length(delay).saturating_sub(self.quiet);
            if wait > left {
                break;
            }
            left -= wait;
            self.quiet += wait;
            self.tell(delay);
            self.serve();
        }
        self.quiet += left;
    }

    fn awaited(&self) -> Option<Delay> {
        let awaited = self.session.awaited();
        awaited.filter(|delay| !self.passed.contains(delay))
    }

    fn tell(&mut self, delay: Delay) {
        self.passed.push(delay);
        self.feed(&[], Pause::Quiet(delay));
    }

    /// Serves until nothing can go on before the peer or the clock does something.
    fn serve(&mut self) {
        while self.closed.is_none() {
            self.measure();
            if self.read_reply() && self.way.gulp == usize::MAX {
                continue;
            }
            if self.closed.is_some() {
                return;
            }
            if let Some(reason) = self.session.closing() {
                if !self.session.owes() {
                    self.closed = Some(reason);
                }
            } else if !self.session.has_room(&self.world) {
                assert!(self.session.owes(), "a session without room owes something");
            } else if self.session.waits() {
                assert!(self.store.finish_next(), "a wait without an end");
                self.session.wait_is_over();
                self.session.work(&mut self.world, &mut ());
            } else if self.session.has_work() {
                self.session.work(&mut self.world, &mut ());
            } else if self.session.has_unseen() {
                let finished = self.session.is_finished();
                let pause = if finished {
                    Pause::Finished
                } else {
                    Pause::None
                };
                self.feed(&[], pause);
            } else if self.session.wants_bytes() && !self.arrived.is_empty() {
                let piece = self.arrived.pop_front().expect("checked above");
                self.moved();
                self.deliver(piece);
            } else if self.session.wants_bytes() && self.ended {
                self.moved();
                self.feed(&[], Pause::Finished);
            } else if !self.session.owes() {
                return;
            }
        }
    }

    fn feed(&mut self, more: &[u8], pause: Pause) {
        let mut input = self.session.take_inbox().to_vec();
        if input.len() + more.len() > config::READ_BUFFER {
            return self
                .session
                .close(CloseReason::FrameTooLong, &mut self.world);
        }
        input.extend_from_slice(more);
        self.session.feed(&input, pause, &mut self.world, &mut ());
    }

    fn deliver(&mut self, mut piece: Vec<u8>) {
        let body = self.session.direct_body().filter(|_| self.way.direct);
        let Some(body) = body else {
            return self.feed(&piece, Pause::None);
        };
        let count = body.left.min(piece.len() as u64) as usize;
        let rest = piece.split_off(count);
        if !rest.is_empty() {
            self.arrived.push_front(rest);
        }
        match body.into.write_all_at(&piece, body.at) {
            Ok(()) => self.session.body_moved(count as u64, &mut self.world),
            Err(error) => self.session.body_failed(error, &mut self.world),
        }
    }

    /// The peer's socket takes one gulp of what it is owed. Says whether it took anything.
    fn read_reply(&mut self) -> bool {
        let Some(outbox) = self.session.outbox() else {
            return false;
        };
        let piece = match outbox.front() {
            None => return false,
            Some(Front::Bytes(bytes)) => bytes[..bytes.len().min(self.way.gulp)].to_vec(),
            Some(Front::Body(blob, range)) => {
                let most = (range.end - range.start).min(self.way.gulp as u64);
                let mut piece = vec![0; most as usize];
                let count = blob.read_at(&mut piece, range.start).expect("memory");
                piece.truncate(count);
                piece
            }
        };
        if piece.is_empty() {
            // The promised length cannot be kept.
            self.closed = Some(CloseReason::BodyCut);
            return false;
        }
        outbox.advance(piece.len());
        self.transcript.extend_from_slice(&piece);
        self.moved();
        true
    }

    fn moved(&mut self) {
        self.quiet = 0;
        self.passed.clear();
    }

    fn measure(&mut self) {
        let inbox = self.session.inbox().len();
        let owed = self.session.outbox().map_or(0, |outbox| outbox.pending());
        self.most_held = (self.most_held.0.max(inbox), self.most_held.1.max(owed));
    }
}

/// The documented lengths, in milliseconds.
pub fn length(delay: Delay) -> u64 {
    match delay {
        Delay::Interbyte => config::INTERBYTE_MILLIS,
        Delay::Settle => config::SETTLE_MILLIS,
        Delay::Word => config::WORD_MILLIS,
        Delay::Gap => config::BARE_GAP_MILLIS,
        Delay::FirstByte => config::FIRST_BYTE_MILLIS,
        Delay::Linger => config::LINGER_MILLIS,
        Delay::Pace => config::TALK_PACE_MILLIS,
    }
}
