//! A kernel without an operating system: sockets are lines between a test and the server.
//! Tells nobody of readiness: edges are the test's to give, once each.

use loket::reactor::clock::Moment;
use loket::reactor::io::{Io, Sent, TakeError};
use loket::reactor::token::Key;
use loket::session::blob::Blob;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

/// A system call and what came of it; `None` is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Read { most: usize, got: Option<usize> },
    Write { most: usize, got: Option<usize> },
    SendBody { at: u64, most: usize },
    TakeBody { at: u64, most: usize },
    Cork(bool),
    Acknowledge,
    FinishWriting,
}

/// Both directions of one connection.
pub struct Line {
    /// Has arrived and was not read.
    pub incoming: VecDeque<u8>,
    /// Nothing will come behind it.
    pub finished: bool,
    pub reset: bool,
    /// How many bytes the socket takes before it is full.
    pub room: usize,
    /// Has left.
    pub sent: Vec<u8>,
    /// The next so many calls are interrupted by a signal.
    pub interrupts: usize,
    /// The next so many pieces of a body are still on the disk.
    pub cold: usize,
    /// What an answer costs: so many microseconds pass with every write.
    pub write_micros: u64,
    pub calls: Vec<Call>,
}

impl Default for Line {
    fn default() -> Line {
        Line {
            incoming: VecDeque::new(),
            finished: false,
            reset: false,
            room: usize::MAX / 2,
            sent: Vec::new(),
            interrupts: 0,
            cold: 0,
            write_micros: 0,
            calls: Vec::new(),
        }
    }
}

impl Line {
    fn usable(&mut self) -> io::Result<()> {
        if self.interrupts > 0 {
            self.interrupts -= 1;
            return Err(ErrorKind::Interrupted.into());
        }
        if self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    /// Takes up to `most` bytes off the line.
    fn take(&mut self, most: usize) -> io::Result<Vec<u8>> {
        self.usable()?;
        if self.incoming.is_empty() && !self.finished {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = most.min(self.incoming.len());
        Ok(self.incoming.drain(..count).collect())
    }

    /// Puts as many bytes on the line as it takes.
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.usable()?;
        if self.room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = self.room.min(bytes.len());
        self.room -= count;
        self.sent.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

/// The kernel; `direct` says whether it can fill blobs.
#[derive(Default)]
pub struct SimulatedKernel {
    pub direct: bool,
    /// Passes between two looks at the clock, of which a turn takes one.
    pub turn_micros: Rc<Cell<u64>>,
    pub time: Rc<Cell<u64>>,
}

impl Io for SimulatedKernel {
    type Socket = Rc<RefCell<Line>>;
    type Listener = ();

    fn accept(&mut self, _: &mut ()) -> io::Result<(Self::Socket, SocketAddr)> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn register(&mut self, _: &mut Self::Socket, _: Key) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, socket: &mut Self::Socket, into: &mut [u8]) -> io::Result<usize> {
        let mut line = socket.borrow_mut();
        let (most, taken) = (into.len(), line.take(into.len()));
        let got = taken.as_ref().ok().map(Vec::len);
        line.calls.push(Call::Read { most, got });
        let bytes = taken?;
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write(&mut self, socket: &mut Self::Socket, bytes: &[u8]) -> io::Result<usize> {
        let mut line = socket.borrow_mut();
        let (most, put) = (bytes.len(), line.put(bytes));
        let got = put.as_ref().ok().copied();
        self.time.update(|time| time + line.write_micros);
        line.calls.push(Call::Write { most, got });
        put
    }

    fn send_body(
        &mut self,
        socket: &mut Self::Socket,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> io::Result<Sent> {
        let mut line = socket.borrow_mut();
        line.calls.push(Call::SendBody { at, most });
        if line.cold > 0 {
            line.cold -= 1;
            return Ok(Sent::Cold);
        }
        let mut bytes = vec![0; most];
        let count = blob.read_at(&mut bytes, at)?;
        if count == 0 {
            return Ok(Sent::Bytes(0));
        }
        line.put(&bytes[..count]).map(Sent::Bytes)
    }

    fn can_take_body(&mut self, _: &dyn Blob) -> bool {
        self.direct
    }

    fn take_body(
        &mut self,
        socket: &mut Self::Socket,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> Result<usize, TakeError> {
        let mut line = socket.borrow_mut();
        line.calls.push(Call::TakeBody { at, most });
        let bytes = line.take(most).map_err(TakeError::Socket)?;
        blob.write_all_at(&bytes, at).map_err(TakeError::Blob)?;
        Ok(bytes.len())
    }

    fn cork(&mut self, socket: &mut Self::Socket, corked: bool) {
        socket.borrow_mut().calls.push(Call::Cork(corked));
    }

    fn acknowledge_now(&mut self, socket: &mut Self::Socket) {
        socket.borrow_mut().calls.push(Call::Acknowledge);
    }

    fn finish_writing(&mut self, socket: &mut Self::Socket) -> io::Result<()> {
        let mut line = socket.borrow_mut();
        line.calls.push(Call::FinishWriting);
        line.usable()
    }

    fn now(&self) -> Moment {
        self.time.update(|time| time + self.turn_micros.get());
        Moment(self.time.get())
    }
}
