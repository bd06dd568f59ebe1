//! A NATS server in memory, with the streams of names and of messages, and the links to it, on the
//! clock of a test.

pub mod rooms;
pub mod talks;

use crate::memory::random::Random;
use base64ct::{Base64, Encoding};
use loket::config::link::LINK;
use loket::services::link::exchange::Exchange;
use loket::services::link::owner::subject;
use loket::services::link::{Link, Subjects};
use loket::session::close_reason::CloseReason;
use loket::session::notice::Notice;
use loket::session::outbox::Front;
use loket::session::session::Session;
use loket::session::session_id::SessionId;
use loket::session::shared::Shared;
use loket::wire::follows::Follows;
use loket::wire::nats::headers::Headers;
use loket::wire::nats::url::NatsUrl;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

pub const INFO: &str = "INFO {\"headers\":true,\"max_payload\":1048576}\r\n";

/// The beginning of the subject of requests that only read.
const READ: &str = "$JS.API.STREAM.MSG.GET.";

/// The subject of the messages for new members.
const HISTORY: &str = "loket.history.x";

/// A server's end of its connection to the broker.
#[derive(Default)]
pub struct LinkEnd {
    pub link: Option<Session>,
    /// Bytes from the broker that the link has not got.
    pub arriving: Vec<u8>,
}

impl LinkEnd {
    /// Opens the connection. No other one has the same serial.
    pub fn connect(
        &mut self,
        exchange: &Rc<RefCell<Exchange>>,
        subjects: Subjects,
        serial: u32,
        shared: &mut Shared,
    ) {
        let url = NatsUrl::parse_list("nats://h").expect("a URL").remove(0);
        let at = ([127, 0, 0, 1], 4222).into();
        let link = Link::new(LINK, exchange.clone(), url, at, subjects);
        let mut session = Session::new(Box::new(link), SessionId::new(1, serial));
        session.open(shared);
        self.link = Some(session);
        self.arriving = INFO.into();
    }

    /// Breaks the connection. What is under way in either direction is lost.
    pub fn cut(&mut self, shared: &mut Shared) {
        self.arriving.clear();
        if let Some(mut link) = self.link.take() {
            link.end(CloseReason::PeerReset, shared);
        }
    }

    pub fn notify(&mut self, notice: &Notice, shared: &mut Shared) {
        if let Some(link) = &mut self.link {
            link.notify(notice, shared);
        }
    }

    /// The link gets a piece of what has arrived. Returns whether there was any.
    pub fn feed(&mut self, random: &mut Random, shared: &mut Shared) -> bool {
        let Some(link) = self.link.as_mut().filter(|_| !self.arriving.is_empty()) else {
            return false;
        };
        let piece = random.within(1..=self.arriving.len().min(4_096));
        let mut input = link.take_inbox().to_vec();
        input.extend(self.arriving.drain(..piece));
        link.feed(&input, Follows::More, &mut 16, shared);
        assert!(
            !link.is_closing(),
            "the link does not understand the broker"
        );
        true
    }

    /// What the link has sent.
    pub fn take_sent(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Some(outbox) = self.link.as_mut().and_then(Session::outbox) else {
            return bytes;
        };
        while let Some(Front::Bytes(front)) = outbox.front() {
            bytes.extend_from_slice(front);
            let count = front.len();
            outbox.advance(count);
        }
        bytes
    }
}

/// What a client has subscribed to and sent.
#[derive(Default)]
pub struct Client {
    /// The side of a partition that its broker is on.
    pub side: usize,
    subscriptions: Vec<(String, String)>,
    inbox: Vec<u8>,
}

/// The server.
pub struct Broker {
    /// Whether JetStream answers.
    pub has_quorum: bool,
    /// On which side of a partition it does.
    pub side: usize,
    /// What a broker on the other side still answers to requests that only read.
    stale: Option<Stream>,
    /// The brokers of its cluster; 1 is none.
    pub cluster: u64,
    /// On how many of them the stream is.
    pub replicas: Option<u64>,
    stream: Option<Stream>,
    /// The stream of messages for new members.
    pub lines: Option<Vec<Stored>>,
    /// Requests about it whose subject begins with this get no answer.
    pub ignored: Option<&'static str>,
}

#[derive(Clone, Default)]
struct Stream {
    seq: u64,
    /// The last message of each subject.
    last: HashMap<String, Stored>,
}

#[derive(Clone)]
pub struct Stored {
    pub seq: u64,
    pub headers: String,
    pub payload: Vec<u8>,
    at: u64,
}

/// A message of a client.
struct Published {
    subject: String,
    reply: Option<String>,
    headers: String,
    payload: Vec<u8>,
}

impl Client {
    /// What this client gets of a message to a subject.
    fn copy(&self, to: &str, headers: &str, payload: &[u8]) -> Vec<u8> {
        let matches = |subject: &str| match subject.strip_suffix('*') {
            Some(beginning) => to.starts_with(beginning),
            None => subject == to,
        };
        let subscription = self
            .subscriptions
            .iter()
            .find(|(subject, _)| matches(subject));
        let Some((_, number)) = subscription else {
            return Vec::new();
        };
        let head = match headers {
            "" => String::new(),
            text => format!("NATS/1.0{text}\r\n\r\n"),
        };
        let (size, total) = (head.len(), head.len() + payload.len());
        let line = match size {
            0 => format!("MSG {to} {number} {total}\r\n"),
            _ => format!("HMSG {to} {number} {size} {total}\r\n"),
        };
        [line.as_bytes(), head.as_bytes(), payload, b"\r\n"].concat()
    }

    /// The next message that this client has sent; its other commands are answered in `out`.
    fn next(&mut self, out: &mut Vec<u8>) -> Option<Published> {
        loop {
            let end = self.inbox.windows(2).position(|pair| pair == b"\r\n")?;
            let line = String::from_utf8(self.inbox[..end].to_vec()).expect("text");
            let words: Vec<&str> = line.split(' ').collect();
            let body = end + 2;
            let number = |text: &str| text.parse::<usize>().expect("a size");
            let (fields, head, total) = match (words[0], &words[1..]) {
                ("PUB", [fields @ .., total]) => (fields, 0, number(total)),
                ("HPUB", [fields @ .., head, total]) => (fields, number(head), number(total)),
                ("SUB", [subject, number]) => {
                    self.subscriptions
                        .push(((*subject).to_owned(), (*number).to_owned()));
                    self.inbox.drain(..body);
                    continue;
                }
                ("PING", _) => {
                    out.extend_from_slice(b"PONG\r\n");
                    self.inbox.drain(..body);
                    continue;
                }
                ("CONNECT" | "PONG", _) => {
                    self.inbox.drain(..body);
                    continue;
                }
                (word, _) => panic!("a client sends {word:?}"),
            };
            let all = self.inbox.get(body..body + total)?;
            let text = Headers::parse(&all[..head]).map_or("", Headers::text);
            let published = Published {
                subject: fields[0].to_owned(),
                reply: fields.get(1).map(|reply| (*reply).to_owned()),
                headers: text.to_owned(),
                payload: all[head..].to_vec(),
            };
            self.inbox.drain(..body + total + 2);
            return Some(published);
        }
    }
}

impl Broker {
    /// With JetStream, and without a stream.
    pub fn new() -> Broker {
        Broker {
            has_quorum: true,
            side: 0,
            stale: None,
            cluster: 1,
            replicas: None,
            stream: None,
            lines: None,
            ignored: None,
        }
    }

    /// A program claims a key.
    pub fn claim(&mut self, key: &str, owner: &str, now: u64) {
        let stream = self.stream.get_or_insert_default();
        stream.store(&subject(key), String::new(), owner.as_bytes(), now);
    }

    /// Frees a key.
    pub fn free(&mut self, key: &str) {
        let stream = self.stream.get_or_insert_default();
        stream.last.remove(&subject(key));
    }

    /// A partition begins or ends: one that begins leaves an old leader on the other side.
    pub fn part(&mut self, begins: bool) {
        self.stale = self.stream.clone().filter(|_| begins);
    }

    /// A client sends bytes. Returns what each client gets then.
    pub fn receive(
        &mut self,
        clients: &mut [Option<Client>],
        from: usize,
        bytes: &[u8],
        now: u64,
    ) -> Vec<Vec<u8>> {
        let mut out = vec![Vec::new(); clients.len()];
        clients[from]
            .as_mut()
            .expect("it is connected")
            .inbox
            .extend_from_slice(bytes);
        while let Some(client) = &mut clients[from]
            && let Some(message) = client.next(&mut out[from])
        {
            let side = clients[from].as_ref().expect("it is connected").side;
            if message.subject == HISTORY {
                self.keep(message, now);
            } else if !message.subject.starts_with('$') {
                for (number, client) in clients.iter().enumerate() {
                    let client = client.as_ref().filter(|client| client.side == side);
                    if let Some(client) = client.filter(|_| number != from) {
                        let copy =
                            client.copy(&message.subject, &message.headers, &message.payload);
                        out[number].extend(copy);
                    }
                }
            } else if let Some(reply) = &message.reply {
                let is_about_lines = message.subject.ends_with(".loket_history_x");
                let ignored = self.ignored.filter(|_| is_about_lines);
                if ignored.is_some_and(|begin| message.subject.starts_with(begin)) {
                    continue;
                }
                let client = clients[from].as_ref().expect("it is connected");
                let reads = message.subject.starts_with(READ);
                let answer = match &self.stale {
                    _ if self.has_quorum && side == self.side => self.answer(&message, now),
                    Some(stale) if reads && side != self.side => Some(stale.read(&message)),
                    _ => continue,
                };
                let answer = match answer {
                    Some(answer) => client.copy(reply, "", answer.to_string().as_bytes()),
                    None => client.copy(reply, " 503", b""),
                };
                out[from].extend(answer);
            }
        }
        out
    }

    /// Adds a message for new members to their stream.
    fn keep(&mut self, message: Published, at: u64) {
        if let Some(lines) = self.lines.as_mut().filter(|_| self.has_quorum) {
            lines.push(Stored {
                seq: lines.len() as u64 + 1,
                headers: format!("NATS/1.0{}\r\n\r\n", message.headers),
                payload: message.payload,
                at,
            });
        }
    }

    /// The answer of the stream of messages for new members.
    fn answer_about_lines(&mut self, call: &str, payload: &Value) -> Value {
        if call.starts_with("$JS.API.STREAM.CREATE.") {
            if self.cluster == 1 && payload["num_replicas"] != 1 {
                return json!({"error": {"code": 400, "err_code": 10_074}});
            }
            self.lines.get_or_insert_default();
            return json!({"did_create": true});
        }
        let Some(lines) = &self.lines else {
            return json!({"error": {"code": 404, "err_code": 10_059}});
        };
        match call.starts_with(READ) {
            true => {
                let seq = payload["seq"].as_u64().expect("a number");
                answer_with(lines.iter().find(|stored| stored.seq == seq))
            }
            false => json!({
                "config": {"subjects": [HISTORY]},
                "state": {"first_seq": 1, "last_seq": lines.len()},
            }),
        }
    }

    /// The answer of JetStream; `None` if no stream receives the message.
    fn answer(&mut self, message: &Published, now: u64) -> Option<Value> {
        let payload: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
        if message.subject.ends_with(".loket_history_x") {
            return Some(self.answer_about_lines(&message.subject, &payload));
        }
        if message.subject.starts_with("$JS.API.STREAM.CREATE.") {
            let replicas = payload["num_replicas"].as_u64().expect("a number");
            let refused = |code| Some(json!({"error": {"code": 400, "err_code": code}}));
            return match self.replicas {
                _ if replicas > 1 && self.cluster == 1 => refused(10_074),
                Some(has) if has != replicas => refused(10_058),
                None if replicas > self.cluster => refused(10_005),
                _ => {
                    self.stream.get_or_insert_default();
                    self.replicas = Some(replicas);
                    Some(json!({"did_create": true}))
                }
            };
        }
        let stream = self.stream.as_mut()?;
        stream.last.retain(|_, stored| now < stored.at + 30_000_000);
        if message.subject.starts_with(READ) {
            return Some(stream.read(message));
        }
        if message.subject.starts_with("$JS.API.STREAM.PURGE.") {
            let (subject, seq) = (payload["filter"].as_str(), payload["seq"].as_u64());
            let (subject, seq) = (subject.expect("a subject"), seq.expect("a number"));
            stream
                .last
                .retain(|it, stored| it != subject || stored.seq >= seq);
            return Some(json!({"success": true}));
        }
        let expected = Headers::of_text(&message.headers);
        let expected = expected.get("Nats-Expected-Last-Subject-Sequence");
        let last = stream
            .last
            .get(&message.subject)
            .map_or(0, |stored| stored.seq);
        if expected != Some(&last.to_string()) {
            return Some(json!({"error": {"code": 400, "err_code": 10071}, "seq": 0}));
        }
        let headers = format!("NATS/1.0{}\r\n\r\n", message.headers);
        let seq = stream.store(&message.subject, headers, &message.payload, now);
        Some(json!({"stream": "KV_loket_names", "seq": seq}))
    }
}

impl Stream {
    /// The answer to a request for the last message of a subject.
    fn read(&self, request: &Published) -> Value {
        let request: Value = serde_json::from_slice(&request.payload).expect("JSON");
        let subject = request["last_by_subj"].as_str().expect("a subject");
        answer_with(self.last.get(subject))
    }

    /// Stores a message, and returns its sequence.
    fn store(&mut self, subject: &str, headers: String, payload: &[u8], at: u64) -> u64 {
        self.seq += 1;
        let stored = Stored {
            seq: self.seq,
            headers,
            payload: payload.to_vec(),
            at,
        };
        self.last.insert(subject.to_owned(), stored);
        self.seq
    }
}

/// The answer to a request for a message.
fn answer_with(message: Option<&Stored>) -> Value {
    match message {
        Some(stored) => json!({"message": {
            "seq": stored.seq,
            "hdrs": Base64::encode_string(stored.headers.as_bytes()),
            "data": Base64::encode_string(&stored.payload),
        }}),
        None => json!({"error": {"code": 404, "err_code": 10037}}),
    }
}
