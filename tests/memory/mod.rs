//! Runs conversations with a session in memory: without sockets, on a store in memory.
#![allow(dead_code)] // each test binary uses a part of this

pub mod counting;
pub mod disk;
pub mod http_scripts;
pub mod random;
pub mod scripts;
pub mod services;
pub mod store;

use counting::{Bodies, Counting};
use loket::config::reactor::{OUTBOX_HIGH_WATER, REACTOR};
use loket::session::blob::Readable;
use loket::session::close_reason::CloseReason;
use loket::session::outbox::Front;
use loket::session::session::{Deadline, Next, Session};
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::wire::follows::{Follows, Timer};
pub use services::Service;
use std::collections::VecDeque;
use store::{Faults, Files, Memory};

/// What the peer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends these bytes; [`Way`] decides in which pieces they arrive.
    Send(Vec<u8>),
    /// Sends nothing until the reply since the last step of this kind is exactly this.
    Reply(Vec<u8>),
    /// Sends nothing for the time of this timer.
    Quiet(Timer),
    /// Ends its stream (a half-close).
    End,
}

/// A [`Step::Send`].
pub fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

/// A [`Step::Reply`].
pub fn reply(bytes: impl AsRef<[u8]>) -> Step {
    Step::Reply(bytes.as_ref().to_vec())
}

/// How the bytes move; it must not change the conversation.
#[derive(Debug, Clone)]
pub struct Way {
    /// The lengths of the arriving pieces; the list repeats.
    pub pieces: Vec<usize>,
    /// Bodies move by splice instead of through the session.
    pub direct: bool,
    /// The most bytes that one write to the peer's socket accepts.
    pub gulp: usize,
    /// The session reads nothing while this number of bytes is queued for the peer.
    pub high_water: usize,
    /// Every operation of the store waits for the disk.
    pub waits: bool,
}

impl Way {
    /// Pieces of one length and a peer that reads at once.
    pub fn pieces_of(length: usize, direct: bool) -> Way {
        Way {
            pieces: vec![length],
            direct,
            gulp: usize::MAX,
            high_water: OUTBOX_HIGH_WATER,
            waits: false,
        }
    }
}

/// The visible result of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Every byte that was sent, bodies included.
    pub transcript: Vec<u8>,
    /// Why the session was closed, if it was.
    pub closed: Option<CloseReason>,
    /// The store afterwards.
    pub files: Files,
}

/// A running conversation.
pub struct Driver {
    session: Session,
    shared: Shared,
    pub store: Memory,
    pub bodies: Bodies,
    way: Way,
    next_piece: usize,
    arrived: VecDeque<Vec<u8>>,
    ended: bool,
    transcript: Vec<u8>,
    replied: usize,
    closed: Option<CloseReason>,
    /// Microseconds since bytes last moved, and the timers that have expired since then.
    quiet: u64,
    passed: Vec<Timer>,
    /// The most bytes that the inbox and the outbox held.
    pub most_held: (usize, usize),
}

impl Driver {
    /// A conversation before its first byte.
    pub fn new(service: Service, files: &Files, faults: &Faults, way: Way) -> Driver {
        let faults = Faults {
            waits: way.waits,
            pieces_wait: way.waits,
            ..faults.clone()
        };
        let store = Memory::with(files, faults);
        let bodies = Bodies::default();
        let counting = Counting::new(service.protocol(&store), bodies.clone());
        Driver {
            session: Session::new(Box::new(counting), SessionId(1)),
            shared: Shared::new(way.high_water),
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

    /// Plays all steps; the error names the reply that did not arrive.
    pub fn play(&mut self, steps: &[Step]) -> Result<(), String> {
        for step in steps {
            match step {
                Step::Send(bytes) => self.arrive(bytes),
                Step::Reply(wanted) => self.await_reply(wanted)?,
                Step::Quiet(delay) => self.stay_quiet(REACTOR.micros(*delay)),
                Step::End => self.ended = true,
            }
            self.serve();
        }
        Ok(())
    }

    /// Closes the connection as the dispatcher does.
    pub fn close(mut self) -> Outcome {
        self.session
            .end(CloseReason::PeerFinished, &mut self.shared);
        drop(self.session);
        assert_eq!(self.store.uploads(), 0, "an upload is left open");
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
            self.expire(delay);
            self.serve();
        }
        self.replied = self.transcript.len();
        Ok(())
    }

    /// Time passes: timers expire when they are due, each measured from the last byte.
    fn stay_quiet(&mut self, mut left: u64) {
        self.serve();
        while let Some(delay) = self.awaited() {
            let wait = REACTOR.micros(delay).saturating_sub(self.quiet);
            if wait > left {
                break;
            }
            left -= wait;
            self.quiet += wait;
            self.expire(delay);
            self.serve();
        }
        self.quiet += left;
    }

    fn awaited(&self) -> Option<Timer> {
        let awaited = self.session.awaited();
        awaited.filter(|delay| !self.passed.contains(delay))
    }

    fn expire(&mut self, delay: Timer) {
        self.passed.push(delay);
        self.feed(&[], Follows::Silence(delay));
    }

    /// Serves until only the peer or the clock can cause progress.
    fn serve(&mut self) {
        let mut wrote = false;
        while self.closed.is_none() {
            self.measure();
            let can_read = !self.arrived.is_empty() || self.ended;
            // A slow peer accepts one write between two other steps.
            let can_write = !wrote || self.way.gulp == usize::MAX;
            let high_water = self.shared.high_water;
            let next = self.session.next(can_read, can_write, None, high_water);
            let has_written = std::mem::replace(&mut wrote, next == Next::Write);
            match next {
                Next::Write => self.read_reply(),
                Next::Work | Next::Resume => self.session.work(&mut self.shared),
                Next::Feed(follows) => self.feed(&[], follows),
                Next::Read(_) | Next::Relay => self.deliver(),
                Next::Wait if self.session.deadline() == Deadline::Disk => {
                    assert!(self.store.finish_next(), "it waits for no operation");
                    self.session.wait_is_over();
                }
                Next::Park | Next::Wait if has_written => {}
                Next::Park | Next::Wait => return,
                Next::Replace => unreachable!("no service here is behind a proxy"),
                Next::Finish(reason) | Next::End(reason) => self.closed = Some(reason),
            }
        }
    }

    fn feed(&mut self, more: &[u8], follows: Follows) {
        let input = [self.session.inbox(), more].concat();
        if input.len() > REACTOR.read_buffer {
            self.closed = Some(CloseReason::FrameTooLong);
            return;
        }
        let mut calls = usize::MAX;
        self.session
            .feed(&input, follows, &mut calls, &mut self.shared);
    }

    /// The session reads the next piece, or the end of the stream.
    fn deliver(&mut self) {
        self.moved();
        let Some(mut piece) = self.arrived.pop_front() else {
            return self.feed(&[], Follows::Eof);
        };
        let body = self.session.body().filter(|_| self.way.direct);
        let Some(body) = body else {
            return self.feed(&piece, Follows::More);
        };
        let count = body.left.min(piece.len() as u64) as usize;
        let rest = piece.split_off(count);
        if !rest.is_empty() {
            self.arrived.push_front(rest);
        }
        body.into.write(&piece, body.at);
        self.session.body_moved(count as u64, &mut self.shared);
    }

    /// The peer's socket accepts one write of at most `gulp` bytes.
    fn read_reply(&mut self) {
        let outbox = self.session.outbox().expect("there is output");
        let piece = match outbox.front().expect("there is output") {
            Front::Bytes(bytes) => bytes[..bytes.len().min(self.way.gulp)].to_vec(),
            Front::Body(blob, range) => {
                let most = (range.end - range.start).min(self.way.gulp as u64);
                match blob.readable(range.start..range.start + most) {
                    Ok(Readable::Waits) => return,
                    Ok(Readable::Bytes(bytes)) => (*bytes).as_ref().to_vec(),
                    Ok(Readable::File(..)) => unreachable!("it has no descriptor"),
                    Err(_) => Vec::new(),
                }
            }
        };
        if piece.is_empty() {
            // The file is shorter than announced.
            self.closed = Some(CloseReason::BodyCut);
            return;
        }
        outbox.advance(piece.len());
        self.transcript.extend_from_slice(&piece);
        self.moved();
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
