//! Prints what the loop does, a line an event, turn and state change, for people who read the code.
//!
//! The console is left out: at a terminal it prints the trace itself, and a line about each line
//! would never end. A round of which nothing else is told is left out for the same reason.

use crate::session::close_reason::CloseReason;
use crate::session::observer::{Direction, Observer, Readiness, TurnEnd, Who};
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
    untold: Option<usize>,
    /// The turn under way is the console's.
    hushed: bool,
    /// What the turn under way has done, to be printed as one line.
    deeds: Vec<String>,
    /// Bytes moved in this turn: in, out, into a body, out of a body.
    moved: [usize; 4],
}

impl<W: Write> Trace<W> {
    /// A trace that begins with round 1.
    pub fn new(to: W) -> Trace<W> {
        Trace {
            to,
            round: 0,
            untold: None,
            hushed: false,
            deeds: Vec::new(),
            moved: [0; 4],
        }
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        if let Some(events) = self.untold.take() {
            let (round, plural) = (self.round, if events == 1 { "" } else { "s" });
            let _ = writeln!(self.to, "round {round}: {events} event{plural}");
        }
        // Nobody to read the trace is no reason to stop serving.
        let _ = writeln!(self.to, "{text}");
    }

    fn say(&mut self, who: Who<'_>, text: std::fmt::Arguments<'_>) {
        self.line(format_args!("conn {} {}: {text}", who.serial, who.service));
    }
}

impl<W: Write> Observer for Trace<W> {
    fn round(&mut self, events: usize) {
        self.round += 1;
        self.untold = Some(events);
    }

    fn opened(&mut self, who: Who<'_>, peer: SocketAddr) {
        self.say(who, format_args!("opened by {peer}"));
    }

    fn event(&mut self, who: Who<'_>, ready: Readiness) {
        if is_console(who) {
            return;
        }
        let told = [
            (ready.readable, "readable"),
            (ready.writable, "writable"),
            (ready.read_on, "to be read to its end"),
        ];
        let told: Vec<_> = told
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, name)| *name)
            .collect();
        self.say(who, format_args!("event, {}", told.join(" and ")));
    }

    fn silence(&mut self, who: Who<'_>, delay: Timer) {
        self.say(who, format_args!("silent for the {}", name(delay)));
    }

    fn turn(&mut self, who: Who<'_>, ready: Readiness) {
        self.hushed = is_console(who);
        self.moved = [0; 4];
        self.deeds.clear();
        self.deeds.push(
            match (ready.readable, ready.writable) {
                (true, _) => "readable",
                (false, true) => "writable",
                (false, false) => "turn",
            }
            .to_owned(),
        );
    }

    fn took(&mut self, bytes: &[u8]) {
        if !self.hushed {
            self.deeds.push(format!("took {}", quoted(bytes)));
        }
    }

    fn answered(&mut self, bytes: usize, body: u64) {
        if self.hushed {
            return;
        }
        self.deeds.push(match (bytes, body) {
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

    fn moved(&mut self, direction: Direction, bytes: usize, body: bool) {
        let place = usize::from(direction == Direction::Out) + 2 * usize::from(body);
        self.moved[place] += bytes;
    }

    fn ended(&mut self, who: Who<'_>, end: TurnEnd, owes: bool, awaited: Option<Timer>) {
        if self.hushed {
            return;
        }
        let moved = self.moved;
        let names = ["read", "wrote", "moved into a file", "moved out of a file"];
        for (bytes, name) in moved.into_iter().zip(names).filter(|(bytes, _)| *bytes > 0) {
            self.deeds
                .push(format!("{name} {} B", grouped(bytes as u64)));
        }
        let deeds = std::mem::take(&mut self.deeds).join(", ");
        self.say(who, format_args!("{deeds}"));
        let serial = who.serial;
        match (end, awaited) {
            (TurnEnd::Parked, _) if owes => {
                self.line(format_args!("conn {serial} parked: socket full"))
            }
            (TurnEnd::Parked, Some(delay)) => self.line(format_args!(
                "conn {serial} parked: waits for the {}",
                name(delay)
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

    fn lingers(&mut self, who: Who<'_>, reason: CloseReason) {
        self.say(
            who,
            format_args!("finished writing ({reason}), reads away what still comes"),
        );
    }

    fn closed(&mut self, who: Who<'_>, reason: CloseReason) {
        self.say(who, format_args!("closed, {reason}"));
    }
}

fn is_console(who: Who<'_>) -> bool {
    who.service == "console"
}

fn name(delay: Timer) -> &'static str {
    match delay {
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
