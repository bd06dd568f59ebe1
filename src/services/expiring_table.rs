//! A bounded table whose entries expire. Times are in microseconds.

use std::collections::HashMap;
use std::hash::Hash;

/// A bounded table whose entries expire.
pub struct ExpiringTable<K, V> {
    /// Each entry with its time of creation.
    pub entries: HashMap<K, (u64, V)>,
    capacity: usize,
    lifetime: u64,
    /// Shortest time between two sweeps, because a sweep visits every entry.
    sweep_interval: u64,
    last_sweep: Option<u64>,
}

impl<K: Copy + Eq + Hash, V: Default> ExpiringTable<K, V> {
    /// An empty table.
    pub fn new(capacity: usize, lifetime: u64, sweep_interval: u64) -> ExpiringTable<K, V> {
        ExpiringTable {
            entries: HashMap::new(),
            capacity,
            lifetime,
            sweep_interval,
            last_sweep: None,
        }
    }

    /// The entry of a key, unless it has expired.
    pub fn get(&mut self, key: K, now: u64) -> Option<&mut V> {
        let lifetime = self.lifetime;
        let entry = self.entries.get_mut(&key);
        entry
            .filter(|(created, _)| *created + lifetime > now)
            .map(|(_, value)| value)
    }

    /// The entry of a key, or a new one. `None` if the table is full.
    pub fn entry(&mut self, key: K, now: u64) -> Option<&mut V> {
        if self.get(key, now).is_none() {
            self.entries.remove(&key);
            if self.is_full() && (!self.sweep(now) || self.is_full()) {
                return None;
            }
        }
        let new = || (now, V::default());
        Some(&mut self.entries.entry(key).or_insert_with(new).1)
    }

    /// Restarts the lifetime of an entry.
    pub fn renew(&mut self, key: K, now: u64) {
        if let Some((created, _)) = self.entries.get_mut(&key) {
            *created = now;
        }
    }

    /// Whether the table has no free entry. Expired entries count until the next sweep.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= self.capacity
    }

    /// Removes expired entries. Returns false if the last sweep was too short a time ago.
    pub fn sweep(&mut self, now: u64) -> bool {
        let interval = self.sweep_interval;
        if self.last_sweep.is_some_and(|last| now < last + interval) {
            return false;
        }
        self.last_sweep = Some(now);
        let lifetime = self.lifetime;
        self.entries
            .retain(|_, (created, _)| *created + lifetime > now);
        true
    }
}
