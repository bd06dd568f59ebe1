//! Reads the values of `/-/metrics` that the parts of the loop know, once a second.

use super::datagram::Datagrams;
use super::dispatcher::Dispatcher;
use super::io::Io;
use super::log::LogSink;
use crate::session::loop_metrics::Sampled;
use std::collections::VecDeque;

/// Writes the current values into `to`.
pub fn sample<I: Io>(
    to: &Sampled,
    dispatcher: &mut Dispatcher<I>,
    room: Option<&Datagrams>,
    log: &LogSink,
) {
    let queue = &dispatcher.queue;
    let short: usize = queue.short.iter().map(VecDeque::len).sum();
    to.queued[0].set(short as u64);
    to.queued[1].set(queue.bulk.len() as u64);
    let (turns, micros, longest) = dispatcher.loop_lag().totals();
    to.turns.set(turns);
    to.turn_micros.set(micros);
    to.longest_turn.set(longest);
    let [members, unsent] = room.map_or([0; 2], Datagrams::lengths);
    to.room_members.set(members as u64);
    to.room_unsent.set(unsent as u64);
    to.log_lines_dropped.set(log.dropped());
}
