//! Keeps the connections: one slab, and keys that the next owner of a slot does not have.

use super::connection::Connection;
use super::token::Key;
use slab::Slab;

/// All connections. A stale key finds nobody.
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

    /// The key that the next connection will have.
    pub fn next_key(&self) -> Key {
        let slot = u32::try_from(self.slots.vacant_key()).expect("a slot fits a token");
        let serial = Key::next_serial(self.serial);
        Key { slot, serial }
    }

    /// Takes a connection with the key that was foretold.
    pub fn insert(&mut self, key: Key, connection: Connection<S>) {
        assert_eq!(key, self.next_key(), "the key was meant for another");
        self.serial = key.serial;
        self.slots.insert(connection);
    }

    /// The connection of a key, if it is still there.
    pub fn find(&mut self, key: Key) -> Option<&mut Connection<S>> {
        let found = self.slots.get_mut(key.slot as usize);
        found.filter(|found| found.serial == key.serial)
    }

    /// The key of whoever has a slot now.
    pub fn key_at(&self, slot: u32) -> Option<Key> {
        let found = self.slots.get(slot as usize)?;
        let serial = found.serial;
        Some(Key { slot, serial })
    }

    /// Takes a connection out.
    pub fn remove(&mut self, key: Key) {
        assert_eq!(self.key_at(key.slot), Some(key), "it is not there");
        self.slots.remove(key.slot as usize);
    }

    /// The keys of all.
    pub fn keys(&self) -> Vec<Key> {
        let slots = self.slots.iter().map(|(slot, _)| slot as u32);
        slots.filter_map(|slot| self.key_at(slot)).collect()
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
