//! Names what sessions tell each other and the log, and whom they can tell.
//! Delivers nothing: posts are pushed in a turn and handed over after it, by the dispatcher.

use std::net::SocketAddr;
use std::rc::Rc;

/// A session, as others may name it. The number is the reactor's; nobody else reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerId(pub u64);

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The person at the server, if there is one.
    Operator,
    /// One session, if it is still there.
    One(PeerId),
    /// The log of the server.
    Log,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A talk client has come.
    Joined {
        /// Its number for people.
        id: u32,
        /// Its session.
        peer: PeerId,
        /// Where it comes from.
        address: SocketAddr,
    },
    /// A talk client has said something.
    Said {
        /// Its number for people.
        id: u32,
        /// Clean text, without a line end.
        text: Rc<str>,
    },
    /// A talk client has gone.
    Left {
        /// Its number for people.
        id: u32,
    },
    /// A line for the operator's screen as it is; clean text, without a line end.
    Printed(Rc<str>),
    /// A line of the operator for a talk client; clean text, without a line end.
    Line(Rc<str>),
    /// The operator's terminal is this wide, and may have lost what was drawn on it.
    Screen {
        /// Its columns.
        columns: usize,
    },
    /// The operator wants to hear no more of a talk client.
    Kicked,
    /// The time has come for what the session has planned.
    Due,
    /// An upload was refused, cut or failed; for the log.
    UploadLost {
        /// Where it came from.
        peer: SocketAddr,
        /// Clean text; empty where no name is known.
        name: Box<str>,
        /// Clean text, in words.
        why: Box<str>,
    },
}

/// A notice on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Who is told.
    pub to: Audience,
    /// What is told.
    pub notice: Notice,
}
