//! The connections that have changed since they were last shown, and what they have done.
//!
//! A connection is in the queue once, however many turns it has: so a frame costs what it shows,
//! and a connection that does not fit into one frame comes first in the next.

use super::observer::ConnLabel;
use std::collections::VecDeque;

/// The budget of a turn.
#[derive(Debug, Clone, Copy)]
pub struct TurnBudget {
    /// Bytes.
    pub bytes: usize,
    /// Calls of the protocol in a short turn.
    pub short_calls: usize,
    /// Calls of the protocol in a bulk turn.
    pub calls: usize,
}

impl TurnBudget {
    /// The part of it that a turn has used, in percent: of the bytes or of the calls, whichever is
    /// larger.
    pub fn used(&self, bulk: bool, bytes: usize, calls: usize) -> u8 {
        let most = match bulk {
            true => self.calls,
            false => self.short_calls,
        };
        let used = (100 * bytes / self.bytes).max(100 * calls / most);
        used.min(100) as u8
    }
}

/// What a connection has done since it was last shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnChange {
    /// The serial of its session id.
    pub serial: u32,
    /// Its turns.
    pub turns: u32,
    /// The number of its service.
    pub service: u16,
    /// The part of its budget that the last turn used, in percent.
    pub budget: u8,
    /// Whether it is open.
    pub open: bool,
    /// Whether it is in the queue.
    queued: bool,
    /// Bytes moved, in both directions.
    pub bytes: u64,
    /// Bytes that it was owed at the end of its last turn.
    pub owed: u64,
}

/// The changes by slot, and the slots in order of their first change.
#[derive(Debug, Default)]
pub struct ChangedConns {
    slots: Vec<ConnChange>,
    queue: VecDeque<u32>,
}

impl ChangedConns {
    /// A connection has been opened. The closed one that had this slot is no longer shown.
    pub fn opened(&mut self, conn: ConnLabel<'_>) {
        let change = self.changed(conn.slot);
        *change = ConnChange {
            serial: conn.serial,
            service: conn.number,
            open: true,
            queued: true,
            ..ConnChange::default()
        };
    }

    /// A connection has had a turn that moved this number of bytes.
    pub fn had_turn(&mut self, conn: ConnLabel<'_>, owed: u64, bytes: u64) {
        let change = self.changed(conn.slot);
        (change.serial, change.service, change.open) = (conn.serial, conn.number, true);
        change.turns += 1;
        change.bytes += bytes;
        change.owed = owed;
    }

    /// The last turn of a connection has used this part of its budget, in percent.
    pub fn used(&mut self, conn: ConnLabel<'_>, budget: u8) {
        self.changed(conn.slot).budget = budget;
    }

    /// A connection has been closed.
    pub fn closed(&mut self, conn: ConnLabel<'_>) {
        self.changed(conn.slot).open = false;
    }

    fn changed(&mut self, slot: u32) -> &mut ConnChange {
        let place = slot as usize;
        if self.slots.len() <= place {
            self.slots.resize(place + 1, ConnChange::default());
        }
        let change = &mut self.slots[place];
        if !std::mem::replace(&mut change.queued, true) {
            self.queue.push_back(slot);
        }
        change
    }

    /// Takes the slot that has waited longest, with what its connection has done.
    pub fn pop(&mut self) -> Option<(u32, ConnChange)> {
        let slot = self.queue.pop_front()?;
        let change = &mut self.slots[slot as usize];
        let taken = *change;
        (change.queued, change.turns, change.bytes) = (false, 0, 0);
        Some((slot, taken))
    }

    /// The number of slots that wait to be shown.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
