//! The client's window: a talk client in a tab. What the client is sent becomes events `talk`.

use super::ask::Ask;
use super::event_stream::{EventStream, StreamContext};
use super::failure::Failure;
use super::shared::HttpShared;
use crate::services::ServiceLimits;
use crate::services::talk::Talk;
use crate::session::close_reason::CloseReason;
use crate::session::notice::Notice;
use crate::session::outbox::{Front, Outbox};
use crate::session::protocol::{Context, Intake, Protocol, Reaction};
use crate::wire::follows::{Follows, Timer};
use crate::wire::http::status::Status;
use serde_json::json;
use std::net::SocketAddr;
use std::rc::Rc;

/// A talk client.
pub struct ClientStream {
    limits: Rc<ServiceLimits>,
    /// The same protocol as that of a TCP client; `None` when it has ended, or if talk is off.
    talk: Option<Talk>,
    /// What it sends to its client.
    out: Outbox,
    /// Lines that its rate does not allow yet.
    held: Vec<u8>,
}

impl ClientStream {
    /// A client of the peer at this address.
    pub fn new(shared: &Rc<HttpShared>, peer: SocketAddr) -> ClientStream {
        let (limits, roster) = (shared.limits.clone(), shared.roster.clone());
        ClientStream {
            talk: roster.map(|roster| Talk::new(limits.clone(), roster, peer)),
            limits,
            out: Outbox::default(),
            held: Vec::new(),
        }
    }

    /// Passes the held lines to the protocol.
    fn feed(&mut self, follows: Follows, cx: &mut StreamContext<'_, '_>) {
        while let Some(talk) = &mut self.talk {
            let mut inner = inner(cx.cx, &mut self.out);
            let (taken, intake) = talk.on_bytes(&self.held, follows, &mut inner);
            self.held.drain(..taken);
            match intake {
                Intake::Close(reason) => self.end(reason, cx),
                _ if taken == 0 || self.held.is_empty() => break,
                _ => {}
            }
        }
        if self.held.is_empty() {
            self.held = Vec::new();
        }
        self.pass_lines(cx);
    }

    /// Sends what the protocol has written.
    fn pass_lines(&mut self, cx: &mut StreamContext<'_, '_>) {
        let mut text = Vec::new();
        while let Some(Front::Bytes(bytes)) = self.out.front() {
            let count = bytes.len();
            text.extend_from_slice(bytes);
            self.out.advance(count);
        }
        self.out = Outbox::default();
        for line in String::from_utf8_lossy(&text).lines() {
            cx.send("talk", &json!({"line": line}));
        }
    }

    fn end(&mut self, reason: CloseReason, cx: &mut StreamContext<'_, '_>) {
        self.pass_lines(cx);
        if let Some(mut talk) = self.talk.take() {
            talk.on_close(reason, &mut inner(cx.cx, &mut self.out));
            cx.send("talk", &json!({"closed": reason.to_string()}));
        }
    }

    fn say(&mut self, ask: &Ask, cx: &mut StreamContext<'_, '_>) -> Result<(), Failure> {
        let line = ask.only_text("line")?;
        if self.talk.is_none() {
            let says = "the tab is no talk client any more: open /-/events?client again";
            return Err(Failure::new(Status::Conflict, says));
        }
        if self.held.len() + line.len() > self.limits.window.held_text {
            let says = "more text than a talk client may send: wait a second";
            let failure = Failure::new(Status::TooManyRequests, says);
            return Err(failure.with("Retry-After: 1\r\n"));
        }
        let waits = !self.held.is_empty();
        self.held.extend_from_slice(line.as_bytes());
        self.held.push(b'\n');
        if !waits {
            self.feed(Follows::More, cx);
        }
        Ok(())
    }
}

impl EventStream for ClientStream {
    fn open(&mut self, _: Option<&str>, cx: &mut StreamContext<'_, '_>) {
        match &mut self.talk {
            None => cx.send("talk", &json!({"closed": "the talk service is off"})),
            Some(talk) => {
                talk.on_open(&mut inner(cx.cx, &mut self.out));
                let data = json!({"you": talk.id()});
                cx.send("talk", &data);
            }
        }
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut StreamContext<'_, '_>) {
        let Some(talk) = &mut self.talk else {
            return;
        };
        match talk.on_notice(notice, &mut inner(cx.cx, &mut self.out)) {
            Reaction::Close(reason) | Reaction::Drop(reason) => self.end(reason, cx),
            Reaction::Stay | Reaction::Work => self.pass_lines(cx),
        }
    }

    fn on_ask(&mut self, ask: Ask, cx: &mut StreamContext<'_, '_>) {
        let answer = self.say(&ask, cx);
        ask.answer(answer, cx.cx.posts);
    }

    fn awaited(&self) -> Option<Timer> {
        self.talk.as_ref().and_then(Talk::awaited)
    }

    fn on_silence(&mut self, silence: Follows, cx: &mut StreamContext<'_, '_>) {
        self.feed(silence, cx);
    }

    fn on_close(&mut self, cx: &mut StreamContext<'_, '_>) {
        self.end(CloseReason::PeerFinished, cx);
    }
}

/// The context of the talk protocol: that of the tab, with an outbox of its own.
fn inner<'a>(cx: &'a mut Context<'_>, out: &'a mut Outbox) -> Context<'a> {
    Context {
        out,
        posts: cx.posts,
        me: cx.me,
        now: cx.now,
        micros: cx.micros,
        unix: cx.unix,
        reads: cx.reads,
        operator_behind: cx.operator_behind,
    }
}
