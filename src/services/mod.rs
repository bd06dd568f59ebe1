//! The services, one protocol a file.
//! They use no sockets and no reactor, so that tests can run them without either.

pub mod bare_header;
pub mod echo;
pub mod expiring_table;
pub mod files;
pub mod http;
pub mod link;
pub mod operator;
pub mod operator_commands;
pub mod operator_history;
pub mod proxied;
pub mod reject;
pub mod room;
pub mod roster;
pub mod server_event;
pub mod talk;
pub mod transfer;
pub mod unframed_upload;
pub mod upload_log;
pub mod wrong_secrets;

use self::operator_history::HistoryLimits;
use crate::wire::http::HttpLimits;
use crate::wire::names::WireLimits;

/// Limits of the TCP services.
#[derive(Debug, Clone, Copy)]
pub struct ServiceLimits {
    /// Lengths of units and names.
    pub wire: WireLimits,
    /// Lengths of HTTP requests.
    pub http: HttpLimits,
    /// Unsent bytes at which a talk client is disconnected.
    pub talk_backlog: usize,
    /// How fast talk clients may send text to the operator.
    pub talk_rate: TalkRate,
    /// Talk clients that one step of an operator's command handles.
    pub operator_batch: usize,
    /// Unwritten bytes for the operator above which lines are dropped and counted.
    pub operator_backlog: usize,
    /// The window in a browser.
    pub window: WindowLimits,
}

/// Limits of the window in a browser.
#[derive(Debug, Clone, Copy)]
pub struct WindowLimits {
    /// Bytes of the body of a POST request.
    pub post: usize,
    /// What a tab that opens later gets of the lines to the operator.
    pub history: HistoryLimits,
    /// Talk clients, or members of the room, in one event.
    pub roster_batch: usize,
    /// Bytes of a message to the room, with the name in front.
    pub room_line: usize,
    /// Unsent bytes of a tab at which no more events are written.
    pub unsent: usize,
    /// Bytes of events that wait behind them at which the tab is closed.
    pub backlog: usize,
    /// Bytes of text of a talk client in a tab that wait until its rate allows them.
    pub held_text: usize,
}

/// Rate limit of the text that talk clients send to the operator. All fields are in bytes.
#[derive(Debug, Clone, Copy)]
pub struct TalkRate {
    /// Credit of a new connection.
    pub initial: usize,
    /// Credit that one client earns a second, at most.
    pub per_second: usize,
    /// Credit that all clients together earn a second, in equal shares. The `initial` credits of
    /// new connections have a second limit of the same size.
    pub per_second_all: usize,
    /// The largest credit that a client can accumulate.
    pub burst: usize,
    /// Cost of a line in addition to its text.
    pub per_line: usize,
}
