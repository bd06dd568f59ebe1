//! Says what a load run is to do and what it must keep to.

use super::proc_stats::Watched;
use crate::reactor::ReactorLimits;
use crate::reactor::linux::BodySteps;
use crate::wire::text::grouped;
use clap::ValueEnum;
use std::path::PathBuf;

/// What the user of a load generator decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server, as `HOST:PORT`.
    pub at: String,
    /// What is asked of it.
    pub work: Work,
    /// Bytes of a message or a file; of a room's message without the name in front.
    pub size: u64,
    /// Requests under way on one connection.
    pub pipeline: usize,
    /// Whether each request has a connection of its own.
    pub reconnects: bool,
    /// Connections, or members of a room.
    pub connections: usize,
    /// Requests a second of all connections together; `None` asks anew when an answer is there.
    pub rate: Option<u32>,
    /// How long requests are made.
    pub seconds: u32,
    /// The server's process, if it runs on this host and is to be measured as well.
    pub server: Option<Watched>,
    /// Where the figures go as JSON.
    pub json: Option<PathBuf>,
    /// Where a drawing of them goes, as SVG.
    pub plot: Option<PathBuf>,
    /// What the run must keep to.
    pub limits: LoadLimits,
}

impl Settings {
    /// Its connections in words, or the members of a room.
    pub fn who(&self) -> String {
        let name = match self.work {
            Work::Room { .. } => "member",
            _ => "connection",
        };
        let more = if self.connections == 1 { "" } else { "s" };
        format!("{} {name}{more}", grouped(self.connections as u64))
    }

    /// How fast requests are made, in words.
    pub fn pace(&self) -> String {
        match self.rate {
            Some(rate) => format!("{} a second", grouped(u64::from(rate))),
            None => "closed loop".to_owned(),
        }
    }
}

/// What is asked of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Messages that come back.
    Echo,
    /// A connection for each message.
    Churn,
    /// Connections that do nothing, and one that does.
    Idle,
    /// Files of a transfer service, this way.
    Transfer(Direction),
    /// Files of a files service: one command alone, or all in turn.
    Files(Option<FilesCommand>),
    /// Messages of a room, which go to every member.
    Room {
        /// What opens the room.
        password: String,
    },
}

/// Which way files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Send,
    /// From the server.
    Receive,
    /// To and fro.
    Mix,
}

/// A command of the files service, in an order in which each has what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FilesCommand {
    /// Store a file.
    Upload,
    /// Ask how long it is.
    Size,
    /// List the folder.
    #[value(name = "ls")]
    List,
    /// Fetch it.
    Download,
    /// Store and remove it.
    #[value(name = "rm")]
    Remove,
}

impl Work {
    /// The name of the mode.
    pub fn name(&self) -> &'static str {
        match self {
            Work::Echo => "echo",
            Work::Churn => "churn",
            Work::Idle => "idle",
            Work::Transfer(_) => "transfer",
            Work::Files(_) => "files",
            Work::Room { .. } => "room",
        }
    }

    /// The names of the kinds of requests that are told apart in the figures.
    pub fn kinds(&self) -> &'static [&'static str] {
        match self {
            Work::Echo | Work::Idle => &["message"],
            Work::Churn => &["connection"],
            Work::Transfer(_) => &["send", "receive"],
            Work::Files(_) => &["upload", "size", "ls", "download", "rm"],
            Work::Room { .. } => &["copy"],
        }
    }

    /// Whether files are left behind that have to be cleared away.
    pub fn leaves_files(&self) -> bool {
        matches!(self, Work::Transfer(_) | Work::Files(_))
    }
}

/// Limits of a load run.
#[derive(Debug, Clone, Copy)]
pub struct LoadLimits {
    /// Limits of the reactor.
    pub reactor: ReactorLimits,
    /// How bodies are moved.
    pub bodies: BodySteps,
    /// Descriptors beside those of the connections.
    pub descriptor_reserve: usize,
    /// Connections that may be dialled or prepared at once.
    pub dials: usize,
    /// Connections dialled between two polls.
    pub dials_per_round: usize,
    /// Addresses of this host that connections to it come from.
    pub sources: u32,
    /// The content of messages and files repeats after so many bytes.
    pub period: usize,
    /// The longest reply line understood.
    pub line: usize,
    /// Bytes of messages that may be under way altogether.
    pub under_way: u64,
    /// Microseconds in which something must come forward while connections are prepared.
    pub prepare_micros: u64,
    /// Microseconds that the last answers may take when the time is up.
    pub last_answers_micros: u64,
    /// Microseconds in which requests that were due may still be made when the time is up.
    pub late_micros: u64,
    /// Microseconds that clearing away may take.
    pub clean_up_micros: u64,
    /// Microseconds between two tries to reach a server that is gone, to clear away.
    pub redial_micros: u64,
    /// Microseconds between two pictures of the progress.
    pub progress_micros: u64,
    /// Points of the throughput over time.
    pub slices: u64,
    /// The longest latency told apart, in microseconds.
    pub longest_micros: u64,
    /// Decimal digits of a latency that are right.
    pub digits: u8,
    /// Percent of the time without waiting above which the client held the server back.
    pub busy_percent: u32,
    /// The longest datagram of a room.
    pub datagram: usize,
    /// Bytes that a member's socket may hold until they are read.
    pub room_buffer: usize,
    /// Members that join at once.
    pub joining: usize,
    /// Tries of a request to a room.
    pub room_tries: u32,
    /// Microseconds until a request to a room is tried again.
    pub room_answer_micros: u64,
    /// Microseconds that the last copies of a room's messages may take.
    pub last_copies_micros: u64,
}
