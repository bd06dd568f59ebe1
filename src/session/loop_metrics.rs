//! Counters of a loop, which `/-/metrics` of the HTTP service shows. An observer adds to them.

use super::close_reason::CloseReason;
use super::observer::{ConnLabel, IoDirection, Observer, TurnEnd};
use crate::wire::follows::Timer;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

/// A counter, or a value that goes up and down.
#[derive(Debug, Default)]
pub struct Count(Cell<u64>);

impl Count {
    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.set(self.0.get().wrapping_add(more));
    }

    fn sub(&self, less: u64) {
        self.0.set(self.0.get() - less);
    }

    /// Replaces it.
    pub fn set(&self, value: u64) {
        self.0.set(value);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// The counters of one loop, since its start. The observer and the HTTP service share them.
#[derive(Debug, Default)]
pub struct LoopMetrics {
    /// By service number.
    pub services: Vec<ServiceMetrics>,
    /// Rounds.
    pub rounds: Count,
    /// Events that the kernel has reported.
    pub events: Count,
    /// Turns by how they ended, in the order of [`TURN_ENDS`].
    pub turns: [Count; TURN_ENDS.len()],
    /// Closed connections by reason, in the order of [`CloseReason::ALL`].
    pub closed: [Count; CloseReason::ALL.len()],
    /// Bytes received into memory, and into files.
    pub received: [Count; 2],
    /// Bytes sent from memory, and from files.
    pub sent: [Count; 2],
    /// Waits of connections for the disk.
    pub disk_waits: Count,
    /// Values that the loop reads once a second.
    pub sampled: Sampled,
    /// The state of each connection, by slot.
    states: RefCell<Vec<u8>>,
}

/// The counters of a service.
#[derive(Debug, Default)]
pub struct ServiceMetrics {
    /// Its name.
    pub name: &'static str,
    /// Connections that were accepted.
    pub accepted: Count,
    /// Connections by state, in the order of [`STATES`].
    pub states: [Count; STATES.len()],
}

/// Values that the loop reads once a second, in rounds that run anyway.
#[derive(Debug, Default)]
pub struct Sampled {
    /// Connections that wait for a short turn, and for a bulk turn.
    pub queued: [Count; 2],
    /// Turns of connections and of the room.
    pub turns: Count,
    /// The time of these turns in microseconds.
    pub turn_micros: Count,
    /// The longest of them in microseconds.
    pub longest_turn: Count,
    /// Members of the room.
    pub room_members: Count,
    /// Copies of messages that wait for the socket of the room.
    pub room_unsent: Count,
    /// Whether the link to other servers is up.
    pub link_up: Count,
    /// Messages that the link has sent, received and dropped.
    pub link_messages: [Count; 3],
    /// Log lines that were dropped because standard error was not read.
    pub log_lines_dropped: Count,
}

/// How a turn may end: the labels of [`LoopMetrics::turns`].
pub const TURN_ENDS: [&str; 4] = ["parked", "requeue", "await_disk", "closed"];

/// The states of a connection, which follow from how its last turn ended.
pub const STATES: [&str; 4] = ["parked", "requeue", "await_disk", "lingering"];

impl LoopMetrics {
    /// Counters of a loop with these services, in the order of their listeners.
    pub fn new(services: impl IntoIterator<Item = &'static str>) -> LoopMetrics {
        let service = |name| ServiceMetrics {
            name,
            ..ServiceMetrics::default()
        };
        LoopMetrics {
            services: services.into_iter().map(service).collect(),
            ..LoopMetrics::default()
        }
    }

    /// The state of the connection in this slot, as a number in [`STATES`].
    pub fn state(&self, slot: u32) -> u8 {
        self.states.borrow().get(slot as usize).map_or(0, |it| *it)
    }

    /// Connections in the state of this number in [`STATES`].
    pub fn in_state(&self, state: u8) -> u64 {
        let services = self.services.iter();
        services.map(|it| it.states[usize::from(state)].get()).sum()
    }
}

/// The observer that counts.
pub struct Counting {
    metrics: Rc<LoopMetrics>,
}

impl Counting {
    /// Counts into `metrics`.
    pub fn new(metrics: Rc<LoopMetrics>) -> Counting {
        Counting { metrics }
    }

    /// Changes the state of a connection to a number in [`STATES`]. The console is no connection,
    /// and its service has no counters.
    fn set_state(&self, conn: ConnLabel<'_>, state: u8) {
        if let Some(service) = self.metrics.services.get(usize::from(conn.number)) {
            let old = std::mem::replace(
                &mut self.metrics.states.borrow_mut()[conn.slot as usize],
                state,
            );
            if old != state {
                service.states[usize::from(old)].sub(1);
                service.states[usize::from(state)].add(1);
            }
        }
    }
}

impl Observer for Counting {
    fn round(&mut self, events: usize) {
        self.metrics.rounds.add(1);
        self.metrics.events.add(events as u64);
    }

    fn opened(&mut self, conn: ConnLabel<'_>, _: SocketAddr) {
        let slot = conn.slot as usize;
        let mut states = self.metrics.states.borrow_mut();
        if states.len() <= slot {
            states.resize(slot + 1, 0);
        }
        states[slot] = 0;
        let service = &self.metrics.services[usize::from(conn.number)];
        service.accepted.add(1);
        service.states[0].add(1);
    }

    fn wait_over(&mut self, _: ConnLabel<'_>, _: bool) {
        self.metrics.disk_waits.add(1);
    }

    fn moved(&mut self, direction: IoDirection, bytes: usize, body: bool) {
        let counts = match direction {
            IoDirection::In => &self.metrics.received,
            IoDirection::Out => &self.metrics.sent,
        };
        counts[usize::from(body)].add(bytes as u64);
    }

    fn turn_ended(&mut self, conn: ConnLabel<'_>, end: TurnEnd, _: u64, _: Option<Timer>) {
        let (end, state) = match end {
            TurnEnd::Parked => (0, Some(0)),
            TurnEnd::Requeue => (1, Some(1)),
            TurnEnd::Replace => (1, Some(0)),
            TurnEnd::AwaitDisk => (2, Some(2)),
            TurnEnd::Closed(_) => (3, None),
        };
        self.metrics.turns[end].add(1);
        self.metrics.disk_waits.add(u64::from(state == Some(2)));
        let is_lingering = self.metrics.state(conn.slot) == 3;
        if let Some(state) = state.filter(|_| !is_lingering) {
            self.set_state(conn, state);
        }
    }

    fn lingering(&mut self, conn: ConnLabel<'_>, _: CloseReason) {
        self.set_state(conn, 3);
    }

    fn closed(&mut self, conn: ConnLabel<'_>, reason: CloseReason) {
        if let Some(service) = self.metrics.services.get(usize::from(conn.number)) {
            let state = self.metrics.state(conn.slot);
            service.states[usize::from(state)].sub(1);
            self.metrics.closed[reason as usize].add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::observer::label;
    use crate::session::session_id::SessionId;

    const SERVICES: [&str; 3] = ["echo", "files", "console"];

    fn states(metrics: &LoopMetrics) -> [[u64; 4]; 2] {
        [0, 1].map(|service| {
            let states = &metrics.services[service].states;
            std::array::from_fn(|state| states[state].get())
        })
    }

    #[test]
    fn a_connection_is_counted_in_one_state_until_it_is_closed() {
        let metrics = Rc::new(LoopMetrics::new(["echo", "files"]));
        let mut counting = Counting::new(metrics.clone());
        let peer = ([127, 0, 0, 1], 1).into();
        let conn = |slot, number| label(&SERVICES, number, SessionId::new(slot, slot));
        counting.turn_ended(conn(0, 2), TurnEnd::Parked, 0, None);
        counting.opened(conn(1, 0), peer);
        counting.opened(conn(7, 1), peer);
        assert_eq!(states(&metrics), [[1, 0, 0, 0], [1, 0, 0, 0]]);
        counting.turn_ended(conn(1, 0), TurnEnd::Requeue, 0, None);
        counting.turn_ended(conn(7, 1), TurnEnd::AwaitDisk, 0, None);
        assert_eq!(states(&metrics), [[0, 1, 0, 0], [0, 0, 1, 0]]);
        counting.turn_ended(conn(1, 0), TurnEnd::Parked, 0, None);
        counting.lingering(conn(7, 1), CloseReason::Refused);
        counting.turn_ended(conn(7, 1), TurnEnd::Parked, 0, None);
        assert_eq!(states(&metrics), [[1, 0, 0, 0], [0, 0, 0, 1]]);
        counting.closed(conn(7, 1), CloseReason::Refused);
        counting.closed(conn(1, 0), CloseReason::Idle);
        counting.closed(conn(0, 2), CloseReason::PeerFinished);
        assert_eq!(states(&metrics), [[0; 4]; 2]);
        let closed = |reason: CloseReason| metrics.closed[reason as usize].get();
        assert_eq!(closed(CloseReason::Refused) + closed(CloseReason::Idle), 2);
        assert_eq!(
            closed(CloseReason::PeerFinished),
            0,
            "the console is no connection"
        );
        let turns: Vec<_> = metrics.turns.iter().map(Count::get).collect();
        assert_eq!(turns, [3, 1, 1, 0]);
        // The slot is used again.
        counting.opened(conn(7, 1), peer);
        assert_eq!(states(&metrics)[1], [1, 0, 0, 0]);
    }
}
