//! The texts of the Loop view, in JSON: frames, and pieces of the snapshot of all connections.
//!
//! ```text
//!   frame  at, span                      when it was made, and the time that it covers: ms
//!          rounds, events, in, out       what happened in that time; `in` and `out` are bytes
//!          turns                         how many ended parked, requeue, await_disk or closed
//!          short, bulk, await_disk       connections that wait now
//!          most                          the longest queues of a round: [short, bulk]
//!          longest, lag                  the longest turn and the longest round: us
//!          connections, limit, accepting the gate of the acceptor
//!          conns                         what has changed: [slot, serial, service, state,
//!                                        bytes owed, turns, bytes moved, budget used in %]
//!          cut                           changed slots that are in the next frames
//!          gone                          slots that are empty now
//!          missed                        frames that this tab has lost before this one
//!
//!   piece  first                         whether it begins a new picture
//!          services                      their names, by number
//!          conns                         [slot, serial, service, state, bytes owed]
//!          more                          whether another piece follows
//! ```
//!
//! The states are numbers in [`STATES`](super::loop_metrics::STATES).

use super::changed_conns::{ChangedConns, ConnChange};
use super::loop_metrics::LoopMetrics;
use std::fmt::Write;

/// Counters of a loop at one moment, or what was added to them since.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoopTotals {
    rounds: u64,
    events: u64,
    /// By how they ended.
    turns: [u64; 4],
    received: u64,
    sent: u64,
}

impl LoopTotals {
    /// The counters now.
    pub fn of(metrics: &LoopMetrics) -> LoopTotals {
        LoopTotals {
            rounds: metrics.rounds.get(),
            events: metrics.events.get(),
            turns: std::array::from_fn(|end| metrics.turns[end].get()),
            received: metrics.received.iter().map(|count| count.get()).sum(),
            sent: metrics.sent.iter().map(|count| count.get()).sum(),
        }
    }

    /// What was added since `earlier`.
    fn since(&self, earlier: &LoopTotals) -> LoopTotals {
        LoopTotals {
            rounds: self.rounds - earlier.rounds,
            events: self.events - earlier.events,
            turns: std::array::from_fn(|end| self.turns[end] - earlier.turns[end]),
            received: self.received - earlier.received,
            sent: self.sent - earlier.sent,
        }
    }
}

/// What the loop knows at the end of a round.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoopNow {
    /// The time since the start, in microseconds.
    pub micros: u64,
    /// How long the round took, in microseconds: an event that came meanwhile has waited.
    pub late: u64,
    /// Connections that wait for a short turn, and for a bulk turn.
    pub queued: [usize; 2],
    /// Connections.
    pub connections: usize,
    /// The largest number of connections.
    pub limit: usize,
    /// Whether a connection would be accepted.
    pub accepting: bool,
}

/// A connection at the end of a round.
#[derive(Debug, Clone, Copy)]
pub struct ConnNow {
    /// The serial of its session id.
    pub serial: u32,
    /// The number of its service.
    pub service: u16,
    /// Bytes that it is owed.
    pub owed: u64,
}

/// The time since the frame before.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameSpan {
    /// When it began, in microseconds.
    pub begin: u64,
    /// The counters then.
    pub totals: LoopTotals,
    /// The longest turn, in microseconds.
    pub longest: u64,
    /// The longest round, in microseconds.
    pub lag: u64,
    /// The longest queues of a round: of short turns and of bulk turns.
    pub most: [usize; 2],
}

impl FrameSpan {
    /// A span that begins now.
    pub fn new(micros: u64, metrics: &LoopMetrics) -> FrameSpan {
        FrameSpan {
            begin: micros,
            totals: LoopTotals::of(metrics),
            ..FrameSpan::default()
        }
    }

    /// The frame at the end of the span, with at most `most` changed connections. Each tab adds
    /// the number of frames that it has lost and the last bracket.
    pub fn frame(
        &self,
        now: &LoopNow,
        metrics: &LoopMetrics,
        changed: &mut ChangedConns,
        most: usize,
    ) -> String {
        let total = LoopTotals::of(metrics).since(&self.totals);
        let [parked, requeue, await_disk, closed] = total.turns;
        let (at, span) = (now.micros / 1_000, (now.micros - self.begin) / 1_000);
        let ([short, bulk], [most_short, most_bulk]) = (now.queued, self.most);
        let mut text = format!(
            "{{\"at\":{at},\"span\":{span},\"rounds\":{},\"events\":{},\"turns\":{{\
             \"parked\":{parked},\"requeue\":{requeue},\"await_disk\":{await_disk},\
             \"closed\":{closed}}},\"in\":{},\"out\":{},\"short\":{short},\"bulk\":{bulk},\
             \"await_disk\":{},\"most\":[{most_short},{most_bulk}],\"longest\":{},\"lag\":{},\
             \"connections\":{},\"limit\":{},\"accepting\":{},\"conns\":[",
            total.rounds,
            total.events,
            total.received,
            total.sent,
            metrics.in_state(2),
            self.longest,
            self.lag,
            now.connections,
            now.limit,
            now.accepting,
        );
        let mut gone = String::new();
        for (slot, conn) in std::iter::from_fn(|| changed.pop()).take(most) {
            if conn.open {
                let ConnChange {
                    serial,
                    service,
                    owed,
                    turns,
                    bytes,
                    budget,
                    ..
                } = conn;
                let state = metrics.state(slot);
                let _ = write!(
                    text,
                    "[{slot},{serial},{service},{state},{owed},{turns},{bytes},{budget}],"
                );
            } else {
                let _ = write!(gone, "{slot},");
            }
        }
        end_list(&mut text);
        end_list(&mut gone);
        let _ = write!(text, ",\"cut\":{},\"gone\":[{gone}", changed.len());
        text
    }
}

/// A piece of the snapshot of all connections.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotPiece {
    /// Its first slot.
    pub first: u32,
    /// The number of slots of the table.
    pub slots: u32,
    /// Connections in the piece, at most.
    pub most_conns: usize,
    /// Slots in the piece, at most.
    pub most_slots: u32,
}

impl SnapshotPiece {
    /// The text with the connections that `find` returns, and the first slot of the next piece.
    pub fn write(
        &self,
        metrics: &LoopMetrics,
        find: &dyn Fn(u32) -> Option<ConnNow>,
    ) -> (String, Option<u32>) {
        let mut text = format!("{{\"first\":{},\"services\":[", self.first == 0);
        for service in &metrics.services {
            let _ = write!(text, "\"{}\",", service.name);
        }
        end_list(&mut text);
        text.push_str(",\"conns\":[");
        let (mut slot, mut left) = (self.first, self.most_conns);
        let end = self.slots.min(self.first.saturating_add(self.most_slots));
        while slot < end && left > 0 {
            if let Some(conn) = find(slot) {
                let ConnNow {
                    serial,
                    service,
                    owed,
                } = conn;
                let state = metrics.state(slot);
                let _ = write!(text, "[{slot},{serial},{service},{state},{owed}],");
                left -= 1;
            }
            slot += 1;
        }
        end_list(&mut text);
        let next = (slot < self.slots).then_some(slot);
        let _ = write!(text, ",\"more\":{}}}", next.is_some());
        (text, next)
    }
}

/// Ends a list whose elements each end in a comma.
fn end_list(text: &mut String) {
    if text.ends_with(',') {
        text.pop();
    }
    text.push(']');
}
