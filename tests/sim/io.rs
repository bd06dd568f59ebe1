//! The I/O of all simulations: the results of the calls are set by a test or chosen by seed.
//! After a withheld result an event is pending; `engine.rs` and the tests deliver it.

use super::plan::Faults;
use super::seed_calls::Backlog;
use super::shared::SimState;
use super::sim_socket::{Call, Handle, SimSocket};
use loket::reactor::clock::Moment;
use loket::reactor::io::{Io, Sent};
use loket::session::blob::{Blob, Readable, Taken};
use loket::session::session_id::SessionId;
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

/// The I/O of a seed, or of a test that controls its sockets.
#[derive(Default)]
pub struct SimIo {
    /// Injects faults and checks every call.
    pub seed: Option<Rc<SimState>>,
    /// Bodies move by splice and sendfile.
    pub direct: bool,
    /// Passes between two reads of the clock, which a turn reads once.
    pub turn_micros: Rc<Cell<u64>>,
    pub time: Rc<Cell<u64>>,
}

impl SimIo {
    fn check(&self, check: impl FnOnce(&SimState)) {
        if let Some(seed) = &self.seed {
            check(seed);
        }
    }

    fn injects(&self, percent: impl FnOnce(&Faults) -> usize) -> bool {
        let seed = self.seed.as_ref();
        seed.is_some_and(|seed| seed.injects(percent(&seed.plan.faults)))
    }

    /// A call is over; `bytes` is the number that it moved.
    fn done(&self, socket: &mut SimSocket, call: Call, bytes: Option<usize>) {
        match &self.seed {
            Some(seed) => seed.done(socket, call, bytes),
            None => socket.calls.push(call),
        }
    }

    fn fails(&self, socket: &mut SimSocket) -> io::Result<()> {
        if socket.interrupts > 0 {
            socket.interrupts -= 1;
            return Err(ErrorKind::Interrupted.into());
        }
        if self.injects(|faults| faults.interrupt) {
            return Err(ErrorKind::Interrupted.into());
        }
        if socket.reset {
            socket.reset_seen = true;
            return Err(ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    /// The number of bytes that a read returns; `WouldBlock` if there are none, or by a fault.
    fn readable(&self, socket: &mut SimSocket, most: usize, stops: bool) -> io::Result<usize> {
        self.check(|_| {
            assert!(!socket.end_read, "a read after the end of the stream");
            assert!(!socket.read_in_vain, "a read after EAGAIN without an event");
        });
        self.fails(socket)?;
        let end = match socket.urgent {
            Some(urgent) if urgent > socket.taken => socket.arrived.min(urgent),
            Some(urgent) if urgent == socket.taken && stops => socket.taken,
            _ => socket.arrived,
        };
        let withheld = self.injects(|faults| faults.would_block);
        let ended = socket.end_arrived && socket.taken == socket.arrived;
        if withheld || (end == socket.taken && !ended) {
            socket.read_in_vain = true;
            socket.event_pending |= socket.is_readable() && withheld;
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(most.min(end - socket.taken))
    }

    fn read_now(&self, socket: &mut SimSocket, most: usize) -> io::Result<usize> {
        let mut count = self.readable(socket, most, false)?;
        if socket.is_operator() {
            // A terminal returns one line per read(2).
            let unread = &socket.script.input[socket.taken..socket.taken + count];
            let line = unread.iter().position(|&byte| byte == b'\n');
            count = line.map_or(count, |end| end + 1);
        }
        self.check(|seed| seed.moved(count, 0));
        if socket.shut.is_none() {
            self.check(|seed| seed.may_read(socket, most));
        } else {
            socket.drained += count;
        }
        self.take(socket, count);
        Ok(count)
    }

    fn take(&self, socket: &mut SimSocket, count: usize) {
        if socket.urgent == Some(socket.taken) {
            socket.urgent = None;
        }
        socket.taken += count;
        socket.end_read |= count == 0;
        // Bytes that are discarded while lingering do not extend a deadline.
        if socket.shut.is_none() {
            self.check(|seed| socket.moved_bytes(count, seed.now.get()));
        }
    }

    fn write_now(&self, socket: &mut SimSocket, bytes: &[u8]) -> io::Result<usize> {
        self.check(|_| {
            assert!(socket.shut.is_none(), "a write after shutdown(2)");
            let again = socket.write_in_vain;
            assert!(!again, "a write after EAGAIN without an event");
        });
        self.fails(socket)?;
        let mut count = socket.room().min(bytes.len());
        if self.injects(|faults| faults.short_write) && count > 1 {
            self.check(|seed| count = seed.random.within(1..=count));
        }
        let withheld = count > 0 && self.injects(|faults| faults.would_block);
        if withheld || count == 0 {
            socket.write_in_vain = true;
            socket.full = !withheld;
            socket.event_pending |= withheld;
            return Err(ErrorKind::WouldBlock.into());
        }
        self.check(|seed| seed.wrote(socket, &bytes[..count]));
        socket.output.extend_from_slice(&bytes[..count]);
        socket.sent += count;
        self.check(|seed| socket.moved_bytes(count, seed.now.get()));
        Ok(count)
    }

    fn take_now(&self, socket: &mut SimSocket, most: usize) -> io::Result<Taken> {
        self.check(|_| socket.may_take(most));
        let count = self.readable(socket, most, true)?;
        let bytes = socket.script.input[socket.taken..socket.taken + count].to_vec();
        self.take(socket, count);
        self.check(|seed| seed.moved(count, 0));
        Ok(Taken::Bytes(bytes))
    }
}

impl Io for SimIo {
    type Socket = Handle;
    type Listener = Backlog;

    fn accept(&mut self, backlog: &mut Backlog) -> io::Result<(Handle, SocketAddr)> {
        let seed = self.seed.as_ref().ok_or(ErrorKind::WouldBlock)?;
        seed.accept(backlog)
    }

    fn register(&mut self, socket: &mut Handle, id: SessionId) -> io::Result<()> {
        match &self.seed {
            Some(seed) => seed.register(socket, id),
            None => {
                socket.borrow_mut().id = Some(id);
                Ok(())
            }
        }
    }

    fn read(&mut self, socket: &mut Handle, into: &mut [u8]) -> io::Result<usize> {
        let socket = &mut *socket.borrow_mut();
        self.check(|seed| seed.called(socket));
        let (start, most) = (socket.taken, into.len());
        let read = self.read_now(socket, most);
        let got = read.as_ref().ok().copied();
        self.done(socket, Call::Read { most, got }, got);
        let count = read?;
        into[..count].copy_from_slice(&socket.script.input[start..start + count]);
        Ok(count)
    }

    fn write(&mut self, socket: &mut Handle, bytes: &[u8]) -> io::Result<usize> {
        let socket = &mut *socket.borrow_mut();
        if let Some(seed) = self.seed.as_ref().filter(|_| socket.serial.is_none()) {
            return Ok(seed.refuse(socket, bytes));
        }
        self.check(|seed| seed.called(socket));
        let (most, wrote) = (bytes.len(), self.write_now(socket, bytes));
        let got = wrote.as_ref().ok().copied();
        self.time.update(|time| time + socket.write_micros);
        self.done(socket, Call::Write { most, got }, got);
        wrote
    }

    fn send_file(
        &mut self,
        socket: &mut Handle,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> io::Result<Sent> {
        let socket = &mut *socket.borrow_mut();
        let call = Call::SendBody { at, most };
        self.check(|seed| {
            seed.called(socket);
            assert!(most <= seed.plan.limits.send_step, "a step too long");
            seed.stepped(most);
        });
        let bytes = match blob.readable(at..at + most as u64) {
            Ok(Readable::Waits) => {
                self.done(socket, call, None);
                return Ok(Sent::Waits);
            }
            Ok(Readable::Bytes(bytes)) => (*bytes).as_ref().to_vec(),
            Ok(Readable::File(..)) => unreachable!("it has no descriptor"),
            Err(_) => Vec::new(),
        };
        if bytes.is_empty() {
            self.done(socket, call, Some(0));
            return Ok(Sent::Bytes(0));
        }
        let sent = self.write_now(socket, &bytes);
        self.done(socket, call, sent.as_ref().ok().copied());
        let count = sent?;
        if count == bytes.len() || socket.room() > 0 {
            return Ok(Sent::Bytes(count));
        }
        (socket.full, socket.write_in_vain) = (true, true);
        Ok(Sent::Filled(count))
    }

    fn can_receive_file(&mut self) -> bool {
        self.direct
    }

    fn receive_file(
        &mut self,
        socket: &mut Handle,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> io::Result<Option<usize>> {
        let socket = &mut *socket.borrow_mut();
        self.check(|seed| {
            seed.called(socket);
            assert!(most <= seed.plan.limits.receive_step, "a step too long");
            seed.stepped(most);
        });
        let took = blob.fill(at, &mut || self.take_now(socket, most));
        let bytes = took.as_ref().ok().copied().flatten();
        self.done(socket, Call::TakeBody { at, most }, bytes);
        took
    }

    fn cork(&mut self, socket: &mut Handle, corked: bool) {
        let socket = &mut *socket.borrow_mut();
        self.check(|seed| seed.called(socket));
        self.done(socket, Call::Cork(corked), None);
    }

    fn quick_ack(&mut self, socket: &mut Handle) {
        // Called after the turn, on a connection that may be closed next.
        let socket = &mut *socket.borrow_mut();
        assert!(socket.closed.is_none(), "a call on a closed connection");
        self.done(socket, Call::Acknowledge, None);
    }

    fn shutdown_write(&mut self, socket: &mut Handle) -> io::Result<()> {
        let socket = &mut *socket.borrow_mut();
        if socket.rejected {
            return Ok(());
        }
        self.check(|seed| seed.called(socket));
        self.done(socket, Call::FinishWriting, Some(0));
        if socket.reset {
            return Err(ErrorKind::NotConnected.into());
        }
        self.check(|seed| seed.shuts(socket));
        Ok(())
    }

    fn broken(&self, socket: &Handle) -> Option<u64> {
        let socket = socket.borrow();
        let unread = socket.arrived - socket.taken;
        socket.reset.then_some(unread as u64)
    }

    fn now(&self) -> Moment {
        if let Some(seed) = &self.seed {
            return seed.now.get();
        }
        self.time.update(|time| time + self.turn_micros.get());
        Moment(self.time.get())
    }
}
