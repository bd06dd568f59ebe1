//! The link to the other servers: a client of a NATS server, the broker, as one more protocol.
//!
//! `reactor/uplink.rs` dials, and `Hello` begins with the connect(2): until it has succeeded, a
//! read would block, and if it fails, a read returns why. The broker speaks first.
//!
//! ```text
//!   Down ─ pause, next broker ─▶ Hello ─ INFO ─▶ Joining (CONNECT, SUB, PING) ─ PONG ─▶ Linked
//!     ▲                            │                │                                   │
//!     └── two ticks without an answer, -ERR, end of stream, bytes that are no NATS ─────┘
//! ```
//!
//! A message goes out at most once: what does not fit into the outbox is dropped and counted.

pub mod exchange;
pub mod names;
pub mod others;
pub mod owner;
pub mod stream;

use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::peer::Peer;
use crate::session::protocol::{Context, Intake, Protocol, Reaction};
use crate::wire::follows::Follows;
use crate::wire::nats::info::ServerInfo;
use crate::wire::nats::url::{Login, NatsUrl};
use crate::wire::nats::{self, NatsLimits, NotNats, ServerCommand};
use crate::wire::text;
use exchange::{Exchange, Topic};
use serde_json::json;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

/// Limits of the link.
#[derive(Debug, Clone, Copy)]
pub struct LinkLimits {
    /// What the broker may send.
    pub nats: NatsLimits,
    /// Unsent bytes above which messages are dropped.
    pub outbox: usize,
    /// The same for messages of the talk.
    pub talk_outbox: usize,
    /// Bytes of messages for one service that it has not read; more are dropped.
    pub arrived: usize,
    /// Ticks without an answer after which the link is down.
    pub unanswered_pings: u32,
}

/// What the services of this server get: subjects, and the service of each.
pub type Subjects = Rc<[(Rc<str>, Topic)]>;

/// The connection to one broker.
pub struct Link {
    limits: LinkLimits,
    exchange: Rc<RefCell<Exchange>>,
    broker: NatsUrl,
    address: SocketAddr,
    /// The number of a subscription is the place of its subject, from 1 on. Answers have the next.
    subjects: Subjects,
    state: LinkState,
    max_payload: u64,
    /// Bytes of a message above the limit that are still to be skipped.
    skip: u64,
    /// Ticks since the last answer.
    unanswered: u32,
    /// Why it ends, if it says more than the reason for the close.
    why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkState {
    /// Not connected yet, or the broker has not sent `INFO`.
    Hello,
    /// The broker has not answered the first `PING`: it may refuse the login.
    Joining,
    Linked,
}

impl Link {
    /// A connection to this broker, to subjects.
    pub fn new(
        limits: LinkLimits,
        exchange: Rc<RefCell<Exchange>>,
        broker: NatsUrl,
        address: SocketAddr,
        subjects: Subjects,
    ) -> Link {
        exchange.borrow().was_up().set(false);
        Link {
            limits,
            exchange,
            broker,
            address,
            subjects,
            state: LinkState::Hello,
            max_payload: 0,
            skip: 0,
            unanswered: 0,
            why: None,
        }
    }

    /// Handles one command. An error ends the link.
    fn on_command(
        &mut self,
        command: ServerCommand<'_>,
        cx: &mut Context<'_>,
    ) -> Result<(), String> {
        match (command, self.state) {
            (ServerCommand::Info(json), state) => {
                let info = ServerInfo::parse(json).map_err(|why| why.to_string())?;
                self.max_payload = info.max_payload;
                if state == LinkState::Hello {
                    self.say_hello(&info, cx)?;
                }
            }
            (ServerCommand::Refused(text), _) => {
                return Err(format!("the broker says {:?}", text::excerpt(text)));
            }
            (_, LinkState::Hello) => return Err("the broker does not begin with INFO".to_owned()),
            (ServerCommand::Ping, _) => cx.out.bytes(nats::PONG),
            (ServerCommand::Pong, state) => {
                self.unanswered = 0;
                if state == LinkState::Joining {
                    self.join(cx);
                }
            }
            (ServerCommand::Skip(count), _) => self.skip = count,
            (ServerCommand::Message(message), _) => {
                let place = (message.subscription as usize).wrapping_sub(1);
                let topic = self.subjects.get(place).map(|(_, topic)| *topic);
                let most = self.limits.arrived;
                self.exchange.borrow_mut().arrive(&message, topic, most);
            }
            (ServerCommand::Ok, _) => {}
        }
        Ok(())
    }

    /// Answers `INFO`.
    fn say_hello(&mut self, info: &ServerInfo, cx: &mut Context<'_>) -> Result<(), String> {
        if info.needs_tls {
            return Err("the broker wants TLS: link to a leaf node on this machine".to_owned());
        }
        if !info.headers {
            return Err("the broker has no headers: it needs NATS 2.2".to_owned());
        }
        let mut options = json!({
            "verbose": false, "pedantic": false, "echo": false, "headers": true,
            "no_responders": true, "protocol": 1, "lang": "rust", "tls_required": false,
            "name": "loket", "version": env!("CARGO_PKG_VERSION"),
        });
        match &self.broker.login {
            Some(Login::User(user, password)) => {
                (options["user"], options["pass"]) = (json!(user), json!(password));
            }
            Some(Login::Token(token)) => options["auth_token"] = json!(token),
            None => {}
        }
        cx.out.bytes(&nats::connect(&options));
        let inbox = self.exchange.borrow().inbox();
        let subjects = self.subjects.iter().map(|(subject, _)| &**subject);
        for (number, subject) in (1..).zip(subjects.chain([&*inbox])) {
            cx.out.bytes(&nats::subscribe(subject, number));
        }
        cx.out.bytes(nats::PING);
        self.state = LinkState::Joining;
        Ok(())
    }

    /// The broker has accepted the login.
    fn join(&mut self, cx: &mut Context<'_>) {
        self.state = LinkState::Linked;
        self.exchange.borrow_mut().up(cx.me, self.max_payload);
        self.wake_room(cx);
        log::info!(service = "link"; "link: connected to {}", self.broker);
    }

    /// The room takes what has arrived, or sees that the link is up or down.
    fn wake_room(&self, cx: &mut Context<'_>) {
        cx.posts.push(Post {
            to: Audience::Room(Peer::Session(cx.me, self.address)),
            notice: Notice::Wake,
        });
    }

    fn send(&mut self, cx: &mut Context<'_>) {
        let mut exchange = self.exchange.borrow_mut();
        for (topic, command) in exchange.take_outgoing() {
            // A flood of the talk costs no member of the room its name.
            let most = match topic {
                Topic::Room => self.limits.outbox,
                Topic::Talk => self.limits.talk_outbox,
            };
            match cx.out.pending() + command.len() <= most {
                true => {
                    cx.out.bytes(&command);
                    exchange.counts.sent += 1;
                }
                false => exchange.counts.dropped += 1,
            }
        }
    }

    /// The time for an answer to the last `PING`, or for the connect, has passed.
    fn tick(&mut self, cx: &mut Context<'_>) -> Reaction {
        if self.unanswered == self.limits.unanswered_pings {
            self.why = Some("the broker does not answer".to_owned());
            return Reaction::Drop(CloseReason::Idle);
        }
        self.unanswered += 1;
        if self.state == LinkState::Linked {
            cx.out.bytes(nats::PING);
        }
        Reaction::Stay
    }
}

impl Protocol for Link {
    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        let (mut rest, arrived) = (input, self.exchange.borrow().counts.received);
        let ended = loop {
            let skipped = self.skip.min(rest.len() as u64);
            self.skip -= skipped;
            rest = &rest[skipped as usize..];
            if self.skip > 0 {
                break Ok(());
            }
            match nats::parse(rest, &self.limits.nats) {
                Ok(None) => break Ok(()),
                Err(NotNats(why)) => break Err(format!("the broker does not speak NATS: {why}")),
                Ok(Some((command, taken))) => {
                    rest = &rest[taken..];
                    if let Err(why) = self.on_command(command, cx) {
                        break Err(why);
                    }
                }
            }
        };
        if self.exchange.borrow().counts.received > arrived {
            self.wake_room(cx);
        }
        let taken = input.len() - rest.len();
        match (ended, follows) {
            (Err(why), _) => {
                self.why = Some(why);
                (taken, Intake::Close(CloseReason::Refused))
            }
            (Ok(()), Follows::Eof) => (taken, Intake::Close(CloseReason::PeerFinished)),
            (Ok(()), _) => (taken, Intake::Bytes),
        }
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut Context<'_>) -> Reaction {
        match notice {
            Notice::Due => return self.tick(cx),
            Notice::Wake => self.send(cx),
            _ => {}
        }
        Reaction::Stay
    }

    fn on_close(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        if self.state == LinkState::Linked {
            self.exchange.borrow_mut().down();
            self.wake_room(cx);
        }
        let why = match (self.why.take(), self.state) {
            (Some(why), _) => why,
            (None, LinkState::Hello) => format!("it cannot be reached: {reason}"),
            (None, _) => reason.to_string(),
        };
        let broker = &self.broker;
        match (self.state, reason) {
            (_, CloseReason::Shutdown) => {}
            (LinkState::Linked, _) => {
                log::warn!(service = "link"; "link: lost {broker}: {why}; trying again");
            }
            (LinkState::Hello | LinkState::Joining, _) => {
                let line = format!("link: no connection to {broker}: {why}; trying again");
                self.exchange.borrow_mut().warn_once(line);
            }
        }
    }

    fn may_idle(&self) -> bool {
        true
    }
}
