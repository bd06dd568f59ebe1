//! The members of the room on other servers: what they say and do, and what the other servers get.
//!
//! Each server publishes to one subject. The headers of a message are `Loket-Server`, the name of
//! the server; `Loket-Deed`; `Loket-Name`, the member; and `Loket-Seq`, the number of the server's
//! last numbered message, from which the others see what they have missed.
//!
//! | deed | numbered | content |
//! |---|---|---|
//! | `said`, `entered`, `left` | yes | the line that members of the server are shown |
//! | `here`, every 10 s | no | none, or a part of the server's members as JSON |
//! | `ask`, when the link is up | no | none: the others answer with their members |
//! | `bye` | no | none: the server ends, and so do its memberships |
//!
//! A program without `Loket-Server` and `Loket-Seq` may send `said` lines, too. Delivery is at most
//! once. The order of one server's messages is kept.

use crate::services::link::exchange::{Arrived, Exchange};
use crate::session::notice::{Deed, Post};
use crate::wire::text;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Limits of what is known of other servers. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct ElsewhereLimits {
    /// The interval of `here`.
    pub beat: u64,
    /// Silence after which a server is gone.
    pub gone: u64,
    /// The shortest time between two lists of members, and between two notes of lost messages.
    pub interval: u64,
    /// Servers at the same time.
    pub servers: usize,
    /// Members of one server.
    pub members: usize,
    /// Bytes of names in one message.
    pub list: usize,
}

/// The members of other servers, by server.
pub struct Elsewhere {
    exchange: Rc<RefCell<Exchange>>,
    subject: Rc<str>,
    limits: ElsewhereLimits,
    /// The number of the last numbered message.
    sent: u64,
    others: HashMap<Box<str>, Other>,
    /// No server is gone earlier than this.
    gone_from: Option<u64>,
    /// Messages that were missed and that the members do not know of.
    lost: u64,
    /// Before this moment, no note of lost messages.
    note_from: u64,
    /// Which time of being up it is.
    ups: u64,
    /// Since when the link is up.
    up_since: u64,
    /// When to send the next `here`.
    beat: Option<u64>,
    /// When to send the list of members.
    list: Option<u64>,
    /// Before this moment, no list.
    list_from: u64,
    /// When to ask the others for their members.
    ask: Option<u64>,
    /// Before this moment, no such request.
    ask_from: u64,
}

/// Another server.
struct Other {
    /// The number of its next numbered message; `None` before it has sent one.
    next: Option<u64>,
    /// When it sent something last.
    heard: u64,
    /// Its members by the keys of their names.
    members: Members,
    /// The number of the next part of a list that arrives, and what it has so far.
    listed: (u32, Members),
}

type Members = BTreeMap<String, Rc<str>>;

/// What the members here are to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A member elsewhere has done something.
    Member {
        /// Its name.
        name: Rc<str>,
        /// What it has done.
        deed: Deed,
        /// What it has said.
        text: String,
        /// Whether only the list of names changes: the members know it already, or did not ask.
        quiet: bool,
    },
    /// This number of messages was lost.
    Lost(u64),
}

impl Elsewhere {
    /// Without other servers.
    pub fn new(
        exchange: Rc<RefCell<Exchange>>,
        subject: Rc<str>,
        limits: ElsewhereLimits,
    ) -> Elsewhere {
        Elsewhere {
            exchange,
            subject,
            limits,
            sent: 0,
            others: HashMap::new(),
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

    /// Publishes what a member of this server has done. What the link does not accept is missed by
    /// the others: they see that from the next number.
    pub fn publish(&mut self, name: &str, deed: Deed, line: &str, posts: &mut Vec<Post>) {
        self.sent += 1;
        let deed = match deed {
            Deed::Entered => "entered",
            Deed::Left => "left",
            Deed::Said => "said",
        };
        self.send(deed, &[("Loket-Name", name)], line.as_bytes(), posts);
    }

    /// Publishes that this server ends.
    pub fn say_bye(&mut self, posts: &mut Vec<Post>) {
        self.send("bye", &[], b"", posts);
    }

    fn send(&self, deed: &str, more: &[(&str, &str)], payload: &[u8], posts: &mut Vec<Post>) {
        let mut exchange = self.exchange.borrow_mut();
        let (server, seq) = (exchange.server().to_owned(), self.sent.to_string());
        let own = [
            ("Loket-Server", server.as_str()),
            ("Loket-Deed", deed),
            ("Loket-Seq", &seq),
        ];
        let headers = [&own[..], more].concat();
        exchange.publish(&self.subject, &headers, payload, posts);
    }

    /// The link has come up or gone down, or messages have arrived. Returns the answers of the
    /// broker.
    pub fn on_wake(&mut self, now: u64, shown: &mut Vec<Shown>) -> Vec<Arrived> {
        let (arrived, is_up, ups) = {
            let mut exchange = self.exchange.borrow_mut();
            (exchange.take_arrived(), exchange.is_up(), exchange.ups())
        };
        if !is_up {
            (self.beat, self.list, self.ask) = (None, None, None);
        } else if self.ups != ups {
            (self.ups, self.up_since) = (ups, now);
            self.beat = Some(now + self.limits.beat);
            (self.list_from, self.ask_from) = (now, now);
            self.plan_list(now);
            self.plan_ask(now);
        }
        let (answers, messages): (Vec<_>, Vec<_>) =
            arrived.into_iter().partition(|it| it.answers.is_some());
        for message in messages {
            self.on_message(&message, now, shown);
        }
        answers
    }

    fn on_message(&mut self, message: &Arrived, now: u64, shown: &mut Vec<Shown>) {
        let headers = message.headers();
        let (deed, name) = (headers.get("Loket-Deed"), headers.get("Loket-Name"));
        let deed = match deed.unwrap_or("said") {
            "said" => Deed::Said,
            "entered" => Deed::Entered,
            "left" => Deed::Left,
            other => return self.on_other_deed(other, message, now, shown),
        };
        let Some(name) = name else { return };
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        let name: Rc<str> = name.into();
        let said = Shown::Member {
            name: name.clone(),
            deed,
            text,
            quiet: false,
        };
        let Some(server) = headers.get("Loket-Server") else {
            // A foreign program: it has no members.
            return shown.extend((deed == Deed::Said).then_some(said));
        };
        let seq = headers.get("Loket-Seq").and_then(|seq| seq.parse().ok());
        let most = self.limits.members;
        let Some(other) = self.hear(server, now) else {
            return;
        };
        if let Some(seq) = seq {
            if other.next.is_some_and(|next| seq < next) {
                // It has come twice, or over a connection that was lost since.
                return;
            }
            self.missed_before(server, seq, now);
        }
        let other = self.others.get_mut(server).expect("it was heard");
        let key = text::name_key(&name);
        match deed {
            Deed::Said => {}
            Deed::Entered if other.members.len() >= most => return,
            Deed::Entered if other.members.insert(key.clone(), name).is_some() => return,
            Deed::Left if other.members.remove(&key).is_none() => return,
            // It has joined on another server, whose message was faster.
            Deed::Left if self.others.values().any(|it| it.members.contains_key(&key)) => return,
            Deed::Entered | Deed::Left => {}
        }
        shown.push(said);
    }

    fn on_other_deed(&mut self, deed: &str, message: &Arrived, now: u64, shown: &mut Vec<Shown>) {
        let headers = message.headers();
        let Some(server) = headers.get("Loket-Server") else {
            return;
        };
        match deed {
            "here" | "ask" => {
                let seq = headers
                    .get("Loket-Seq")
                    .and_then(|seq| seq.parse::<u64>().ok());
                let Some(other) = self.hear(server, now) else {
                    return;
                };
                if let Some(seq) = seq.filter(|seq| other.next.is_none_or(|next| *seq >= next)) {
                    self.missed_before(server, seq.saturating_add(1), now);
                    let other = self.others.get_mut(server).expect("it was heard");
                    other.next = Some(seq.saturating_add(1));
                }
                match headers
                    .get("Loket-Part")
                    .and_then(|part| part.split_once('/'))
                {
                    Some((part, parts)) => {
                        let numbers = (part.parse().ok(), parts.parse().ok());
                        self.on_part(server, numbers, &message.payload, now, shown);
                    }
                    None if deed == "ask" => self.plan_list(now),
                    None => {}
                }
            }
            "bye" => self.remove(server, shown),
            // Of a later version.
            _ => {}
        }
    }

    /// Notes that a server has sent something; `None` if there are too many servers.
    fn hear(&mut self, server: &str, now: u64) -> Option<&mut Other> {
        let is_full = self.others.len() >= self.limits.servers;
        if !self.others.contains_key(server) {
            if is_full || self.exchange.borrow().server() == server {
                return None;
            }
            let other = Other {
                next: None,
                heard: now,
                members: Members::new(),
                listed: (1, Members::new()),
            };
            self.others.insert(server.into(), other);
            self.gone_from.get_or_insert(now + self.limits.gone);
        }
        let other = self.others.get_mut(server)?;
        other.heard = now;
        Some(other)
    }

    /// Numbered messages of a server up to this one, which is next, have not arrived.
    fn missed_before(&mut self, server: &str, seq: u64, now: u64) {
        let other = self.others.get_mut(server).expect("it was heard");
        let next = other.next.replace(seq.saturating_add(1));
        let missed = next.map_or(0, |next| seq.saturating_sub(next));
        self.add_lost(missed);
        if missed > 0 || next.is_none() {
            // Its members may be others than those that are known.
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

    /// A part of a server's list of members has arrived. The last one replaces the old list.
    fn on_part(
        &mut self,
        server: &str,
        numbers: (Option<u32>, Option<u32>),
        names: &[u8],
        now: u64,
        shown: &mut Vec<Shown>,
    ) {
        let other = self.others.get_mut(server).expect("it was heard");
        let (Some(part), Some(parts)) = numbers else {
            return;
        };
        if part == 1 {
            other.listed = (1, Members::new());
        }
        let Ok(names) = serde_json::from_slice::<Vec<String>>(names) else {
            return;
        };
        if part != other.listed.0 || other.listed.1.len() + names.len() > self.limits.members {
            return;
        }
        other.listed.0 += 1;
        let keyed = names
            .into_iter()
            .map(|name| (text::name_key(&name), name.into()));
        other.listed.1.extend(keyed);
        if part != parts {
            return;
        }
        let members = std::mem::take(&mut other.listed.1);
        let old = std::mem::replace(&mut other.members, members.clone());
        // The members of a server that was there before the link came up are no news.
        let quiet = now < self.up_since.saturating_add(self.limits.gone);
        let differ = |these: &Members, those: &Members| -> Vec<Rc<str>> {
            let new = these.iter().filter(|(key, _)| !those.contains_key(*key));
            new.map(|(_, name)| name.clone()).collect()
        };
        for name in differ(&old, &members) {
            shown.push(Shown::member(name, Deed::Left, false));
        }
        for name in differ(&members, &old) {
            shown.push(Shown::member(name, Deed::Entered, quiet));
        }
    }

    fn remove(&mut self, server: &str, shown: &mut Vec<Shown>) {
        let gone = self.others.remove(server);
        let members = gone
            .into_iter()
            .flat_map(|other| other.members.into_values());
        shown.extend(members.map(|name| Shown::member(name, Deed::Left, false)));
    }

    /// When to call [`Elsewhere::on_time`].
    pub fn next_due(&self) -> Option<u64> {
        let note = (self.lost > 0).then_some(self.note_from);
        [self.beat, self.list, self.ask, self.gone_from, note]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due. `names` are the members of this server.
    pub fn on_time<'a>(
        &mut self,
        now: u64,
        names: impl Iterator<Item = &'a str>,
        shown: &mut Vec<Shown>,
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
            self.send_list(names, posts);
            (self.list, self.list_from) = (None, now + interval);
        }
        if is_due(self.gone_from) {
            self.remove_silent(now, shown);
        }
        if self.lost > 0 && self.note_from <= now {
            shown.push(Shown::Lost(std::mem::take(&mut self.lost)));
            self.note_from = now + interval;
        }
    }

    fn remove_silent(&mut self, now: u64, shown: &mut Vec<Shown>) {
        let is_gone = |other: &Other| other.heard + self.limits.gone <= now;
        let gone = self.others.iter().filter(|(_, other)| is_gone(other));
        let mut gone: Vec<Box<str>> = gone.map(|(server, _)| server.clone()).collect();
        gone.sort_unstable();
        for server in gone {
            self.remove(&server, shown);
        }
        let heard = self.others.values().map(|other| other.heard).min();
        self.gone_from = heard.map(|heard| heard + self.limits.gone);
    }

    fn send_list<'a>(&self, names: impl Iterator<Item = &'a str>, posts: &mut Vec<Post>) {
        let (mut parts, mut bytes) = (vec![Vec::new()], 0);
        for name in names {
            if bytes + name.len() > self.limits.list {
                parts.push(Vec::new());
                bytes = 0;
            }
            // A name needs quotes and a comma.
            bytes += name.len() + 3;
            parts.last_mut().expect("one part").push(name);
        }
        for (at, part) in parts.iter().enumerate() {
            let number = format!("{}/{}", at + 1, parts.len());
            let names = serde_json::json!(part).to_string();
            self.send("here", &[("Loket-Part", &number)], names.as_bytes(), posts);
        }
    }
}

impl Shown {
    fn member(name: Rc<str>, deed: Deed, quiet: bool) -> Shown {
        let text = String::new();
        Shown::Member {
            name,
            deed,
            text,
            quiet,
        }
    }
}
