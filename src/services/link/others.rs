//! The other servers on one link: which there are, what each of them has, such as the members of
//! its room, and which of its messages were missed.
//!
//! The headers of each message are `Loket-Server`, the name of the server; `Loket-Deed`; and
//! `Loket-Seq`, the number of the server's last numbered message, from which the others see what
//! they have missed. A service numbers the messages that it publishes. These have no number:
//!
//! | deed | content |
//! |---|---|
//! | `here`, every 10 s | none, or a part of the server's entries as JSON |
//! | `ask`, when the link is up | none: the others answer with their entries |
//! | `bye` | none: the server ends, and has no entries any more |
//!
//! Delivery is at most once. The order of one server's messages is kept.

mod table;

use super::exchange::{Arrived, Exchange, Topic};
use crate::session::notice::Post;
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;
use table::{Ends, Other, Table};

/// Limits of what is known of other servers. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct OthersLimits {
    /// The interval of `here`.
    pub beat: u64,
    /// Silence after which a server is gone.
    pub gone: u64,
    /// The shortest time between two lists, and between two notes of lost messages.
    pub interval: u64,
    /// Servers at the same time.
    pub servers: usize,
    /// Bytes of the name of a server.
    pub name: usize,
    /// Entries of one server.
    pub entries: usize,
    /// Entries of all servers.
    pub all_entries: usize,
    /// Bytes of entries in one message.
    pub list: usize,
}

/// The other servers, and their entries by key.
pub struct OtherServers<K, E> {
    exchange: Rc<RefCell<Exchange>>,
    /// The service.
    topic: Topic,
    /// Where the messages without a number go.
    subject: Rc<str>,
    limits: OthersLimits,
    /// The number of the last numbered message.
    sent: u64,
    table: Table<K, E>,
    /// No server is gone earlier than this.
    gone_from: Option<u64>,
    /// Messages that were missed, and no note says so yet.
    lost: u64,
    /// Before this moment, no note of lost messages.
    note_from: u64,
    /// Which time of being up it is.
    ups: u64,
    /// Since when the link is up.
    up_since: u64,
    /// When to send the next `here`.
    beat: Option<u64>,
    /// When to send the list of entries.
    list: Option<u64>,
    /// Before this moment, no list.
    list_from: u64,
    /// When to ask the others for their entries.
    ask: Option<u64>,
    /// Before this moment, no such request.
    ask_from: u64,
}

/// Reads an entry of a list, and gets the time.
pub type ParseEntry<K, E> = fn(&Value, u64) -> Option<(K, E)>;

/// What has changed by a list, or by the end of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News<K, E> {
    /// A server has sent its first message.
    Appeared(Rc<str>),
    /// A server has ended, or is silent. All its entries have left before.
    Gone(Rc<str>),
    /// A list has an entry that was not known.
    Entered {
        /// The server.
        server: Rc<str>,
        /// The key of the entry.
        key: K,
        /// The entry.
        entry: E,
        /// Whether the entry may have been there before the link came up.
        quiet: bool,
    },
    /// An entry is no more.
    Left {
        /// The server.
        server: Rc<str>,
        /// The key of the entry.
        key: K,
        /// The entry.
        entry: E,
    },
    /// This number of messages was lost.
    Lost(u64),
}

/// A message of another server for the service.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// The server.
    pub server: &'a str,
    /// What is done.
    pub deed: &'a str,
}

impl<K: Ord + Clone, E: Clone> OtherServers<K, E> {
    /// Without other servers.
    pub fn new(
        exchange: Rc<RefCell<Exchange>>,
        topic: Topic,
        subject: Rc<str>,
        limits: OthersLimits,
        parse: ParseEntry<K, E>,
    ) -> OtherServers<K, E> {
        OtherServers {
            exchange,
            topic,
            subject,
            table: Table::new(limits, parse),
            limits,
            sent: 0,
            gone_from: None,
            lost: 0,
            note_from: 0,
            ups: 0,
            up_since: 0,
            beat: None,
            list: None,
            list_from: 0,
            ask: None,
            ask_from: 0,
        }
    }

    /// Publishes a numbered message. What the link does not accept is missed by the others: they
    /// see that from the next number. Returns whether the link accepts it.
    pub fn publish(
        &mut self,
        subject: &str,
        deed: &str,
        more: &[(&str, &str)],
        payload: &[u8],
        posts: &mut Vec<Post>,
    ) -> bool {
        self.sent += 1;
        self.send_to(subject, deed, more, payload, posts)
    }

    /// Publishes that this server ends.
    pub fn say_bye(&mut self, posts: &mut Vec<Post>) {
        self.send("bye", &[], b"", posts);
    }

    fn send(&self, deed: &str, more: &[(&str, &str)], payload: &[u8], posts: &mut Vec<Post>) {
        self.send_to(&self.subject, deed, more, payload, posts);
    }

    fn send_to(
        &self,
        subject: &str,
        deed: &str,
        more: &[(&str, &str)],
        payload: &[u8],
        posts: &mut Vec<Post>,
    ) -> bool {
        let mut exchange = self.exchange.borrow_mut();
        let (server, seq) = (exchange.server().to_owned(), self.sent.to_string());
        let own = [
            ("Loket-Server", server.as_str()),
            ("Loket-Deed", deed),
            ("Loket-Seq", &seq),
        ];
        let headers = [&own[..], more].concat();
        exchange.publish(self.topic, subject, &headers, payload, posts)
    }

    /// The link may have come up or gone down.
    pub fn on_wake(&mut self, now: u64) {
        let Some(ups) = self.exchange.borrow().ups() else {
            (self.beat, self.list, self.ask) = (None, None, None);
            return;
        };
        if self.ups != ups {
            (self.ups, self.up_since) = (ups, now);
            self.beat = Some(now + self.limits.beat);
            (self.list_from, self.ask_from) = (now, now);
            self.plan_list(now);
            self.plan_ask(now);
        }
    }

    /// A message of a server has arrived. Returns it if it is for the service, and neither late nor
    /// a second copy.
    pub fn on_message<'a>(
        &mut self,
        message: &'a Arrived,
        now: u64,
        news: &mut Vec<News<K, E>>,
    ) -> Option<Heard<'a>> {
        let headers = message.headers();
        let (server, deed) = (headers.get("Loket-Server")?, headers.get("Loket-Deed"));
        let deed = deed.unwrap_or("said");
        if deed == "bye" {
            self.table.remove(server, news);
            return None;
        }
        let seq = headers.get("Loket-Seq");
        let seq = seq.and_then(|seq| seq.parse::<u64>().ok());
        let next = self.note(server, now, news)?.next;
        if deed != "here" && deed != "ask" {
            if let Some(seq) = seq {
                if next.is_some_and(|next| seq < next) {
                    // It has come twice, or over a connection that was lost since.
                    return None;
                }
                self.missed_before(server, seq, now);
            }
            return Some(Heard { server, deed });
        }
        if let Some(seq) = seq.filter(|seq| next.is_none_or(|next| *seq >= next)) {
            self.missed_before(server, seq.saturating_add(1), now);
            let other = self.table.find(server).expect("it was added");
            other.next = Some(seq.saturating_add(1));
        }
        let part = headers.get("Loket-Part");
        if let Some((part, parts)) = part.and_then(|part| part.split_once('/')) {
            if let (Ok(part), Ok(parts)) = (part.parse(), parts.parse()) {
                // What was there before this server came is no news. What comes back with the link
                // is: it may have left when the link was down.
                let is_new = now < self.up_since.saturating_add(self.limits.gone);
                let quiet = is_new && self.ups == 1;
                let entries = &message.payload;
                self.table
                    .on_part(server, (part, parts), entries, now, quiet, news);
            }
        } else if deed == "ask" {
            self.plan_list(now);
        }
        None
    }

    /// Notes that a server has sent something; `None` if there are too many servers.
    fn note(
        &mut self,
        server: &str,
        now: u64,
        news: &mut Vec<News<K, E>>,
    ) -> Option<&mut Other<K, E>> {
        if self.table.find(server).is_none() {
            if self.exchange.borrow().server() == server {
                return None;
            }
            news.push(News::Appeared(self.table.add(server, now)?));
            self.gone_from.get_or_insert(now + self.limits.gone);
        }
        let other = self.table.find(server)?;
        other.at = now;
        Some(other)
    }

    /// Numbered messages of a server up to this one, which is next, have not arrived.
    fn missed_before(&mut self, server: &str, seq: u64, now: u64) {
        let other = self.table.find(server).expect("it was added");
        let next = other.next.replace(seq.saturating_add(1));
        let missed = next.map_or(0, |next| seq.saturating_sub(next));
        self.add_lost(missed);
        if missed > 0 || next.is_none() {
            // Its entries may be others than those that are known.
            self.plan_ask(now);
        }
    }

    /// Adds messages to the next note.
    pub fn add_lost(&mut self, missed: u64) {
        self.lost = self.lost.saturating_add(missed);
    }

    fn plan_list(&mut self, now: u64) {
        self.list.get_or_insert(self.list_from.max(now));
    }

    fn plan_ask(&mut self, now: u64) {
        if self.beat.is_some() {
            self.ask.get_or_insert(self.ask_from.max(now));
        }
    }

    /// Adds an entry. Returns false if it is known, or there are too many.
    pub fn enter(&mut self, server: &str, key: K, entry: E) -> bool {
        self.table.enter(server, key, entry)
    }

    /// Removes an entry.
    pub fn leave(&mut self, server: &str, key: &K) -> Option<E> {
        self.table.leave(server, key)
    }

    /// The entry of a server.
    pub fn find(&self, server: &str, key: &K) -> Option<&E> {
        self.table.entry(server, key)
    }

    /// The same, to change it.
    pub fn entry(&mut self, server: &str, key: &K) -> Option<&mut E> {
        self.table.entry_mut(server, key)
    }

    /// The first and the last entry, by server.
    pub fn ends(&self) -> Option<Ends<'_, K>> {
        self.table.ends()
    }

    /// The entries from this one of this server on.
    pub fn entries_from<'a>(
        &'a self,
        server: &'a str,
        key: K,
    ) -> impl Iterator<Item = (&'a Rc<str>, &'a K, &'a E)> {
        self.table.entries_from(server, key)
    }

    /// A server is known to be gone.
    pub fn remove(&mut self, server: &str, news: &mut Vec<News<K, E>>) {
        self.table.remove(server, news);
    }

    /// The servers with this entry, and the entry of each.
    pub fn owners(&self, key: &K) -> impl Iterator<Item = (&str, &E)> {
        self.table.owners(key)
    }

    /// Whether a server other than this one has this entry.
    pub fn is_beside(&self, server: &str, key: &K) -> bool {
        self.owners(key).any(|(owner, _)| owner != server)
    }

    /// Changes all entries with this key.
    pub fn for_each(&mut self, key: &K, change: impl FnMut(&str, &mut E)) {
        self.table.for_each(key, change);
    }

    /// When to call [`OtherServers::on_time`].
    pub fn next_due(&self) -> Option<u64> {
        let note = (self.lost > 0).then_some(self.note_from);
        [self.beat, self.list, self.ask, self.gone_from, note]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due. `entries` are those of this server.
    pub fn on_time(
        &mut self,
        now: u64,
        entries: impl Iterator<Item = Value>,
        news: &mut Vec<News<K, E>>,
        posts: &mut Vec<Post>,
    ) {
        let is_due = |due: Option<u64>| due.is_some_and(|due| due <= now);
        let interval = self.limits.interval;
        if is_due(self.beat) {
            self.send("here", &[], b"", posts);
            self.beat = Some(now + self.limits.beat);
        }
        if is_due(self.ask) {
            self.send("ask", &[], b"", posts);
            (self.ask, self.ask_from) = (None, now + interval);
        }
        if is_due(self.list) {
            self.send_list(entries, posts);
            (self.list, self.list_from) = (None, now + interval);
        }
        if is_due(self.gone_from) {
            self.gone_from = self.table.remove_silent(now, news);
        }
        if self.lost > 0 && self.note_from <= now {
            news.push(News::Lost(std::mem::take(&mut self.lost)));
            self.note_from = now + interval;
        }
    }

    fn send_list(&self, entries: impl Iterator<Item = Value>, posts: &mut Vec<Post>) {
        let mut parts = vec![String::new()];
        for entry in entries.take(self.limits.entries) {
            let entry = entry.to_string();
            let part = parts.last_mut().expect("one part");
            if part.is_empty() {
                *part = entry;
            } else if part.len() + entry.len() < self.limits.list {
                part.push(',');
                part.push_str(&entry);
            } else {
                parts.push(entry);
            }
        }
        for (at, part) in parts.iter().enumerate() {
            let number = format!("{}/{}", at + 1, parts.len());
            let list = format!("[{part}]");
            self.send("here", &[("Loket-Part", &number)], list.as_bytes(), posts);
        }
    }
}
