//! A tab: one answer to `GET /-/events`, which has no end.
//!
//! ```text
//!   notices, requests ──▶ streams ── send ──▶ queue ──▶ outbox ──▶ peer
//!                            ▲                            │
//!                            └── fill ── space again ─────┘
//! ```
//!
//! The outbox takes events up to a limit, and so does the queue: a peer that does not read is
//! closed. It is also closed when it has read nothing for the time of a heartbeat.

use super::ask::{Ask, Asks, bad_fields, no_tab};
use super::event_stream::{EventQueue, EventStream, StreamContext};
use super::failure::Failure;
use super::shared::HttpShared;
use super::streams::{STREAMS, StreamKind, named};
use crate::services::server_event::{HEARTBEAT, event};
use crate::session::close_reason::CloseReason;
use crate::session::notice::Notice;
use crate::session::protocol::{Context, Intake, Reaction};
use crate::wire::follows::{Follows, Timer};
use crate::wire::http::status::Status;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::rc::Rc;

/// An open tab.
pub struct Tab {
    shared: Rc<HttpShared>,
    peer: SocketAddr,
    streams: Vec<(&'static StreamKind, Box<dyn EventStream>)>,
    asks: Asks,
    events: EventQueue,
}

impl Tab {
    /// Opens a tab with the streams of this query. The head of the answer is not written yet.
    ///
    /// # Errors
    ///
    /// There are no random bytes for its id.
    pub fn open(
        shared: &Rc<HttpShared>,
        peer: SocketAddr,
        query: &str,
        last_event: Option<&str>,
        cx: &mut Context<'_>,
    ) -> Result<Tab, Failure> {
        let asks = Asks::default();
        let Some(id) = shared.tabs.borrow_mut().add(cx.me, asks.clone()) else {
            let says = "the system has no random bytes for the id of a tab; try again";
            return Err(Failure::new(Status::ServiceUnavailable, says));
        };
        let streams = named(query).map(|kind| (kind, (kind.make)(shared, peer)));
        let mut tab = Tab {
            shared: shared.clone(),
            peer,
            streams: streams.collect(),
            asks,
            events: EventQueue::default(),
        };
        let hello = json!({
            "tab": id,
            "talk": shared.roster.is_some(),
            "room": shared.room.is_some(),
            "read_only": shared.rights.borrow().is_read_only(),
        });
        tab.events.push("retry: 2000\n\n".into());
        tab.events.push(event("hello", &hello));
        tab.each(cx, |kind, stream, cx| open(kind, stream, last_event, cx));
        Ok(tab)
    }

    /// Calls `act` for each stream.
    fn each(
        &mut self,
        cx: &mut Context<'_>,
        mut act: impl FnMut(&'static StreamKind, &mut dyn EventStream, &mut StreamContext<'_, '_>),
    ) {
        let events = &mut self.events;
        let mut cx = StreamContext { cx, events };
        for (kind, stream) in &mut self.streams {
            act(kind, &mut **stream, &mut cx);
        }
    }

    /// Moves events to the outbox while it has room. Returns what the next input is.
    pub fn pump(&mut self, cx: &mut Context<'_>) -> Intake {
        self.flush(cx);
        if self.events.is_empty() {
            self.each(cx, |_, stream, cx| {
                if stream.has_more() && cx.events.is_empty() {
                    stream.fill(cx);
                }
            });
            self.flush(cx);
        }
        match self.has_more() {
            _ if self.events.bytes() > self.shared.limits.window.backlog => {
                Intake::Close(CloseReason::SlowReader)
            }
            true => Intake::Work,
            false => Intake::Bytes,
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) {
        while cx.out.pending() < self.shared.limits.window.unsent
            && let Some(event) = self.events.pop()
        {
            cx.out.bytes(event.as_bytes());
        }
    }

    /// Whether events wait until the peer has read others.
    pub fn has_more(&self) -> bool {
        !self.events.is_empty() || self.streams.iter().any(|(_, stream)| stream.has_more())
    }

    /// The peer has sent bytes, which mean nothing, or a timer has expired.
    pub fn on_bytes(&mut self, follows: Follows, cx: &mut Context<'_>) -> Intake {
        match follows {
            Follows::Eof => return Intake::Close(CloseReason::PeerFinished),
            // Nothing was written for the whole time, so the socket is full.
            Follows::Silence(Timer::Heartbeat) if cx.out.pending() > 0 => {
                return Intake::Close(CloseReason::SlowReader);
            }
            Follows::Silence(Timer::Heartbeat) => cx.out.bytes(HEARTBEAT),
            Follows::Silence(_) => self.each(cx, |_, stream, cx| stream.on_silence(follows, cx)),
            Follows::More => {}
        }
        self.pump(cx)
    }

    /// Another session has posted a notice.
    pub fn on_notice(&mut self, notice: &Notice, cx: &mut Context<'_>) -> Reaction {
        match notice {
            Notice::Event(event) => self.events.push(event.clone()),
            Notice::Close(reason @ CloseReason::Replaced) => return Reaction::Drop(*reason),
            _ => {}
        }
        while let Some(ask) = self.next_ask() {
            self.pass(ask, cx);
        }
        self.each(cx, |_, stream, cx| stream.on_notice(notice, cx));
        match self.pump(cx) {
            Intake::Close(reason) => Reaction::Drop(reason),
            Intake::Work => Reaction::Work,
            _ => Reaction::Stay,
        }
    }

    fn next_ask(&self) -> Option<Ask> {
        self.asks.borrow_mut().pop_front()
    }

    /// Passes a request to its stream, or opens or closes one.
    fn pass(&mut self, ask: Ask, cx: &mut Context<'_>) {
        if let Some(kind) = ask.switched.and_then(|name| named(name).next()) {
            let answer = self.switch(kind, &ask.fields, cx);
            return ask.answer(answer, cx.posts);
        }
        let takes = |kind: &StreamKind| kind.endpoint == ask.endpoint && (kind.takes)(&ask.fields);
        let own = self.streams.iter_mut().find(|(kind, _)| takes(kind));
        let Some((_, stream)) = own else {
            let names = STREAMS.iter().find(|kind| takes(kind));
            let name = names.map_or(ask.endpoint, |kind| kind.name);
            return ask.answer(Err(not_watched(name)), cx.posts);
        };
        let events = &mut self.events;
        stream.on_ask(ask, &mut StreamContext { cx, events });
    }

    /// Opens or closes a stream.
    fn switch(
        &mut self,
        kind: &'static StreamKind,
        fields: &Map<String, Value>,
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let opens = fields.get("open").and_then(Value::as_bool);
        let last = fields.get("last").map(Value::as_str);
        let place = self
            .streams
            .iter()
            .position(|(own, _)| own.name == kind.name);
        let events = &mut self.events;
        match (opens, last, fields.len(), place) {
            (Some(true), None, 1, None) | (Some(true), Some(Some(_)), 2, None) => {
                let mut stream = (kind.make)(&self.shared, self.peer);
                let mut cx = StreamContext { cx, events };
                open(kind, &mut *stream, last.flatten(), &mut cx);
                self.streams.push((kind, stream));
                Ok(())
            }
            (Some(false), None, 1, Some(place)) => {
                let (_, mut stream) = self.streams.remove(place);
                stream.on_close(&mut StreamContext { cx, events });
                Ok(())
            }
            (Some(true), _, _, Some(_)) => {
                let says = format!("the tab watches `{}` already", kind.name);
                Err(Failure::new(Status::Conflict, says))
            }
            (Some(false), None, 1, None) => Err(not_watched(kind.name)),
            _ => Err(bad_fields(
                "`tab` and `open`, which is true or false, and with true also the text `last`",
            )),
        }
    }

    /// The timer of a stream, or else the heartbeat.
    pub fn awaited(&self) -> Option<Timer> {
        let mut streams = self.streams.iter();
        let own = streams.find_map(|(_, stream)| stream.awaited());
        own.or(Some(Timer::Heartbeat))
    }

    /// The tab is closed.
    pub fn on_close(&mut self, cx: &mut Context<'_>) {
        self.shared.tabs.borrow_mut().remove(cx.me);
        while let Some(ask) = self.next_ask() {
            ask.answer(Err(no_tab()), cx.posts);
        }
        self.each(cx, |_, stream, cx| stream.on_close(cx));
    }
}

/// Opens a stream, after the event that says so: what the tab sends before is of an earlier one.
fn open(
    kind: &StreamKind,
    stream: &mut dyn EventStream,
    last_event: Option<&str>,
    cx: &mut StreamContext<'_, '_>,
) {
    cx.send("opened", &json!({"stream": kind.name}));
    stream.open(last_event, cx);
}

fn not_watched(name: &str) -> Failure {
    let says = format!("the tab does not watch `{name}`");
    Failure::new(Status::Conflict, says)
}
