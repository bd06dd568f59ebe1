//! Reads what the parts of the loop know: for `/-/metrics` once a second, and for the Loop view.

use super::acceptor::Acceptor;
use super::clock::Moment;
use super::datagram::Datagrams;
use super::dispatcher::Dispatcher;
use super::io::Io;
use super::log::LogSink;
use crate::session::loop_frame::{ConnNow, LoopNow};
use crate::session::loop_metrics::Sampled;
use crate::session::loop_view::LoopView;
use crate::session::notice::{Audience, Notice, Post};
use std::collections::VecDeque;

/// Writes the current values into `to`.
pub fn sample<I: Io>(
    to: &Sampled,
    dispatcher: &mut Dispatcher<I>,
    room: Option<&Datagrams>,
    log: &LogSink,
) {
    for (count, queued) in to.queued.iter().zip(queued(dispatcher)) {
        count.set(queued as u64);
    }
    let (turns, micros, longest) = dispatcher.loop_lag().totals();
    to.turns.set(turns);
    to.turn_micros.set(micros);
    to.longest_turn.set(longest);
    let [members, unsent] = room.map_or([0; 2], Datagrams::lengths);
    to.room_members.set(members as u64);
    to.room_unsent.set(unsent as u64);
    to.log_lines_dropped.set(log.dropped());
}

/// Connections that wait for a short turn, and for a bulk turn.
fn queued<I: Io>(dispatcher: &Dispatcher<I>) -> [usize; 2] {
    let queue = &dispatcher.queue;
    let short = queue.short.iter().map(VecDeque::len).sum();
    [short, queue.bulk.len()]
}

/// At the end of a round that began at `now`: passes to the Loop view what the loop knows, and
/// notifies the tabs that have something to send. Returns when it is to be called again.
pub fn show<I: Io>(
    view: &LoopView,
    dispatcher: &mut Dispatcher<I>,
    acceptor: &mut Acceptor<I>,
    now: Moment,
) -> Option<Moment> {
    if !view.is_watched() {
        return None;
    }
    let end = dispatcher.io.now();
    let connections = dispatcher.connections();
    let loop_now = LoopNow {
        micros: end.0,
        late: now.micros_until(end),
        queued: queued(dispatcher),
        connections,
        limit: acceptor.limit(),
        accepting: acceptor.is_open(connections, end),
    };
    let others = [dispatcher.operator(), dispatcher.link()];
    let table = &dispatcher.table;
    let find = |slot| {
        let is_other = others.iter().flatten().any(|id| id.slot() == slot);
        let found = table.at(slot).filter(|_| !is_other);
        found.map(|connection| ConnNow {
            serial: connection.session.id().serial(),
            service: connection.service,
            owed: connection.session.owed(),
        })
    };
    let (tabs, due) = view.end_round(&loop_now, table.slots(), &find);
    let notice = |tab| Post {
        to: Audience::One(tab),
        notice: Notice::Wake,
    };
    dispatcher.posts().extend(tabs.into_iter().map(notice));
    dispatcher.deliver();
    due.map(Moment)
}
