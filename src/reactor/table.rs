//! The table of connections: a slab whose slots are used again, with another serial.

use super::connection::Connection;
use crate::session::session_id::SessionId;
use slab::Slab;

/// All connections. A stale id finds no connection.
pub struct Table<S> {
    slots: Slab<Connection<S>>,
    /// The number of slots that were ever used.
    used: u32,
    serial: u32,
}

impl<S> Table<S> {
    /// An empty table, with memory for this number of connections.
    pub fn with_capacity(connections: usize) -> Table<S> {
        Table {
            slots: Slab::with_capacity(connections),
            used: 0,
            serial: 0,
        }
    }

    /// The id of the next connection.
    pub fn next_id(&self) -> SessionId {
        let slot = u32::try_from(self.slots.vacant_key()).expect("a slot fits a token");
        SessionId::new(slot, self.serial + 1)
    }

    /// Inserts a connection with the id that [`Table::next_id`] returned.
    pub fn insert(&mut self, id: SessionId, connection: Connection<S>) {
        assert_eq!(id, self.next_id(), "another connection was inserted");
        self.serial = id.serial();
        self.slots.insert(connection);
        self.used = self.used.max(id.slot() + 1);
    }

    /// The connection of an id, if it is still open.
    pub fn find(&mut self, id: SessionId) -> Option<&mut Connection<S>> {
        let found = self.slots.get_mut(id.slot() as usize);
        found.filter(|found| found.session.id() == id)
    }

    /// The connection that is in a slot now.
    pub fn at(&self, slot: u32) -> Option<&Connection<S>> {
        self.slots.get(slot as usize)
    }

    /// A number of slots that includes all connections.
    pub fn slots(&self) -> u32 {
        self.used
    }

    /// The id of the connection that is in a slot now.
    pub fn id_at(&self, slot: u32) -> Option<SessionId> {
        let found = self.slots.get(slot as usize)?;
        Some(found.session.id())
    }

    /// Removes a connection.
    pub fn remove(&mut self, id: SessionId) {
        assert_eq!(self.id_at(id.slot()), Some(id), "it is not there");
        self.slots.remove(id.slot() as usize);
    }

    /// The ids of all connections.
    pub fn ids(&self) -> Vec<SessionId> {
        let slots = self.slots.iter().map(|(slot, _)| slot as u32);
        slots.filter_map(|slot| self.id_at(slot)).collect()
    }

    /// The number of connections.
    pub fn count(&self) -> usize {
        self.slots.len()
    }
}
