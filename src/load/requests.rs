//! The requests of a worker as a trait: sends requests, and checks the answers.

use crate::reactor::clock::Moment;
use crate::session::blob::Blob;
use crate::session::outbox::Outbox;
use std::rc::Rc;

/// The requests of one worker. They outlive a connection.
pub trait Requests {
    /// Sends a request that stores nothing, to check that the server serves this connection: the
    /// input of a connection that waits in the accept queue is processed later, perhaps after the
    /// run. Returns `false` if no such request is needed.
    fn probe(&mut self, _out: &mut Outbox) -> bool {
        false
    }

    /// Sends the request that prepares the run, for example by storing a file.
    fn prepare(&mut self, out: &mut Outbox);

    /// Sends the next request; returns its kind as an index into `Work::kinds`.
    fn next_request(&mut self, out: &mut Outbox) -> usize;

    /// Checks a prefix of the input, at most one answer; returns the number of consumed bytes. If
    /// it consumes none and returns [`Checked::Part`], it needs more bytes.
    fn check(&mut self, input: &[u8]) -> (usize, Checked);

    /// Checks the end of the stream; `None` if it does not complete an answer.
    fn check_eof(&mut self) -> Option<Checked> {
        None
    }

    /// Where the bytes of [`Checked::Discard`] go.
    fn sink(&self) -> Rc<dyn Blob> {
        unreachable!("nothing is discarded")
    }

    /// Whether the server may close the connection now, before it answers: no byte of the next
    /// answer has arrived, and requests may be sent again.
    fn may_be_closed(&self) -> bool {
        false
    }

    /// Whether the server has announced that the last answer ends the connection.
    fn must_close(&self) -> bool {
        false
    }

    /// The name of the file that may be on the server and must be removed.
    fn leftover(&self) -> Option<&str> {
        None
    }

    /// Sends the request that removes it.
    fn clean_up(&mut self, _out: &mut Outbox) {
        unreachable!("there is nothing to remove")
    }

    /// Forgets the awaited answers, because the connection has closed.
    fn reset(&mut self);
}

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadTask {
    /// Prepare the worker, then send requests.
    Prepare,
    /// Send requests; the worker is prepared.
    Serve,
    /// Send one request, which was due at this moment.
    One(Moment),
    /// Remove the file of the worker.
    CleanUp,
}

/// A worker that needs a connection, and the purpose.
pub struct LoadJob {
    /// The number of the worker.
    pub worker: usize,
    /// The purpose.
    pub task: LoadTask,
    /// The requests of the worker.
    pub requests: Box<dyn Requests>,
}

/// A text about files of these workers that may still be on the server.
pub fn left_behind(workers: &[LoadJob]) -> Option<String> {
    let names = workers.iter().filter_map(|job| job.requests.leftover());
    let names: Vec<&str> = names.collect();
    let more = match names.len() {
        0 => return None,
        1 => String::new(),
        count => format!(" and {} more of this run", count - 1),
    };
    Some(format!("{}{more} may still be on the server", names[0]))
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// Part of an answer, correct so far.
    Part,
    /// The end of a correct answer.
    Answer,
    /// This number of bytes follows, which need not be compared.
    Discard(u64),
    /// A wrong byte; with a description.
    Wrong(String),
    /// An error answer of the server; with its text.
    Refused(String),
}

/// The result for a wrong byte at this offset.
pub fn wrong_byte(offset: u64, what: &str) -> Checked {
    Checked::Wrong(format!("byte {} of {what} is wrong", offset + 1))
}
