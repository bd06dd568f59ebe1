//! Keeps the connections: one slab, and keys that the next owner of a slot does not have.

use super::connection::Connection;
use crate::session::session_id::SessionId;
use slab::Slab;

/// All connections. A stale id finds nobody.
pub struct Table<S> {
    slots: Slab<Connection<S>>,
    serial: u32,
}

impl<S> Table<S> {
    /// An empty table.
    pub fn new() -> Table<S> {
        Table {
            slots: Slab::new(),
            serial: 0,
        }
    }

    /// The id that the next connection will have.
    pub fn next_id(&self) -> SessionId {
        let slot = u32::try_from(self.slots.vacant_key()).expect("a slot fits a token");
        SessionId::new(slot, self.serial + 1)
    }

    /// Takes a connection with the id that was foretold.
    pub fn insert(&mut self, id: SessionId, connection: Connection<S>) {
        assert_eq!(id, self.next_id(), "the id was meant for another");
        self.serial = id.serial();
        self.slots.insert(connection);
    }

    /// The connection of a id, if it is still there.
    pub fn find(&mut self, id: SessionId) -> Option<&mut Connection<S>> {
        let found = self.slots.get_mut(id.slot() as usize);
        found.filter(|found| found.serial == id.serial())
    }

    /// The id of whoever has a slot now.
    pub fn id_at(&self, slot: u32) -> Option<SessionId> {
        let found = self.slots.get(slot as usize)?;
        let serial = found.serial;
        Some(SessionId::new(slot, serial))
    }

    /// Takes a connection out.
    pub fn remove(&mut self, id: SessionId) {
        assert_eq!(self.id_at(id.slot()), Some(id), "it is not there");
        self.slots.remove(id.slot() as usize);
    }

    /// The keys of all.
    pub fn ids(&self) -> Vec<SessionId> {
        let slots = self.slots.iter().map(|(slot, _)| slot as u32);
        slots.filter_map(|slot| self.id_at(slot)).collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.slots.len()
    }
}

impl<S> Default for Table<S> {
    fn default() -> Table<S> {
        Table::new()
    }
}
