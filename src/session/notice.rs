//! Messages that a session sends to another session, to the operator or to the log.
//! A protocol adds posts during a turn; the dispatcher delivers them after it.

use super::close_reason::CloseReason;
use super::peer::Peer;
use super::session_id::SessionId;
use std::net::SocketAddr;
use std::rc::Rc;

/// The recipient of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The session of the operator, if there is one.
    Operator,
    /// One session, if it is still open.
    One(SessionId),
    /// The room, if there is one. The post is from this client of it.
    Room(Peer),
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
    /// A datagram, to the room or from it.
    Datagram(Datagram),
    /// To the room: the session that posts this has ended.
    Gone,
    /// Something that both sessions share has changed: the recipient knows where to look.
    Wake,
    /// A server-sent event for a tab, complete and in its final form.
    Event(Rc<str>),
    /// A line for the log.
    Log(Rc<LogEntry>),
}

/// A line for the log, and the fields by which it is found. It holds no control characters.
#[derive(Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The service.
    pub service: &'static str,
    /// The client.
    pub peer: SocketAddr,
    /// What happened, or why.
    pub reason: String,
    /// The line, which says all of this, too.
    pub line: String,
}

/// A datagram, as text that its recipients share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Its bytes. Over UDP nothing else is sent.
    pub bytes: Rc<[u8]>,
    /// What it is.
    pub meaning: Meaning,
}

/// What a datagram is, for sessions: its bytes alone may not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A request, or an answer that refuses nothing.
    Plain,
    /// The request, or the message, is refused.
    Denied(Denial),
    /// The note that this number of messages from other servers was lost.
    Lost(u64),
    /// A line about a member. A name may end in a colon, so that the text alone does not show where
    /// it ends.
    About {
        /// The length of the name at the beginning of the line.
        name: usize,
        /// What that member has done.
        deed: Deed,
        /// The number of the line; 0 if it is sent to one client only.
        number: u64,
    },
}

/// What a member of the room has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It has joined.
    Entered,
    /// It has left.
    Left,
    /// It has said something.
    Said,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The password is wrong, or was not given.
    Password,
    /// The name is in use.
    Taken,
    /// No member may have such a name.
    BadName,
    /// There is no place left.
    Full,
    /// Too many requests or messages.
    TooOften,
}

impl Datagram {
    /// An answer that refuses a request.
    pub fn denied(text: &[u8], why: Denial) -> Datagram {
        let meaning = Meaning::Denied(why);
        Datagram {
            bytes: text.into(),
            meaning,
        }
    }
}

impl<T: AsRef<[u8]>> From<T> for Datagram {
    fn from(text: T) -> Datagram {
        Datagram {
            bytes: text.as_ref().into(),
            meaning: Meaning::Plain,
        }
    }
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
