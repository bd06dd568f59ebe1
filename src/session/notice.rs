//! Messages that a session sends to another session, to the operator or to the log.
//! A protocol adds posts during a turn; the dispatcher delivers them after it.

use super::close_reason::CloseReason;
use super::session_id::SessionId;
use std::rc::Rc;

/// The recipient of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The session of the operator, if there is one.
    Operator,
    /// One session, if it is still open.
    One(SessionId),
    /// The log of the server, on standard error.
    Log,
}

/// The content of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A line of text, without control characters and without a line end.
    Line(Rc<str>),
    /// The session is to end, for this reason.
    Close(CloseReason),
    /// The operator's terminal was resized, or this process is in the foreground again: the line
    /// must be drawn anew.
    Resize {
        /// The width of the terminal.
        columns: usize,
    },
    /// A deadline has passed. Output that is added now is sent before the connection is closed; to
    /// add it, answer [`Reaction::Close`](super::protocol::Reaction::Close).
    Deadline(CloseReason),
    /// The moment that a session of the load generator has planned for.
    Due,
}

/// A notice with its recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// The recipient.
    pub to: Audience,
    /// The content.
    pub notice: Notice,
}

impl Post {
    /// A post of a [`Notice::Line`].
    pub fn line(to: Audience, line: impl Into<Rc<str>>) -> Post {
        let notice = Notice::Line(line.into());
        Post { to, notice }
    }
}
