//! Defines what a connection of a load run asks for: requests out, and answers checked.

use crate::reactor::clock::Moment;
use crate::session::outbox::Outbox;

/// The requests of one connection. It outlives the connection when each request has its own.
pub trait Requests {
    /// Asks for something that leaves nothing on the server, to see that it serves this connection:
    /// what a connection that waits in the kernel's queue has sent is carried out whenever there is
    /// room, also after the run. `false` where nothing needs to be asked.
    fn greet(&mut self, _out: &mut Outbox) -> bool {
        false
    }

    /// Asks for something that has to be there before the run begins, and shows that the server
    /// serves this connection.
    fn prepare(&mut self, out: &mut Outbox);

    /// Makes the next request; says which kind it is, by its place in `Work::kinds`.
    fn ask(&mut self, out: &mut Outbox) -> usize;

    /// Takes a prefix of what has come, no more than one answer.
    fn hear(&mut self, input: &[u8]) -> (usize, Heard);

    /// The name of what may be on the server and must not stay there.
    fn leaves(&self) -> Option<&str> {
        None
    }

    /// Clears that away.
    fn clean_up(&mut self, _out: &mut Outbox) {
        unreachable!("there is nothing to clear away")
    }

    /// The connection is gone, and answers that were under way with it.
    fn forget(&mut self);
}

/// What a connection is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// To prepare its lane, and then to make requests.
    Prepare,
    /// To make requests; its lane was prepared by another.
    Serve,
    /// For one request, which was due at this moment.
    One(Moment),
    /// To clear away.
    CleanUp,
}

/// A lane that wants a connection, and what for.
pub struct Call {
    /// The lane.
    pub lane: usize,
    /// What for.
    pub errand: Errand,
    /// What the lane asks for.
    pub requests: Box<dyn Requests>,
}

/// What may still be on the server of these lanes, in words.
pub fn left_behind(lanes: &[Call]) -> Option<String> {
    let names = lanes.iter().filter_map(|call| call.requests.leaves());
    let names: Vec<&str> = names.collect();
    let more = match names.len() {
        0 => return None,
        1 => String::new(),
        count => format!(" and {} more of this run", count - 1),
    };
    Some(format!("{}{more} may still be on the server", names[0]))
}

/// What the bytes were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A part of an answer.
    Part,
    /// They end an answer, and every byte of it was right.
    Answer,
    /// They are not what they should be; in words.
    Wrong(String),
    /// The server said no, in these words.
    Refused(String),
}

/// Words for a byte that is not what it should be.
pub fn wrong_byte(place: u64, what: &str) -> Heard {
    Heard::Wrong(format!("byte {} of {what} came back changed", place + 1))
}
