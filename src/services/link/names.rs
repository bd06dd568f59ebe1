//! The names that members of this server hold among all servers: a key of a JetStream stream each.
//!
//! A key without a message is free. A claim publishes the server's name there on condition that the
//! last sequence of the subject is 0, and a renewal on condition that it is the one of the last
//! renewal. The stream forgets a message after 30 s.
//!
//! ```text
//!            sequence 0              stored                     10 s
//!   claim ─────────────▶ Publishing ───────▶ Held ───────────────────▶ Publishing
//!                          │    ▲
//!         wrong sequence   │    │ it is ours, deleted or gone: publish with its sequence
//!                          ▼    │
//!                         Looking ── it is of another server ─▶ refused, or lost
//! ```
//!
//! An answer may be lost: then the name may be ours without our knowing, which `Looking` finds out.
//! Subject delete markers must be off: behind a marker the sequence is not 0.

use super::exchange::{Arrived, Exchange};
use super::owner::{BY_SERVER, KEYS, Owner, STREAM, look_up, subject};
use super::stream::{Created, SharedStream, StreamLimits};
use crate::session::notice::Post;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Limits of names. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct NameLimits {
    /// The interval of renewals.
    pub renewal: u64,
    /// How long the stream keeps a name that is not renewed.
    pub lifetime: u64,
    /// Requests to the stream.
    pub stream: StreamLimits,
}

/// The names of this server, by their keys.
pub struct Names {
    exchange: Rc<RefCell<Exchange>>,
    limits: NameLimits,
    names: HashMap<String, Name>,
    /// The keys of requests without an answer, by their numbers.
    asked: HashMap<u64, String>,
    /// Which time of being up it is.
    ups: u64,
    stream: SharedStream,
    /// No request is due earlier than this.
    earliest: u64,
}

struct Name {
    state: NameState,
    /// The sequence of the last message that is known to be ours; 0 without one.
    seq: u64,
    /// Whether the member is in, and not waiting for the name.
    is_held: bool,
    /// Whether nothing waits for the name any more: an answer may still say that it is ours.
    is_left: bool,
    /// The number of the request without an answer.
    number: u64,
    /// When to send the next request.
    due: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameState {
    Publishing,
    Looking,
    Held,
}

/// What has become of a name, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is ours.
    Granted(String),
    /// It is of another server.
    Refused(String),
    /// It was ours, and is of another server now.
    Lost(String),
}

impl Names {
    /// Without names.
    pub fn new(exchange: Rc<RefCell<Exchange>>, limits: NameLimits) -> Names {
        let nanos = limits.lifetime * 1_000;
        let config = json!({
            "subjects": [format!("{KEYS}>")], "retention": "limits",
            "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": -1,
            "max_msgs_per_subject": 1, "max_age": nanos, "discard": "new", "storage": "file",
            "allow_rollup_hdrs": true, "allow_direct": true,
        });
        Names {
            stream: SharedStream::new(STREAM, config, limits.stream),
            exchange,
            limits,
            names: HashMap::new(),
            asked: HashMap::new(),
            ups: 0,
            earliest: u64::MAX,
        }
    }

    /// Whether a name is ours.
    pub fn is_held(&self, key: &str) -> bool {
        self.names.get(key).is_some_and(|name| name.is_held)
    }

    /// Asks for a name. The outcome follows, or nothing does: then the caller gives up.
    pub fn claim(&mut self, key: &str, now: u64, posts: &mut Vec<Post>) {
        let name = self.names.entry(key.to_owned()).or_insert(Name {
            state: NameState::Publishing,
            seq: 0,
            is_held: false,
            is_left: false,
            number: 0,
            due: now,
        });
        (name.is_left, name.due) = (false, now);
        self.act(key, now, posts);
    }

    /// Gives a name back, or gives up a claim.
    pub fn release(&mut self, key: &str, now: u64, posts: &mut Vec<Post>) {
        let Some(name) = self.names.get_mut(key) else {
            return;
        };
        if name.is_held {
            let seq = name.seq;
            self.names.remove(key);
            return self.purge(key, seq, posts);
        }
        if !self.exchange.borrow().is_up() {
            self.names.remove(key);
            return;
        }
        name.is_left = true;
        name.due = now + self.limits.lifetime;
    }

    /// Frees a key, unless it has a later message.
    fn purge(&mut self, key: &str, seq: u64, posts: &mut Vec<Post>) {
        let subject = subject(key);
        let payload = json!({"filter": subject, "seq": seq + 1}).to_string();
        let api = format!("$JS.API.STREAM.PURGE.{STREAM}");
        let mut exchange = self.exchange.borrow_mut();
        let number = exchange.next_number();
        exchange.request(&api, number, &[], payload.as_bytes(), posts);
    }

    /// The link has come up or gone down.
    pub fn on_wake(&mut self, now: u64, posts: &mut Vec<Post>) {
        let ups = self.exchange.borrow().ups();
        let Some(ups) = ups else {
            return self.names.retain(|_, name| !name.is_left);
        };
        if self.ups != ups {
            self.ups = ups;
            self.asked.clear();
            self.stream.restart(now);
            self.create(now, posts);
            let mut keys: Vec<_> = self.names.keys().cloned().collect();
            keys.sort_unstable();
            for key in keys {
                self.act(&key, now, posts);
            }
        }
    }

    /// Sends the request that the state of a name needs.
    fn act(&mut self, key: &str, now: u64, posts: &mut Vec<Post>) {
        let number = self.exchange.borrow_mut().next_number();
        let Some(name) = self.names.get_mut(key) else {
            return;
        };
        self.asked.remove(&name.number);
        if name.is_left && name.due <= now {
            self.names.remove(key);
            return;
        }
        if name.state == NameState::Held {
            name.state = NameState::Publishing;
        }
        name.number = number;
        if !name.is_left {
            name.due = now + self.limits.stream.retry;
        }
        self.earliest = self.earliest.min(name.due);
        self.asked.insert(number, key.to_owned());
        let mut exchange = self.exchange.borrow_mut();
        match name.state {
            NameState::Publishing | NameState::Held => {
                let (owner, seq) = (exchange.server().to_owned(), name.seq.to_string());
                let headers = [
                    ("Nats-Expected-Last-Subject-Sequence", seq.as_str()),
                    (BY_SERVER, &owner),
                ];
                exchange.request(&subject(key), number, &headers, owner.as_bytes(), posts);
            }
            NameState::Looking => look_up(&mut exchange, number, key, posts),
        }
    }

    /// The broker has answered a request.
    pub fn on_answer(
        &mut self,
        answer: &Arrived,
        now: u64,
        posts: &mut Vec<Post>,
    ) -> Option<Outcome> {
        let number = answer.answers?;
        let created = {
            let exchange = &mut self.exchange.borrow_mut();
            self.stream.on_answer(answer, exchange, now, posts)
        };
        match created {
            None => {}
            Some(Created::Yes) => {
                self.repeat_claims(now, posts);
                return None;
            }
            Some(Created::Later) => {
                self.earliest = self.earliest.min(self.create_due());
                return None;
            }
        }
        let key = self.asked.remove(&number)?;
        let name = self.names.get_mut(&key)?;
        if name.number != number {
            return None;
        }
        if answer.headers().status() == Some(503) {
            // No stream receives the subject, or JetStream is off: the request is repeated later.
            self.create(now, posts);
            return None;
        }
        let answer: Value = serde_json::from_slice(&answer.payload).ok()?;
        let error = |field| answer.get("error")?.get(field)?.as_u64();
        match name.state {
            NameState::Publishing | NameState::Held => {
                // Trap: a refusal has a sequence, too, which is 0.
                let seq = answer.get("seq").and_then(Value::as_u64);
                if let Some(seq) = seq.filter(|_| answer.get("error").is_none()) {
                    return self.stored(key, seq, now, posts);
                }
                // JSStreamWrongLastSequenceErr. Any other error may pass.
                if error("err_code") == Some(10_071) {
                    name.state = NameState::Looking;
                    self.act(&key, now, posts);
                }
                None
            }
            NameState::Looking => {
                let (seq, owner) = Owner::of(&answer)?;
                name.seq = seq;
                if owner == Owner::Free || owner.is(self.exchange.borrow().server()) {
                    name.state = NameState::Publishing;
                    self.act(&key, now, posts);
                    return None;
                }
                let name = self.names.remove(&key)?;
                match (name.is_held, name.is_left) {
                    (true, _) => Some(Outcome::Lost(key)),
                    (false, false) => Some(Outcome::Refused(key)),
                    (false, true) => None,
                }
            }
        }
    }

    fn stored(
        &mut self,
        key: String,
        seq: u64,
        now: u64,
        posts: &mut Vec<Post>,
    ) -> Option<Outcome> {
        let name = self.names.get_mut(&key)?;
        if name.is_left {
            self.names.remove(&key);
            self.purge(&key, seq, posts);
            return None;
        }
        (name.state, name.seq) = (NameState::Held, seq);
        name.due = now + self.limits.renewal;
        self.earliest = self.earliest.min(name.due);
        let is_new = !std::mem::replace(&mut name.is_held, true);
        is_new.then_some(Outcome::Granted(key))
    }

    /// Creates the stream if it is missing.
    fn create(&mut self, now: u64, posts: &mut Vec<Post>) {
        let exchange = &mut self.exchange.borrow_mut();
        self.stream.create(exchange, now, posts);
        self.earliest = self.earliest.min(self.create_due());
    }

    fn create_due(&self) -> u64 {
        self.stream.due().unwrap_or(u64::MAX)
    }

    /// The stream is there: claims that it has not received are sent again.
    fn repeat_claims(&mut self, now: u64, posts: &mut Vec<Post>) {
        let claims = self
            .names
            .iter()
            .filter(|(_, name)| !name.is_held && !name.is_left);
        let mut claims: Vec<String> = claims.map(|(key, _)| key.clone()).collect();
        claims.sort_unstable();
        for key in claims {
            self.act(&key, now, posts);
        }
    }

    /// When to call [`Names::on_time`].
    pub fn next_due(&self) -> Option<u64> {
        let is_up = self.exchange.borrow().is_up();
        Some(self.earliest).filter(|due| is_up && *due < u64::MAX)
    }

    /// Sends what is due.
    pub fn on_time(&mut self, now: u64, posts: &mut Vec<Post>) {
        if self.next_due().is_none_or(|due| now < due) {
            return;
        }
        if self.create_due() <= now {
            self.create(now, posts);
        }
        let due = self.names.iter().filter(|(_, name)| name.due <= now);
        let mut due: Vec<String> = due.map(|(key, _)| key.clone()).collect();
        due.sort_unstable();
        for key in due {
            self.act(&key, now, posts);
        }
        let dues = self.names.values().map(|name| name.due);
        self.earliest = dues.min().unwrap_or(u64::MAX).min(self.create_due());
    }
}
