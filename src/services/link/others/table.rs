//! The table of other servers: when each sent something, and its entries.

use super::{News, OthersLimits, ParseEntry};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

/// Other servers by name.
pub struct Table<K, E> {
    servers: BTreeMap<Rc<str>, Other<K, E>>,
    /// The number of entries of all servers, with those of lists that are not complete.
    entries: usize,
    limits: OthersLimits,
    parse: ParseEntry<K, E>,
}

/// The servers and keys of the first and the last entry.
pub type Ends<'a, K> = ((&'a Rc<str>, &'a K), (&'a Rc<str>, &'a K));

/// Another server.
pub struct Other<K, E> {
    /// The number of its next numbered message; `None` before it has sent one.
    pub next: Option<u64>,
    /// When it sent something last.
    pub at: u64,
    entries: BTreeMap<K, E>,
    /// The number of the next part of a list that arrives, and what it has so far.
    listed: (u32, BTreeMap<K, E>),
}

impl<K: Ord + Clone, E: Clone> Table<K, E> {
    /// Without servers.
    pub fn new(limits: OthersLimits, parse: ParseEntry<K, E>) -> Table<K, E> {
        Table {
            servers: BTreeMap::new(),
            entries: 0,
            limits,
            parse,
        }
    }

    /// A server that is known.
    pub fn find(&mut self, server: &str) -> Option<&mut Other<K, E>> {
        self.servers.get_mut(server)
    }

    /// Adds a server, unless there are too many, or it cannot have this name.
    pub fn add(&mut self, server: &str, now: u64) -> Option<Rc<str>> {
        let is_full = self.servers.len() >= self.limits.servers;
        if is_full || !is_server_name(server, self.limits.name) {
            return None;
        }
        let other = Other {
            next: None,
            at: now,
            entries: BTreeMap::new(),
            listed: (1, BTreeMap::new()),
        };
        let name: Rc<str> = server.into();
        self.servers.insert(name.clone(), other);
        Some(name)
    }

    /// Removes a server. Its entries have left.
    pub fn remove(&mut self, server: &str, news: &mut Vec<News<K, E>>) {
        let Some((server, other)) = self.servers.remove_entry(server) else {
            return;
        };
        self.entries -= other.entries.len() + other.listed.1.len();
        news.extend(other.entries.into_iter().map(|(key, entry)| News::Left {
            server: server.clone(),
            key,
            entry,
        }));
        news.push(News::Gone(server));
    }

    /// Removes the servers that are silent. Returns when the next one may be.
    pub fn remove_silent(&mut self, now: u64, news: &mut Vec<News<K, E>>) -> Option<u64> {
        let servers = self.servers.iter();
        let gone = servers.filter(|(_, other)| other.at + self.limits.gone <= now);
        let gone: Vec<Rc<str>> = gone.map(|(server, _)| server.clone()).collect();
        for server in gone {
            self.remove(&server, news);
        }
        let last = self.servers.values().map(|other| other.at).min();
        last.map(|last| last + self.limits.gone)
    }

    /// A part of a server's list has arrived. The last one replaces the old list.
    pub fn on_part(
        &mut self,
        server: &str,
        (part, parts): (u32, u32),
        entries: &[u8],
        now: u64,
        quiet: bool,
        news: &mut Vec<News<K, E>>,
    ) {
        let other = self.servers.get_mut(server).expect("it was added");
        if part == 1 {
            let old = std::mem::replace(&mut other.listed, (1, BTreeMap::new()));
            self.entries -= old.1.len();
        }
        let Ok(entries) = serde_json::from_slice::<Vec<Value>>(entries) else {
            return;
        };
        let free = self.limits.all_entries.saturating_sub(self.entries);
        let (next, listed) = &mut other.listed;
        let most = self.limits.entries.saturating_sub(listed.len()).min(free);
        if part != *next || entries.len() > most {
            return;
        }
        *next += 1;
        let before = listed.len();
        let entries = entries.iter();
        listed.extend(entries.filter_map(|entry| (self.parse)(entry, now)));
        self.entries += listed.len() - before;
        if part == parts {
            self.replace(server, quiet, news);
        }
    }

    /// The entries of a complete list replace the old ones.
    fn replace(&mut self, server: &str, quiet: bool, news: &mut Vec<News<K, E>>) {
        let (name, _) = self.servers.get_key_value(server).expect("it was added");
        let name = name.clone();
        let other = self.servers.get_mut(server).expect("it was added");
        let mut old = std::mem::take(&mut other.entries);
        let new = std::mem::take(&mut other.listed.1);
        self.entries -= old.len();
        let mut entered = Vec::new();
        for (key, entry) in new {
            let known = old.remove(&key);
            if known.is_none() {
                entered.push(News::Entered {
                    server: name.clone(),
                    key: key.clone(),
                    entry: entry.clone(),
                    quiet,
                });
            }
            other.entries.insert(key, known.unwrap_or(entry));
        }
        news.extend(old.into_iter().map(|(key, entry)| News::Left {
            server: name.clone(),
            key,
            entry,
        }));
        news.extend(entered);
    }

    /// Adds an entry. Returns false if it is known, or there are too many.
    pub fn enter(&mut self, server: &str, key: K, entry: E) -> bool {
        let Some(other) = self.servers.get_mut(server) else {
            return false;
        };
        let is_known = other.entries.contains_key(&key);
        let is_full =
            other.entries.len() >= self.limits.entries || self.entries >= self.limits.all_entries;
        if is_known || is_full {
            return false;
        }
        other.entries.insert(key, entry);
        self.entries += 1;
        true
    }

    /// Removes an entry.
    pub fn leave(&mut self, server: &str, key: &K) -> Option<E> {
        let gone = self.servers.get_mut(server)?.entries.remove(key)?;
        self.entries -= 1;
        Some(gone)
    }

    /// The servers with this entry, and the entry of each.
    pub fn owners(&self, key: &K) -> impl Iterator<Item = (&str, &E)> {
        let servers = self.servers.iter();
        servers.filter_map(|(server, other)| Some((&**server, other.entries.get(key)?)))
    }

    /// Changes all entries with this key.
    pub fn for_each(&mut self, key: &K, mut change: impl FnMut(&str, &mut E)) {
        for (server, other) in &mut self.servers {
            if let Some(entry) = other.entries.get_mut(key) {
                change(server, entry);
            }
        }
    }

    /// The entry of a server.
    pub fn entry(&self, server: &str, key: &K) -> Option<&E> {
        self.servers.get(server)?.entries.get(key)
    }

    /// The same, to change it.
    pub fn entry_mut(&mut self, server: &str, key: &K) -> Option<&mut E> {
        self.servers.get_mut(server)?.entries.get_mut(key)
    }

    /// The first and the last entry, by server.
    pub fn ends(&self) -> Option<Ends<'_, K>> {
        let keys = self.servers.iter();
        let first = keys.clone().find_map(|(server, other)| {
            let (key, _) = other.entries.first_key_value()?;
            Some((server, key))
        });
        let last = keys.rev().find_map(|(server, other)| {
            let (key, _) = other.entries.last_key_value()?;
            Some((server, key))
        });
        first.zip(last)
    }

    /// The entries from this one of this server on.
    pub fn entries_from<'a>(
        &'a self,
        server: &'a str,
        key: K,
    ) -> impl Iterator<Item = (&'a Rc<str>, &'a K, &'a E)> {
        let servers = (Bound::Included(server), Bound::Unbounded);
        let servers = self.servers.range::<str, _>(servers);
        servers.flat_map(move |(name, other)| {
            let from = match **name == *server {
                true => Bound::Included(key.clone()),
                false => Bound::Unbounded,
            };
            let entries = other.entries.range((from, Bound::Unbounded));
            entries.map(move |(key, entry)| (name, key, entry))
        })
    }
}

/// Whether a server may have this name: it is shown, and a part of subjects.
fn is_server_name(name: &str, most: usize) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=most).contains(&name.len()) && name.bytes().all(is_part)
}
