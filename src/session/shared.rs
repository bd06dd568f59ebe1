//! The state that all sessions of a loop share: posts, the time, the observer.

use super::log_limit::LogLimit;
use super::notice::{Audience, Notice, Post};
use super::observer::Observer;
use super::outbox::Outbox;
use super::protocol::Context;
use super::session_id::SessionId;
use std::rc::Rc;

/// Gets a line to the operator, the date in seconds since 1970, and the list of posts.
pub type OnOperatorLine = Box<dyn FnMut(&Rc<str>, u64, &mut Vec<Post>)>;

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
    /// The number of reads of sockets, and of ends of waits, so far. While it stays the same, no
    /// request was received and no session has waited for a change.
    pub reads: u64,
    /// Whether standard output is too slow for the lines to the operator.
    pub operator_behind: bool,
    /// A session accepts no input while this many bytes of output wait in memory.
    pub high_water: usize,
    /// Gets a call for each event, turn and close.
    pub observer: Box<dyn Observer>,
    /// Gets a call for each line to the operator, also without a terminal.
    pub on_operator_line: Option<OnOperatorLine>,
    /// How many lines a second are logged for sessions.
    pub logged: LogLimit,
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
            reads: 0,
            operator_behind: false,
            high_water,
            observer: Box::new(()),
            on_operator_line: None,
            logged: LogLimit::new(0),
        }
    }

    /// The session that a post is for. A post that is for none is passed on here.
    pub fn route(&mut self, post: &Post, operator: Option<SessionId>) -> Option<SessionId> {
        match (post.to, &post.notice) {
            (Audience::One(session), _) => Some(session),
            (Audience::Operator, notice) => {
                if let (Notice::Line(line), Some(copy)) = (notice, &mut self.on_operator_line) {
                    copy(line, self.unix, &mut self.posts);
                }
                operator
            }
            (Audience::Room(_), _) => {
                self.for_room.push(post.clone());
                None
            }
            (Audience::Log, Notice::Log(entry)) => {
                self.logged.info(entry, self.micros);
                None
            }
            (Audience::Log, _) => unreachable!("only its entries are posted to the log"),
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
            reads: self.reads,
            operator_behind: self.operator_behind,
        }
    }
}
