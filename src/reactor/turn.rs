//! One turn of one connection: reads, feeds and writes until it would block or its budget is spent.
//! The dispatcher chooses the connection, and acts on the [`TurnEnd`].
//!
//! A turn is a loop of steps. Each step asks the session what to do next, and does it. Each step
//! uses up a readiness bit, bytes, calls or a silence, so a turn always ends.
//!
//! A big step moves a piece of a body of more than `small_body` bytes, or calls [`Session::work`].
//! A bulk turn has one big step, a short turn has none.
//!
//! [`Session::work`]: crate::session::session::Session::work

use super::ReactorLimits; // the numbers of config/reactor.rs
use super::clock::Moment; // a time in microseconds since the start
use super::connection::{Connection, Phase}; // socket, session and readiness; open or lingering
use super::io::{Io, Sent}; // system calls; what was sent
use crate::session::close_reason::CloseReason; // why a connection ends
use crate::session::observer::{IoDirection, TurnEnd}; // in or out; how a turn ended
use crate::session::outbox::Front; // the next output: bytes, or a range of a file
use crate::session::session::{Buffers, Deadline, Next}; // memory; what is due; what to do next
use crate::session::shared::Shared; // what all sessions share: posts, the time, the observer
use crate::wire::follows::{Follows, Timer}; // more bytes, a silence or the end; kinds of silence
use memmap2::MmapMut; // memory in pages of its own
use std::io::{self, ErrorKind};

type Conn<I> = Connection<<I as Io>::Socket>;

/// The result of one step.
enum StepResult {
    /// This number of bytes was moved, and the turn goes on.
    Moved(usize),
    /// The turn ends.
    End(TurnEnd),
}

/// The buffers that the connections share: only the one that has the turn uses them.
pub struct Scratch {
    /// Trap: malloc(3) may return any multiple of 16. At 16 bytes behind a page, an echo of 64 KiB
    /// costs 6 to 15 % more CPU than at its beginning: the kernel copies more slowly.
    read: MmapMut,
    spare: Option<Box<Buffers>>,
}

impl Scratch {
    /// Scratch memory with a read buffer of this many bytes.
    pub fn new(read_buffer: usize) -> Scratch {
        Scratch {
            read: MmapMut::map_anon(read_buffer).expect("there is memory for a read buffer"),
            spare: None,
        }
    }
}

/// What a turn uses beside the connection.
pub struct Turn<'a, I: Io> {
    /// The system calls.
    pub io: &'a mut I,
    /// What all sessions share.
    pub shared: &'a mut Shared,
    /// The shared buffers.
    pub scratch: &'a mut Scratch,
    /// The limits.
    pub limits: &'a ReactorLimits,
    /// The time at which the round began.
    pub now: Moment,
    /// Whether a big step is left.
    pub bulk: bool,
    /// Calls of the protocol that are left. They are limited because a few bytes can request much
    /// work.
    pub calls: usize,
    /// Bytes moved so far; a call of `Session::work` counts as `bulk_bytes`.
    pub spent: usize,
}

impl<I: Io> Turn<'_, I> {
    /// Gives the turn to a connection.
    pub fn serve(&mut self, connection: &mut Conn<I>) -> TurnEnd {
        connection.session.attach_buffers(&mut self.scratch.spare);
        let mut budget = self.limits.turn_bytes;
        let ended = loop {
            match self.step(connection) {
                StepResult::End(ended) => break ended,
                StepResult::Moved(count) => {
                    self.spent += count;
                    if count >= budget {
                        break TurnEnd::Requeue;
                    }
                    budget -= count;
                }
            }
        };
        if let Some(buffers) = connection.session.detach_buffers() {
            self.scratch.spare = Some(buffers);
        }
        ended
    }

    fn step(&mut self, connection: &mut Conn<I>) -> StepResult {
        let Connection { session, ready, .. } = &*connection;
        if let Phase::Lingering { reason, .. } = connection.phase {
            return match connection.silence {
                Some(Timer::Linger) => StepResult::End(TurnEnd::Closed(reason)),
                _ if ready.readable => self.drain(connection),
                _ => StepResult::End(TurnEnd::Parked),
            };
        }
        let (silence, high_water) = (connection.silence, self.shared.high_water);
        match session.next(ready.readable, ready.writable, silence, high_water) {
            Next::Write => self.write(connection),
            Next::Work if !self.take_big_step() => StepResult::End(TurnEnd::Requeue),
            Next::Work => {
                // It takes about as long as moving `bulk_bytes`.
                self.spent += self.limits.bulk_bytes;
                self.work(connection)
            }
            Next::Resume | Next::Feed(_) | Next::Read(_) | Next::Relay if self.calls == 0 => {
                StepResult::End(TurnEnd::Requeue)
            }
            Next::Resume => self.work(connection),
            Next::Feed(follows) => self.feed(connection, follows),
            Next::Read(most) => self.read(connection, most, false),
            Next::Relay => self.read(connection, u64::MAX, true),
            Next::Wait => StepResult::End(self.wait(connection)),
            Next::Park => StepResult::End(TurnEnd::Parked),
            Next::Replace => StepResult::End(TurnEnd::Replace),
            Next::Finish(reason) => self.finish(connection, reason),
            Next::End(reason) => StepResult::End(TurnEnd::Closed(reason)),
        }
    }

    /// Ends the turn of a waiting session. Its socket is not read, so no read would report that it
    /// is broken. What has arrived before may be a whole upload, and counts for a while.
    fn wait(&self, connection: &mut Conn<I>) -> TurnEnd {
        let readable = connection.ready.readable;
        let unread = readable
            .then(|| self.io.broken(&connection.socket))
            .flatten();
        connection.broken = unread.is_some();
        let session = &connection.session;
        let for_disk = session.deadline() == Deadline::Disk;
        let is_lost = unread.is_some_and(|unread| match session.body() {
            Some(body) => unread < body.left,
            None => unread == 0 || !for_disk || session.has_unsent(),
        });
        match for_disk {
            _ if is_lost => TurnEnd::Closed(CloseReason::PeerReset),
            true => TurnEnd::AwaitDisk,
            false => TurnEnd::Parked,
        }
    }

    /// Takes the permission for a big step; `false` if it is used up.
    fn take_big_step(&mut self) -> bool {
        std::mem::take(&mut self.bulk)
    }

    fn write(&mut self, connection: &mut Conn<I>) -> StepResult {
        let (socket, session) = (&mut connection.socket, &mut connection.session);
        let is_last = session.is_closing();
        let outbox = session.outbox().expect("output waits");
        if (outbox.has_body() || is_last) && !connection.corked {
            // TCP_CORK packs header and body into full segments: 30 % less CPU and 49 % more
            // throughput at 64 downloads, 19 % more at 1,000. A session that closes stays
            // corked, so that its last segment carries the FIN.
            self.io.cork(socket, true);
            connection.corked = true;
        }
        let (sent, body) = match outbox.front().expect("output waits") {
            Front::Bytes(bytes) => (self.io.write(socket, bytes).map(Sent::Bytes), false),
            Front::Body(blob, range) => {
                let left = range.end - range.start;
                if left > self.limits.small_body as u64 && !self.take_big_step() {
                    return StepResult::End(TurnEnd::Requeue);
                }
                let most = left.min(self.limits.send_step as u64) as usize;
                (self.io.send_file(socket, &**blob, range.start, most), true)
            }
        };
        match sent {
            // The file shrank: fewer bytes follow than the header says.
            Ok(Sent::Bytes(0)) if body => StepResult::End(TurnEnd::Closed(CloseReason::BodyCut)),
            Ok(Sent::Waits) => StepResult::Moved(0),
            Ok(sent @ (Sent::Bytes(count) | Sent::Filled(count))) => {
                connection.ready.writable = matches!(sent, Sent::Bytes(_));
                outbox.advance(count);
                if connection.corked && outbox.is_empty() && !is_last {
                    self.io.cork(socket, false);
                    connection.corked = false;
                }
                connection.progressed(count, self.now);
                self.shared.observer.moved(IoDirection::Out, count, body);
                StepResult::Moved(count)
            }
            Err(error) => failed(&error, &mut connection.ready.writable),
        }
    }

    fn finish(&mut self, connection: &mut Conn<I>, reason: CloseReason) -> StepResult {
        if self.io.shutdown_write(&mut connection.socket).is_err() {
            return StepResult::End(TurnEnd::Closed(reason));
        }
        connection.progressed(0, self.now);
        connection.phase = Phase::Lingering {
            left: self.limits.linger_bytes as u32,
            reason,
        };
        StepResult::Moved(0)
    }

    fn work(&mut self, connection: &mut Conn<I>) -> StepResult {
        self.calls = self.calls.saturating_sub(1);
        // What the session has waited for may be a change of a name.
        self.shared.reads += 1;
        connection.session.work(self.shared);
        // The peer waits for the server, so its idle deadline starts anew.
        connection.progressed(0, self.now);
        StepResult::Moved(0)
    }

    fn feed(&mut self, connection: &mut Conn<I>, follows: Follows) -> StepResult {
        connection.silence = None;
        let kept = connection.session.take_inbox();
        connection.consumed |=
            (connection.session).feed(&kept, follows, &mut self.calls, self.shared);
        if let Follows::Silence(Timer::Pace | Timer::Heartbeat) = follows {
            // The next wait begins now.
            connection.progressed(0, self.now);
        }
        StepResult::Moved(0)
    }

    /// Reads up to `most` bytes. With `relay`, they are written from where they were read.
    fn read(&mut self, connection: &mut Conn<I>, most: u64, relay: bool) -> StepResult {
        if let Some(body) = connection.session.body()
            && body.left > self.limits.small_body as u64
        {
            if !self.take_big_step() {
                return StepResult::End(TurnEnd::Requeue);
            }
            // splice(2) stops in front of urgent data, and no event reports the bytes behind it.
            if !connection.ready.drain_to_eof && self.io.can_receive_file() {
                return self.receive_file(connection);
            }
        }
        let (socket, session) = (&mut connection.socket, &mut connection.session);
        // Bytes of the inbox go to the front of the buffer: the session gets one slice.
        let kept = session.inbox().len();
        let (least, largest) = (self.limits.command_read, self.limits.read_buffer);
        let most = most.clamp(least as u64, largest as u64) as usize;
        if kept == most {
            return StepResult::End(TurnEnd::Closed(CloseReason::FrameTooLong));
        }
        self.scratch.read[..kept].copy_from_slice(session.inbox());
        let ready = &mut connection.ready;
        let count = match self.io.read(socket, &mut self.scratch.read[kept..most]) {
            Ok(count) => count,
            Err(error) => return failed(&error, &mut ready.readable),
        };
        self.shared.reads += 1;
        // A short read means that the socket is empty, which saves a read that would fail with
        // EAGAIN (5 % of an echo's CPU). It does not when the kernel has reported the end or urgent
        // data: the bytes behind it cause no event.
        ready.readable &= kept + count == most || ready.drain_to_eof;
        let (input, mut sent) = (&self.scratch.read[..kept + count], 0);
        if relay && count > 0 {
            // Without a copy into the outbox. On AMD Zen 4, memcpy(3) of 64 KiB takes 1 us, but 19
            // to 28 us if target - source, modulo 4,096, is between 1 and 15.
            self.calls -= 1;
            sent = match self.io.write(socket, input) {
                Ok(sent) => sent,
                Err(error) => match failed(&error, &mut ready.writable) {
                    StepResult::Moved(none) => none,
                    ended => return ended,
                },
            };
            session.relayed(&input[..sent], self.shared);
            self.shared.observer.moved(IoDirection::Out, sent, false);
        }
        let follows = match count {
            0 => Follows::Eof,
            _ => Follows::More,
        };
        connection.consumed |= session.feed(&input[sent..], follows, &mut self.calls, self.shared);
        connection.progressed(count, self.now);
        self.shared.observer.moved(IoDirection::In, count, false);
        StepResult::Moved(sent + count)
    }

    fn receive_file(&mut self, connection: &mut Conn<I>) -> StepResult {
        let (socket, session) = (&mut connection.socket, &mut connection.session);
        let body = session.body().expect("asked for by the caller");
        // At most the rest of the body: bytes behind it belong to the next command.
        let most = body.left.min(self.limits.receive_step as u64) as usize;
        match self.io.receive_file(socket, &*body.into, body.at, most) {
            Ok(None) => StepResult::Moved(0),
            Ok(Some(0)) => {
                connection.consumed |=
                    session.feed(&[], Follows::Eof, &mut self.calls, self.shared);
                StepResult::Moved(0)
            }
            Ok(Some(count)) => {
                session.body_moved(count as u64, self.shared);
                connection.progressed(count, self.now);
                self.shared.observer.moved(IoDirection::In, count, true);
                StepResult::Moved(count)
            }
            Err(error) => failed(&error, &mut connection.ready.readable),
        }
    }

    /// Reads and discards what the peer still sends after our side of the stream is shut down.
    fn drain(&mut self, connection: &mut Conn<I>) -> StepResult {
        let Phase::Lingering { left, reason } = &mut connection.phase else {
            unreachable!("only a lingering connection is drained")
        };
        match self.io.read(&mut connection.socket, &mut self.scratch.read) {
            Ok(count) if count == 0 || count as u32 >= *left => {
                StepResult::End(TurnEnd::Closed(*reason))
            }
            Ok(count) => {
                *left -= count as u32;
                StepResult::Moved(count)
            }
            Err(error) => match failed(&error, &mut connection.ready.readable) {
                // The output has been sent, so a reset by the peer changes no reason.
                StepResult::End(_) => StepResult::End(TurnEnd::Closed(*reason)),
                moved => moved,
            },
        }
    }
}

/// Handles an error of a system call: `WouldBlock` clears the readiness bit, an interrupted call is
/// made again, and any other error closes the connection.
fn failed(error: &io::Error, ready: &mut bool) -> StepResult {
    match error.kind() {
        ErrorKind::WouldBlock => *ready = false,
        ErrorKind::Interrupted => {}
        _ => return StepResult::End(TurnEnd::Closed(CloseReason::PeerReset)),
    }
    StepResult::Moved(0)
}
