//! One log line for each answered request, at level debug (`-v`).

use std::net::SocketAddr;

/// An answered request. The line holds no field of it, and so no token.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The method, or `-` if the request could not be parsed.
    pub method: &'a str,
    /// The path and the query, as sent; empty if the request could not be parsed.
    pub target: &'a str,
    /// The status code.
    pub status: u16,
    /// The length of the body: that of the answer, or of what PUT stored.
    pub bytes: u64,
    /// Time from the head of the request to the head of the answer, in microseconds.
    pub micros: u64,
    /// The client.
    pub peer: SocketAddr,
}

impl Answered<'_> {
    /// Writes the line, if the log shows it.
    pub fn log(&self) {
        let Answered {
            method,
            target,
            status,
            bytes,
            micros,
            peer,
        } = self;
        let target = target.escape_debug();
        log::debug!(
            service = "http", peer:% = peer, status = *status;
            "http: {method} {target} {status} {bytes} B {}.{} ms {peer}",
            micros / 1_000,
            micros % 1_000 / 100
        );
    }
}
