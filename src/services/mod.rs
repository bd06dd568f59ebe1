//! The services, one protocol a file.
//! They use no sockets and no reactor, so that tests can run them without either.

pub mod bare_header;
pub mod echo;
pub mod expiring_table;
pub mod files;
pub mod http;
pub mod operator;
pub mod reject;
pub mod room;
pub mod roster;
pub mod talk;
pub mod transfer;
pub mod unframed_upload;
pub mod upload_log;
pub mod wrong_secrets;

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
