//! The services: one protocol a file.
//! No socket and no reactor: everything here can be driven from a test without either.

pub mod bare_header;
pub mod echo;
pub mod files;
pub mod operator;
pub mod reject;
pub mod room;
pub mod roster;
pub mod talk;
pub mod transfer;
pub mod unframed_upload;
pub mod upload_log;

use crate::wire::names::WireLimits;

/// Limits of the command services.
#[derive(Debug, Clone, Copy)]
pub struct ServiceLimits {
    /// Lengths of units and names.
    pub wire: WireLimits,
    /// Bytes that a talk client may leave unread before it is dropped.
    pub talk_backlog: usize,
    /// What a talk client may say.
    pub talk_rate: TalkRate,
    /// Talk clients that one piece of an operator's command reaches.
    pub console_step: usize,
    /// Bytes that the operator may leave unread before more is dropped and counted.
    pub console_backlog: usize,
}

/// Bytes that a talk client may have shown to the operator, beside those that it has saved up.
#[derive(Debug, Clone, Copy)]
pub struct TalkRate {
    /// What a new connection begins with.
    pub first: usize,
    /// What each second adds for one client at most.
    pub each_second: usize,
    /// What each second adds for all clients, in equal shares, and for new connections once more.
    pub all: usize,
    /// What can be saved up.
    pub most: usize,
    /// What a line costs beside its text.
    pub line: usize,
}
