//! Names what sessions tell each other and the log, and whom they can tell.
//! Posts are pushed in a turn; the dispatcher delivers them after it.

use super::close_reason::CloseReason;
use super::session_id::SessionId;
use std::rc::Rc;

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The person at the server, if there is one.
    Operator,
    /// One session, if it is still there.
    One(SessionId),
    /// The log of the server.
    Log,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A line to be shown: clean text, without a line end.
    Line(Rc<str>),
    /// The conversation is to end, for this reason.
    Close(CloseReason),
    /// The terminal is this wide, and may have lost what was drawn on it.
    Resize {
        /// Its columns.
        columns: usize,
    },
    /// The time has come for what the session has planned.
    Due,
}

/// A notice on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Who is told.
    pub to: Audience,
    /// What is told.
    pub notice: Notice,
}

impl Post {
    /// A line on its way.
    pub fn line(to: Audience, line: impl Into<Rc<str>>) -> Post {
        let notice = Notice::Line(line.into());
        Post { to, notice }
    }
}
