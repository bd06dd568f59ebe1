//! What the link and the services that use it share: messages that go out, and those that arrived.
//! Each side wakes the other with a notice, and takes what waits for it.

use crate::session::notice::{Audience, Notice, Post};
use crate::session::session_id::SessionId;
use crate::wire::nats::headers::Headers;
use crate::wire::nats::{self, Message};
use std::cell::Cell;
use std::rc::Rc;

/// The subject of a request names this prefix, the server and a number for the answer.
const INBOX: &str = "_INBOX.loket";

/// The messages between this server and the others.
pub struct Exchange {
    /// The name of this server among the others. No other server has it, also no later one here.
    server: String,
    /// The session of the link while it is up.
    link: Option<SessionId>,
    /// Whether the link has been up since it was dialled.
    was_up: Rc<Cell<bool>>,
    /// How often it came up.
    ups: u64,
    /// Bytes of a message that the broker accepts.
    max_payload: u64,
    /// The number of the last request.
    number: u64,
    /// Commands for the link, each with one message.
    outgoing: Vec<(Topic, Vec<u8>)>,
    /// By topic, with their bytes.
    arrived: [(Vec<Arrived>, usize); 2],
    /// The last warning about a failed attempt, so that it is not logged each time.
    warned: String,
    /// The counters of the link.
    pub counts: LinkCounts,
}

/// The services that use the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The room. The answers of the broker are also for it.
    Room,
    /// The talk.
    Talk,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Messages given to the broker.
    pub sent: u64,
    /// Messages from the broker.
    pub received: u64,
    /// Messages that were not sent, because the link was down, or that did not fit into memory.
    pub dropped: u64,
}

/// A message from another server, or an answer of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The number of the request that it answers; `None` if it is a message of another server.
    pub answers: Option<u64>,
    headers: Box<str>,
    /// The content.
    pub payload: Box<[u8]>,
}

impl Arrived {
    /// Its headers.
    pub fn headers(&self) -> Headers<'_> {
        Headers::of_text(&self.headers)
    }
}

impl Exchange {
    /// Of the server with this name, without a link.
    pub fn new(server: String) -> Exchange {
        Exchange {
            server,
            link: None,
            was_up: Rc::default(),
            ups: 0,
            max_payload: 0,
            number: 0,
            outgoing: Vec::new(),
            arrived: Default::default(),
            warned: String::new(),
            counts: LinkCounts::default(),
        }
    }

    /// Sets the name of this server, before the link is dialled.
    pub fn set_server(&mut self, server: String) {
        self.server = server;
    }

    /// The name of this server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether the link is up.
    pub fn is_up(&self) -> bool {
        self.link.is_some()
    }

    /// Whether it has been up since it was dialled, for the next pause.
    pub fn was_up(&self) -> Rc<Cell<bool>> {
        self.was_up.clone()
    }

    /// How often the link came up; `None` while it is down.
    pub fn ups(&self) -> Option<u64> {
        self.link.map(|_| self.ups)
    }

    /// Sends a message. Returns whether the link accepts it.
    pub fn publish(
        &mut self,
        topic: Topic,
        subject: &str,
        headers: &[(&str, &str)],
        payload: &[u8],
        posts: &mut Vec<Post>,
    ) -> bool {
        let command = nats::publish(subject, None, headers, payload);
        self.push(topic, command, posts)
    }

    /// A number for a request.
    pub fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Sends a request, whose answer arrives with this number.
    pub fn request(
        &mut self,
        subject: &str,
        number: u64,
        headers: &[(&str, &str)],
        payload: &[u8],
        posts: &mut Vec<Post>,
    ) -> bool {
        let reply = format!("{INBOX}.{}.{number}", self.server);
        let command = nats::publish(subject, Some(&reply), headers, payload);
        self.push(Topic::Room, command, posts)
    }

    fn push(&mut self, topic: Topic, command: Vec<u8>, posts: &mut Vec<Post>) -> bool {
        let Some(link) = self
            .link
            .filter(|_| command.len() as u64 <= self.max_payload)
        else {
            self.counts.dropped += 1;
            return false;
        };
        if self.outgoing.is_empty() {
            let (to, notice) = (Audience::One(link), Notice::Wake);
            posts.push(Post { to, notice });
        }
        self.outgoing.push((topic, command));
        true
    }

    /// What has arrived for a service since the last call.
    pub fn take_arrived(&mut self, topic: Topic) -> Vec<Arrived> {
        let (arrived, _) = std::mem::take(&mut self.arrived[topic as usize]);
        arrived
    }

    /// The subject of all answers to this server.
    pub(super) fn inbox(&self) -> String {
        format!("{INBOX}.{}.*", self.server)
    }

    pub(super) fn up(&mut self, link: SessionId, max_payload: u64) {
        (self.link, self.max_payload) = (Some(link), max_payload);
        self.ups += 1;
        self.warned.clear();
        self.was_up.set(true);
    }

    pub(super) fn down(&mut self) {
        self.link = None;
        self.counts.dropped += self.outgoing.len() as u64;
        self.outgoing.clear();
    }

    /// Logs why an attempt has failed, unless the last one has failed for the same reason.
    pub fn warn_once(&mut self, line: String) {
        if self.warned == line {
            log::debug!(service = "link"; "{line}");
            return;
        }
        log::warn!(service = "link"; "{line}");
        self.warned = line;
    }

    pub(super) fn take_outgoing(&mut self) -> Vec<(Topic, Vec<u8>)> {
        std::mem::take(&mut self.outgoing)
    }

    /// Adds a message; with `None` it is an answer, which is ignored if it has no number. More than
    /// `most` bytes are dropped: the numbers of messages show that.
    pub(super) fn arrive(&mut self, message: &Message<'_>, topic: Option<Topic>, most: usize) {
        let is_answer = topic.is_none();
        let number = message.subject.rsplit('.').next();
        let number = number.and_then(|number| number.parse().ok());
        if is_answer && number.is_none() {
            return;
        }
        self.counts.received += 1;
        let (arrived, bytes) = &mut self.arrived[topic.unwrap_or(Topic::Room) as usize];
        let length = message.headers.text().len() + message.payload.len() + size_of::<Arrived>();
        if *bytes + length > most {
            self.counts.dropped += 1;
            return;
        }
        *bytes += length;
        arrived.push(Arrived {
            answers: number.filter(|_| is_answer),
            headers: message.headers.text().into(),
            payload: message.payload.into(),
        });
    }
}
