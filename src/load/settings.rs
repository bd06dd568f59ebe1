//! The settings and limits of a load run.

use super::fail_limit::FailLimit;
use super::numbers::bytes;
use super::proc_stats::WatchedProcess;
use crate::reactor::ReactorLimits;
use crate::reactor::linux::BodySteps;
use crate::wire::http::HttpLimits;
use crate::wire::text::grouped;
use clap::ValueEnum;
use std::path::PathBuf;

/// The settings of a run, from the command line.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server, as `HOST:PORT`.
    pub at: String,
    /// The kind of load.
    pub work: Work,
    /// Bytes of a message or a file; for a room without the name in front.
    pub size: u64,
    /// Requests in flight on one connection.
    pub pipeline: usize,
    /// Whether each request uses a new connection.
    pub reconnects: bool,
    /// Connections, or members of a room.
    pub connections: usize,
    /// Requests per second of all connections together; `None` is a closed loop.
    pub rate: Option<u32>,
    /// Seconds before it in which the load rises from nothing; they are not counted.
    pub ramp: u32,
    /// The length of the run in seconds.
    pub seconds: u32,
    /// The process of the server, if it is to be measured.
    pub server: Option<WatchedProcess>,
    /// The file for the results as JSON.
    pub json: Option<PathBuf>,
    /// The file for the plot, as SVG.
    pub plot: Option<PathBuf>,
    /// The file for the latencies by time, as a log of histograms.
    pub hlog: Option<PathBuf>,
    /// Bounds beyond which the run has failed.
    pub fail_if: Vec<FailLimit>,
    /// The limits of the run.
    pub limits: LoadLimits,
}

impl Settings {
    /// The number of connections or members, as text.
    pub fn clients(&self) -> String {
        let name = match self.work {
            Work::Room { .. } => "member",
            _ => "connection",
        };
        let more = if self.connections == 1 { "" } else { "s" };
        format!("{} {name}{more}", grouped(self.connections as u64))
    }

    /// What each request is about, as text: its size or its path.
    pub fn object(&self) -> String {
        match &self.work {
            Work::Http(HttpWork {
                path: Some(path),
                operation: HttpOperation::Get,
                ..
            }) => format!("GET {path}"),
            _ => format!("{} each", bytes(self.size as f64)),
        }
    }

    /// The rate of requests, as text.
    pub fn rate_text(&self) -> String {
        match self.rate {
            Some(rate) => format!("{} a second", grouped(u64::from(rate))),
            None => "closed loop".to_owned(),
        }
    }
}

/// The kind of load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Messages to an echo service.
    Echo,
    /// A new connection for each message.
    Churn,
    /// Idle connections, and one that sends messages.
    Idle,
    /// Files of a transfer service, in this direction.
    Transfer(TransferDirection),
    /// Files of a files service: a single command, or all in turn.
    Files(Option<FilesOperation>),
    /// HTTP requests.
    Http(HttpWork),
    /// PINGs to redis.
    Redis,
    /// Messages to a room.
    Room {
        /// The password of the room.
        password: String,
    },
}

/// The direction of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferDirection {
    /// To the server.
    Send,
    /// From the server.
    Receive,
    /// Both in turn.
    Mix,
}

/// The HTTP requests of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpWork {
    /// The methods.
    pub operation: HttpOperation,
    /// For GET the path to request, otherwise the folder for the run's own files. `None`: own files
    /// at the top.
    pub path: Option<String>,
    /// More fields of each request: names and values.
    pub headers: Vec<(String, String)>,
    /// Whether the kernel discards long bodies: they are counted, and not compared.
    pub discard: bool,
}

impl HttpWork {
    /// Whether each worker stores a file of its own.
    pub fn uses_own_files(&self) -> bool {
        self.path.is_none() || self.operation != HttpOperation::Get
    }
}

/// The methods of HTTP requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpOperation {
    /// GET.
    Get,
    /// PUT.
    Put,
    /// Both in turn.
    Mix,
}

/// A command of the files service. In this order each command finds the file that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FilesOperation {
    /// Store a file.
    Upload,
    /// Request its length.
    Size,
    /// List the folder.
    #[value(name = "ls")]
    List,
    /// Download it.
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
            Work::Http(_) => "http",
            Work::Redis => "redis",
            Work::Room { .. } => "room",
        }
    }

    /// The kinds of requests that are counted separately in the results.
    pub fn kinds(&self) -> &'static [&'static str] {
        match self {
            Work::Echo | Work::Idle => &["message"],
            Work::Churn => &["connection"],
            Work::Transfer(_) => &["send", "receive"],
            Work::Files(_) => &["upload", "size", "ls", "download", "rm"],
            Work::Http(_) => &["GET", "PUT"],
            Work::Redis => &["PING"],
            Work::Room { .. } => &["copy"],
        }
    }

    /// Whether the run leaves files that must be removed.
    pub fn leaves_files(&self) -> bool {
        match self {
            Work::Transfer(_) | Work::Files(_) => true,
            Work::Http(http) => http.uses_own_files(),
            _ => false,
        }
    }
}

/// Limits of a load run.
#[derive(Debug, Clone, Copy)]
pub struct LoadLimits {
    /// Limits of the reactor.
    pub reactor: ReactorLimits,
    /// The step sizes for bodies.
    pub bodies: BodySteps,
    /// Descriptors in addition to those of the connections.
    pub descriptor_reserve: usize,
    /// Connections that may be connecting or preparing at once.
    pub dials: usize,
    /// Connects started between two polls.
    pub dials_per_round: usize,
    /// Source addresses for a server on loopback.
    pub sources: u32,
    /// The period of the test data, in bytes.
    pub period: usize,
    /// The longest heads of HTTP answers.
    pub http: HttpLimits,
    /// Bytes of a body from which on the kernel discards it, if the run allows that.
    pub discarded: u64,
    /// The longest reply line accepted, in bytes.
    pub line: usize,
    /// Total bytes of messages in flight.
    pub in_flight: u64,
    /// Microseconds without progress after which preparation fails.
    pub prepare_micros: u64,
    /// Microseconds to wait for the last answers after the end.
    pub last_answers_micros: u64,
    /// Microseconds after the end in which requests that were due may still be sent.
    pub late_micros: u64,
    /// Microseconds without progress after which the clean-up is given up.
    pub clean_up_micros: u64,
    /// Microseconds between two connects to a lost server, for the clean-up.
    pub redial_micros: u64,
    /// Microseconds between two updates of the progress line.
    pub progress_micros: u64,
    /// The number of time slices of the run, for the throughput over time.
    pub slices: u64,
    /// The longest latency recorded, in microseconds.
    pub longest_micros: u64,
    /// Significant decimal digits of a latency.
    pub digits: u8,
    /// Percentage of busy time above which the client is reported as the bottleneck.
    pub busy_percent: u32,
    /// The longest datagram of a room, in bytes.
    pub datagram: usize,
    /// The receive buffer of a member's socket, in bytes.
    pub room_buffer: usize,
    /// Members that may be joining at once.
    pub joining: usize,
    /// How often a request to a room is sent before the run fails.
    pub room_tries: u32,
    /// Microseconds after which a request to a room is repeated.
    pub room_answer_micros: u64,
    /// Microseconds to wait for the last copies of a room's messages.
    pub last_copies_micros: u64,
}
