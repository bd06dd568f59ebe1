//! Prints what the loop does, a line an event, turn and state change, for people who read the code.
//!
//! The console is left out: at a terminal it prints the trace itself, and a line about each line
//! would never end. A round of which nothing else is told is left out for the same reason.

use crate::session::close_reason::CloseReason;
use crate::session::observer::{ConnLabel, IoDirection, Observer, Readiness, TurnEnd};
use crate::wire::follows::Timer;
use crate::wire::text::grouped;
use std::io::Write;
use std::net::SocketAddr;

/// At most so many characters of what a peer said are shown.
const SHOWN: usize = 40;

/// Writes lines to `W`.
pub struct Trace<W: Write> {
    to: W,
    round: u64,
    /// The events of a round of which nothing was printed yet.
    unprinted: Option<usize>,
    /// The turn under way is the console's.
    muted: bool,
    /// What the turn under way has done, to be printed as one line.
    actions: Vec<String>,
    /// Bytes moved in this turn: in, out, into a body, out of a body.
    moved: [usize; 4],
}

impl<W: Write> Trace<W> {
    /// A trace that begins with round 1.
    pub fn new(to: W) -> Trace<W> {
        Trace {
            to,
            round: 0,
            unprinted: None,
            muted: false,
            actions: Vec::new(),
            moved: [0; 4],
        }
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        if let Some(events) = self.unprinted.take() {
            let (round, plural) = (self.round, if events == 1 { "" } else { "s" });
            let _ = writeln!(self.to, "round {round}: {events} event{plural}");
        }
        // Nobody to read the trace is no reason to stop serving.
        let _ = writeln!(self.to, "{text}");
    }

    fn conn_line(&mut self, conn: ConnLabel<'_>, text: std::fmt::Arguments<'_>) {
        self.line(format_args!(
            "conn {} {}: {text}",
            conn.serial, conn.service
        ));
    }
}

impl<W: Write> Observer for Trace<W> {
    fn round(&mut self, events: usize) {
        self.round += 1;
        self.unprinted = Some(events);
    }

    fn opened(&mut self, conn: ConnLabel<'_>, peer: SocketAddr) {
        self.conn_line(conn, format_args!("opened by {peer}"));
    }

    fn event(&mut self, conn: ConnLabel<'_>, ready: Readiness) {
        if is_console(conn) {
            return;
        }
        let told = [
            (ready.readable, "readable"),
            (ready.writable, "writable"),
            (ready.drain_to_eof, "to be read to its end"),
        ];
        let told: Vec<_> = told
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, name)| *name)
            .collect();
        self.conn_line(conn, format_args!("event, {}", told.join(" and ")));
    }

    fn silence(&mut self, conn: ConnLabel<'_>, timer: Timer) {
        self.conn_line(conn, format_args!("silent for the {}", timer_name(timer)));
    }

    fn turn(&mut self, conn: ConnLabel<'_>, ready: Readiness) {
        self.muted = is_console(conn);
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
            self.actions.push(format!("took {}", quoted(bytes)));
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

    fn turn_ended(
        &mut self,
        conn: ConnLabel<'_>,
        end: TurnEnd,
        owes: bool,
        awaited: Option<Timer>,
    ) {
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
            (TurnEnd::Parked, _) if owes => {
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
                "conn {serial} again: has more to do, behind the short turns"
            )),
            (TurnEnd::AwaitDisk, _) => self.line(format_args!(
                "conn {serial} again: the disk has yet to read"
            )),
            (TurnEnd::Closed(_), _) => {}
        }
    }

    fn lingering(&mut self, conn: ConnLabel<'_>, reason: CloseReason) {
        self.conn_line(
            conn,
            format_args!("finished writing ({reason}), reads away what still comes"),
        );
    }

    fn closed(&mut self, conn: ConnLabel<'_>, reason: CloseReason) {
        self.conn_line(conn, format_args!("closed, {reason}"));
    }
}

fn is_console(conn: ConnLabel<'_>) -> bool {
    conn.service == "console"
}

fn timer_name(timer: Timer) -> &'static str {
    match timer {
        Timer::Interbyte => "pause within a command",
        Timer::Settle => "settle window",
        Timer::PartialCommand => "end of an unfinished command",
        Timer::HeaderGap => "gap before the data",
        Timer::FirstByte => "first byte of an upload",
        Timer::Linger => "end of the goodbye",
        Timer::Pace => "pause of a peer that says too much",
        Timer::Cold => "disk",
    }
}

/// The first characters, with nothing in them that a terminal would obey.
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
    fn what_a_peer_said_cannot_speak_to_the_terminal() {
        assert_eq!(quoted(b"\x1b[2Jls\r\n"), "\"\\u{1b}[2Jls\"");
        assert_eq!(quoted(&[b'x'; 50]).len(), 40 + 2 + 3);
    }
}
