//! The last messages of all servers, which a JetStream stream keeps: each server adds those of its
//! own members, and reads the last ones when the link comes up. It reads them again when it has
//! missed messages of another server: that one adds what its members said while its link was down.
//!
//! ```text
//!          link up             it exists                    the last number
//!   Idle ───────────▶ Creating ──────────▶ Counting ────────────────────────────▶ Reading
//!    ▲                    ▲     no answer,    │     a request for each message      │
//!    │                    │ other subjects    │                                     │
//!    │                    └───────────────────┘                                     │
//!    └──────────────────────── all answers, or the time for them has passed ────────┘
//! ```
//!
//! A member does not wait for the broker: it is shown what the server has at that moment.

use super::history::RoomHistory;
use super::view::subject;
use crate::services::link::exchange::{Arrived, Exchange, Topic};
use crate::services::link::stream::{Created, SharedStream, StreamLimits};
use crate::session::notice::Post;
use crate::wire::nats::headers::Headers;
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;

/// Limits of the stream.
#[derive(Debug, Clone, Copy)]
pub struct StoredLinesLimits {
    /// Requests to it.
    pub stream: StreamLimits,
    /// Messages that the stream keeps.
    pub kept: usize,
    /// Bytes of a message there, with its headers.
    pub length: usize,
}

/// The stream of a room.
pub struct StoredLines {
    exchange: Rc<RefCell<Exchange>>,
    limits: StoredLinesLimits,
    /// Messages that are read.
    most: u64,
    name: String,
    subject: String,
    stream: SharedStream,
    /// Whether the stream takes messages, as far as is known since the link came up.
    is_ready: bool,
    /// Whether the log says since then that it does not.
    is_logged: bool,
    /// When to read it again.
    again: Option<u64>,
    /// Which time of being up it is.
    ups: u64,
    state: ReadState,
}

enum ReadState {
    Idle,
    Creating,
    /// The number of the request, and when it has failed.
    Counting(u64, u64),
    Reading {
        /// The number of the first request. The others follow.
        first: u64,
        /// The messages by the order of the requests; `None` without an answer.
        found: Vec<Option<StoredLine>>,
        /// Answers that have not come.
        left: usize,
        /// When no more answers are waited for.
        until: u64,
    },
}

/// A message as the stream has it, which anything may have written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredLine {
    /// The member.
    pub name: String,
    /// The line.
    pub text: String,
}

impl StoredLines {
    /// The stream of the room with this name, of which the last `most` messages are read.
    pub fn new(
        exchange: Rc<RefCell<Exchange>>,
        room: &str,
        most: usize,
        limits: StoredLinesLimits,
    ) -> StoredLines {
        let name = format!("loket_history_{room}");
        let subject = format!("loket.history.{room}");
        let config = json!({
            "subjects": [subject], "retention": "limits", "max_consumers": -1,
            "max_msgs": limits.kept, "max_bytes": -1, "max_msg_size": limits.length,
            "max_age": 0, "discard": "old", "storage": "file", "allow_direct": true,
        });
        StoredLines {
            stream: SharedStream::new(&name, config, limits.stream),
            exchange,
            limits,
            most: most as u64,
            name,
            subject,
            is_ready: false,
            is_logged: false,
            again: None,
            ups: 0,
            state: ReadState::Idle,
        }
    }

    /// Adds a message of a member of this server. Returns false if the stream cannot get it now.
    pub fn store(&self, name: &str, line: &[u8], posts: &mut Vec<Post>) -> bool {
        if !self.is_ready {
            return false;
        }
        let mut exchange = self.exchange.borrow_mut();
        let server = exchange.server().to_owned();
        let headers = [("Loket-Server", server.as_str()), ("Loket-Name", name)];
        exchange.publish(Topic::Room, &self.subject, &headers, line, posts)
    }

    /// The link may have come up or gone down.
    pub fn on_wake(&mut self, history: &mut RoomHistory, now: u64, posts: &mut Vec<Post>) {
        let ups = self.exchange.borrow().ups();
        if ups == Some(self.ups) {
            return;
        }
        (self.is_ready, self.is_logged) = (false, false);
        (self.again, self.state) = (None, ReadState::Idle);
        if let Some(ups) = ups {
            self.ups = ups;
            self.stream.restart(now);
            history.age();
            self.create(now, posts);
        }
    }

    fn create(&mut self, now: u64, posts: &mut Vec<Post>) {
        let exchange = &mut self.exchange.borrow_mut();
        self.stream.create(exchange, now, posts);
        self.state = ReadState::Creating;
    }

    fn count(&mut self, now: u64, posts: &mut Vec<Post>) {
        let number = self.exchange.borrow_mut().next_number();
        self.request("INFO", number, b"", posts);
        self.state = ReadState::Counting(number, now + self.limits.stream.retry);
    }

    /// Messages were missed that the stream may have after a while.
    pub fn read_later(&mut self, now: u64) {
        if self.is_ready {
            self.again.get_or_insert(now + self.limits.stream.retry);
        }
    }

    fn request(&self, call: &str, number: u64, payload: &[u8], posts: &mut Vec<Post>) {
        let api = format!("$JS.API.STREAM.{call}.{}", self.name);
        let mut exchange = self.exchange.borrow_mut();
        exchange.request(&api, number, &[], payload, posts);
    }

    /// Handles an answer of the broker. Returns `None` if it answers something else, otherwise the
    /// messages that are read with it: all at once, with the last answer.
    pub fn on_answer(
        &mut self,
        answer: &Arrived,
        history: &mut RoomHistory,
        now: u64,
        posts: &mut Vec<Post>,
    ) -> Option<Vec<StoredLine>> {
        // The link has broken behind the answer: what is sent now is lost.
        if self.exchange.borrow().ups() != Some(self.ups) {
            return None;
        }
        let created = {
            let exchange = &mut self.exchange.borrow_mut();
            self.stream.on_answer(answer, exchange, now, posts)
        };
        let number = answer.answers?;
        if let Some(created) = created {
            if created == Created::Yes {
                self.count(now, posts);
            }
            return Some(Vec::new());
        }
        match &mut self.state {
            ReadState::Counting(asked, _) if *asked == number => {
                let answer: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
                self.on_info(&answer, history, now, posts);
                Some(Vec::new())
            }
            ReadState::Reading {
                first, found, left, ..
            } => {
                let place = usize::try_from(number.checked_sub(*first)?).ok()?;
                let place = found.get_mut(place)?;
                // A message that is gone leaves an empty one.
                if place.replace(line_in(&answer.payload)).is_none() {
                    *left -= 1;
                }
                Some(if *left == 0 { self.take() } else { Vec::new() })
            }
            _ => None,
        }
    }

    /// Handles the state of the stream. If it is no use, it is created and asked for again.
    fn on_info(
        &mut self,
        info: &Value,
        history: &mut RoomHistory,
        now: u64,
        posts: &mut Vec<Post>,
    ) {
        let Some(subjects) = info.pointer("/config/subjects").and_then(Value::as_array) else {
            return;
        };
        let mut patterns = subjects.iter().filter_map(Value::as_str);
        self.is_ready = patterns.any(|pattern| matches_pattern(&self.subject, pattern));
        if !self.is_ready {
            // Something else has created it.
            if !std::mem::replace(&mut self.is_logged, true) {
                log::warn!(
                    service = "link";
                    "link: the stream {} does not take {}, so that it keeps no messages of the \
                     room: add that subject to it, or delete it",
                    self.name, self.subject
                );
            }
            return;
        }
        let unsent = history.take_unsent();
        for text in &unsent {
            let name = subject(text).map_or("", |(name, _)| name);
            self.store(name, &text.bytes, posts);
        }
        match unsent[..] {
            [] => self.read_last(info, now, posts),
            // Those are the last ones now.
            _ => self.count(now, posts),
        }
    }

    /// Asks for the last messages. Trap: brokers before 2.11 give one for each request.
    fn read_last(&mut self, info: &Value, now: u64, posts: &mut Vec<Post>) {
        let seq = |field| info.pointer(field).and_then(Value::as_u64);
        let (Some(oldest), Some(last)) = (seq("/state/first_seq"), seq("/state/last_seq")) else {
            return;
        };
        let end = last.saturating_add(1);
        let from = oldest.max(end.saturating_sub(self.most));
        let count = end.saturating_sub(from) as usize;
        self.state = ReadState::Idle;
        let numbers: Vec<_> = {
            let mut exchange = self.exchange.borrow_mut();
            (0..count).map(|_| exchange.next_number()).collect()
        };
        let Some(&first) = numbers.first() else {
            return;
        };
        for (number, seq) in numbers.into_iter().zip(from..) {
            let payload = json!({"seq": seq}).to_string();
            self.request("MSG.GET", number, payload.as_bytes(), posts);
        }
        self.state = ReadState::Reading {
            first,
            found: vec![None; count],
            left: count,
            until: now + self.limits.stream.retry,
        };
    }

    /// Ends reading.
    fn take(&mut self) -> Vec<StoredLine> {
        match std::mem::replace(&mut self.state, ReadState::Idle) {
            ReadState::Reading { found, .. } => found.into_iter().flatten().collect(),
            _ => Vec::new(),
        }
    }

    /// When to call [`StoredLines::on_time`].
    pub fn next_due(&self) -> Option<u64> {
        match self.state {
            ReadState::Idle => self.again,
            ReadState::Creating => self.stream.due(),
            ReadState::Counting(_, until) | ReadState::Reading { until, .. } => Some(until),
        }
    }

    /// Does what is due, and returns what was read.
    pub fn on_time(&mut self, now: u64, posts: &mut Vec<Post>) -> Vec<StoredLine> {
        if self.next_due().is_none_or(|due| now < due) {
            return Vec::new();
        }
        match self.state {
            ReadState::Reading { .. } => {
                self.read_later(now);
                return self.take();
            }
            ReadState::Idle => {
                self.again = None;
                self.count(now, posts);
            }
            ReadState::Creating | ReadState::Counting(..) => self.create(now, posts),
        }
        Vec::new()
    }
}

/// Whether a subject of NATS matches a pattern, whose `*` is one token and whose `>` is all others.
fn matches_pattern(subject: &str, pattern: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        match tokens.next() {
            Some(_) if wanted == ">" => return true,
            Some(token) if wanted == "*" || wanted == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

/// The message in an answer; an empty one if there is none.
fn line_in(answer: &[u8]) -> StoredLine {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let bytes = |field| {
        let text = answer.pointer(field).and_then(Value::as_str)?;
        Base64::decode_vec(text).ok()
    };
    let head = bytes("/message/hdrs").unwrap_or_default();
    let head = Headers::parse(&head).unwrap_or_default();
    let text = bytes("/message/data").unwrap_or_default();
    StoredLine {
        name: head.get("Loket-Name").unwrap_or_default().to_owned(),
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::matches_pattern;

    #[test]
    fn a_pattern_matches_as_in_nats() {
        for (pattern, matches) in [
            ("loket.history.a", true),
            ("loket.*.a", true),
            ("loket.>", true),
            (">", true),
            ("loket.history.a.>", false),
            ("loket.history", false),
            ("loket.history.*.a", false),
            ("loket.history.b", false),
            ("*", false),
        ] {
            assert_eq!(
                matches_pattern("loket.history.a", pattern),
                matches,
                "{pattern}"
            );
        }
    }
}
