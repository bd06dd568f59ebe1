//! All that a session can reach beside its own peer.

use super::notice::Post;
use super::observer::Observer;
use super::outbox::Outbox;
use super::protocol::Context;
use super::session_id::SessionId;

/// All that a session can reach beside its own peer.
pub struct Shared {
    /// What sessions have to tell each other, to be delivered after the turn.
    pub posts: Vec<Post>,
    /// Whole seconds since the server started.
    pub now: u32,
    /// Lines for the operator come faster than standard output takes them.
    pub operator_behind: bool,
    /// A session takes nothing in while it owes its peer this many bytes.
    pub high_water: usize,
    /// What is shown all that happens.
    pub observer: Box<dyn Observer>,
}

impl Shared {
    /// A world at its beginning, with nothing posted.
    pub fn new(high_water: usize) -> Shared {
        Shared {
            posts: Vec::new(),
            now: 0,
            operator_behind: false,
            high_water,
            observer: Box::new(()),
        }
    }

    /// What a protocol gets to see of it during one call.
    pub fn context<'a>(&'a mut self, out: &'a mut Outbox, me: SessionId) -> Context<'a> {
        Context {
            out,
            posts: &mut self.posts,
            me,
            now: self.now,
            operator_behind: self.operator_behind,
        }
    }
}
