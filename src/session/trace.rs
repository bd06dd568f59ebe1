//! `--trace`: prints a line for each event, turn and change of state, for readers of the code.
//! A tab of the Loop view gets those of one connection, without the bytes of its peer.
//!
//! The console is left out: at a terminal it prints the trace itself, and each line would cause
//! another. A round with no other line is left out for the same reason.

use super::close_reason::CloseReason;
use super::observer::{ConnLabel, IoDirection, Observer, Readiness, TurnEnd};
use super::session_id::SessionId;
use crate::wire::follows::Timer;
use crate::wire::text::grouped;
use std::io::Write;
use std::net::SocketAddr;

/// Bytes of a peer's input that are printed at most.
const SHOWN: usize = 40;

/// An observer that writes lines to `W`.
pub struct Trace<W: Write> {
    to: W,
    /// The connection that is traced; `None` traces all.
    only: Option<SessionId>,
    round: u64,
    /// The number of events of this round and the microseconds of the spin that found them, until
    /// its line is printed.
    unprinted: Option<(usize, Option<u64>)>,
    /// Spins since the start that have found events, and that have not.
    spins: [u64; 2],
    /// The microseconds of the last spin, if it has found the events of the next round.
    spun: Option<u64>,
    /// Whether the current turn is one of a connection that is not traced.
    muted: bool,
    /// What the current turn has done, to be printed as one line.
    actions: Vec<String>,
    /// Bytes moved in this turn: read, written, moved into a file, moved out of a file.
    moved: [usize; 4],
}

impl<W: Write> Trace<W> {
    /// A trace that begins with round 1.
    pub fn new(to: W) -> Trace<W> {
        Trace::with(to, None)
    }

    /// A trace of one connection, which counts the bytes of its peer and does not show them.
    pub fn of(only: SessionId, to: W) -> Trace<W> {
        Trace::with(to, Some(only))
    }

    fn with(to: W, only: Option<SessionId>) -> Trace<W> {
        Trace {
            to,
            only,
            round: 0,
            unprinted: None,
            spins: [0; 2],
            spun: None,
            muted: true,
            actions: Vec::new(),
            moved: [0; 4],
        }
    }

    /// Where the lines go.
    pub fn sink(&mut self) -> &mut W {
        &mut self.to
    }

    fn is_muted(&self, conn: ConnLabel<'_>) -> bool {
        match self.only {
            None => conn.service == "console",
            Some(only) => only != SessionId::new(conn.slot, conn.serial),
        }
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        if let Some((events, spun)) = self.unprinted.take() {
            let (round, plural) = (self.round, if events == 1 { "" } else { "s" });
            let [found, empty] = self.spins;
            let spun = spun.map_or_else(String::new, |micros| {
                format!(" after {micros} us of spinning ({found} spins found events, {empty} none)")
            });
            let _ = writeln!(self.to, "round {round}: {events} event{plural}{spun}");
        }
        // An error of the trace does not end the server.
        let _ = writeln!(self.to, "{text}");
    }

    fn conn_line(&mut self, conn: ConnLabel<'_>, text: std::fmt::Arguments<'_>) {
        if self.is_muted(conn) {
            return;
        }
        self.line(format_args!(
            "conn {} {}: {text}",
            conn.serial, conn.service
        ));
    }
}

impl<W: Write> Observer for Trace<W> {
    fn spun(&mut self, micros: u64, found: bool) {
        self.spins[usize::from(!found)] += 1;
        self.spun = found.then_some(micros);
    }

    fn round(&mut self, events: usize) {
        if events > 0 {
            self.round += 1;
            self.unprinted = Some((events, self.spun.take()));
        }
    }

    fn opened(&mut self, conn: ConnLabel<'_>, peer: SocketAddr) {
        self.conn_line(conn, format_args!("opened by {peer}"));
    }

    fn named(&mut self, conn: ConnLabel<'_>, client: SocketAddr) {
        self.conn_line(
            conn,
            format_args!("is from {client}, by the proxy's header"),
        );
    }

    fn event(&mut self, conn: ConnLabel<'_>, ready: Readiness) {
        if self.is_muted(conn) {
            return;
        }
        let bits = [
            (ready.readable, "readable"),
            (ready.writable, "writable"),
            (ready.drain_to_eof, "at its end"),
        ];
        let set: Vec<_> = bits
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, name)| *name)
            .collect();
        self.conn_line(conn, format_args!("event, {}", set.join(" and ")));
    }

    fn silence(&mut self, conn: ConnLabel<'_>, timer: Timer) {
        self.conn_line(conn, format_args!("silent for the {}", timer_name(timer)));
    }

    fn turn(&mut self, conn: ConnLabel<'_>, ready: Readiness) {
        self.muted = self.is_muted(conn);
        if self.muted {
            return;
        }
        self.moved = [0; 4];
        self.actions.clear();
        self.actions.push(
            match (ready.readable, ready.writable) {
                (true, _) => "readable",
                (false, true) => "writable",
                (false, false) => "turn",
            }
            .to_owned(),
        );
    }

    fn consumed(&mut self, bytes: &[u8]) {
        if !self.muted {
            self.actions.push(match self.only {
                None => format!("consumed {}", quoted(bytes)),
                Some(_) => format!("consumed {} B", grouped(bytes.len() as u64)),
            });
        }
    }

    fn answered(&mut self, bytes: usize, body: u64) {
        if self.muted {
            return;
        }
        self.actions.push(match (bytes, body) {
            (bytes, 0) => format!("sends {} B", grouped(bytes as u64)),
            (0, body) => format!("sends {} B of a file", grouped(body)),
            (bytes, body) => {
                format!(
                    "sends {} B then {} B of a file",
                    grouped(bytes as u64),
                    grouped(body)
                )
            }
        });
    }

    fn moved(&mut self, direction: IoDirection, bytes: usize, body: bool) {
        let place = usize::from(direction == IoDirection::Out) + 2 * usize::from(body);
        self.moved[place] += bytes;
    }

    fn turn_ended(&mut self, conn: ConnLabel<'_>, end: TurnEnd, owed: u64, awaited: Option<Timer>) {
        if self.muted {
            return;
        }
        let moved = self.moved;
        let names = ["read", "wrote", "moved into a file", "moved out of a file"];
        for (bytes, name) in moved.into_iter().zip(names).filter(|(bytes, _)| *bytes > 0) {
            self.actions
                .push(format!("{name} {} B", grouped(bytes as u64)));
        }
        let actions = std::mem::take(&mut self.actions).join(", ");
        self.conn_line(conn, format_args!("{actions}"));
        let serial = conn.serial;
        match (end, awaited) {
            (TurnEnd::AwaitDisk, _) => {
                self.line(format_args!("conn {serial} parked: waits for the disk"))
            }
            (TurnEnd::Parked, _) if owed > 0 => {
                self.line(format_args!("conn {serial} parked: socket full"))
            }
            (TurnEnd::Parked, Some(timer)) => self.line(format_args!(
                "conn {serial} parked: waits for the {}",
                timer_name(timer)
            )),
            (TurnEnd::Parked, None) => {
                self.line(format_args!("conn {serial} parked: nothing to read"))
            }
            (TurnEnd::Requeue, _) => self.line(format_args!(
                "conn {serial} requeued: has more work, behind the short turns"
            )),
            (TurnEnd::Replace, _) => {
                self.line(format_args!("conn {serial} requeued: its service begins"))
            }
            (TurnEnd::Closed(_), _) => {}
        }
    }

    fn lingering(&mut self, conn: ConnLabel<'_>, reason: CloseReason) {
        self.conn_line(
            conn,
            format_args!("shut down writing ({reason}), discards further input"),
        );
    }

    fn closed(&mut self, conn: ConnLabel<'_>, reason: CloseReason) {
        self.conn_line(conn, format_args!("closed, {reason}"));
    }
}

fn timer_name(timer: Timer) -> &'static str {
    match timer {
        Timer::Interbyte => "pause within a command",
        Timer::Settle => "settle window",
        Timer::PartialCommand => "rest of a command",
        Timer::HeaderGap => "gap between header and data",
        Timer::FirstByte => "first byte of an upload",
        Timer::Linger => "end of lingering",
        Timer::Pace => "rate limit",
        Timer::Heartbeat => "heartbeat",
    }
}

/// The first bytes as text, with control characters escaped.
fn quoted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
    let text = match text.trim_end_matches(['\r', '\n']) {
        "" => &text,
        shown => shown,
    };
    let more = if bytes.len() > SHOWN { "..." } else { "" };
    format!("\"{}\"{more}", text.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_peer_are_escaped() {
        assert_eq!(quoted(b"\x1b[2Jls\r\n"), "\"\\u{1b}[2Jls\"");
        assert_eq!(quoted(&[b'x'; 50]).len(), 40 + 2 + 3);
    }
}
