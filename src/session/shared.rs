//! The state that all sessions of a loop share: posts, the time, the observer.

use super::notice::Post;
use super::observer::Observer;
use super::outbox::Outbox;
use super::protocol::Context;
use super::session_id::SessionId;

/// The state that all sessions of a loop share.
pub struct Shared {
    /// Notices of sessions to each other and to the log, delivered after the turn.
    pub posts: Vec<Post>,
    /// Those to the room, which the loop passes on once a round.
    pub for_room: Vec<Post>,
    /// Seconds since the server started.
    pub now: u32,
    /// The same in microseconds.
    pub micros: u64,
    /// The date: seconds since 1970.
    pub unix: u64,
    /// Whether standard output is too slow for the lines to the operator.
    pub operator_behind: bool,
    /// A session accepts no input while this many bytes of output wait in memory.
    pub high_water: usize,
    /// Gets a call for each event, turn and close.
    pub observer: Box<dyn Observer>,
}

impl Shared {
    /// The state at the start, without posts and without an observer.
    pub fn new(high_water: usize) -> Shared {
        Shared {
            posts: Vec::new(),
            for_room: Vec::new(),
            now: 0,
            micros: 0,
            unix: 0,
            operator_behind: false,
            high_water,
            observer: Box::new(()),
        }
    }

    /// The part that a protocol can use during one call.
    pub fn context<'a>(&'a mut self, out: &'a mut Outbox, me: SessionId) -> Context<'a> {
        Context {
            out,
            posts: &mut self.posts,
            me,
            now: self.now,
            micros: self.micros,
            unix: self.unix,
            operator_behind: self.operator_behind,
        }
    }
}
