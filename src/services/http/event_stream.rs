//! The trait of a stream of events in a tab.
//!
//! A tab is one answer to `GET /-/events?NAME&NAME`: server-sent events without an end.
//! `POST /-/events?NAME` opens and closes further streams in it. To add a stream of events:
//!
//! 1. Write a file with a type that implements [`EventStream`]. It writes its events by
//!    [`StreamContext::send`]; the tab takes care of peers that read slowly or not at all.
//! 2. Add a row to `STREAMS` in `streams.rs` with its name in the query, whether it needs the
//!    token, and which POST requests belong to it. A new place for them is a name in `ENDPOINTS`.
//!
//! What other sessions change is posted to the tab (`Audience::One`): every stream of the tab gets
//! the notice. `Notice::Event` is sent as it is. Many lines are not posted but pulled: post
//! `Notice::Wake`, answer `true` in [`EventStream::has_more`], and write a bounded number of them
//! in [`EventStream::fill`], which is called when the peer has read the last ones.

use super::ask::Ask;
use crate::services::server_event::{event, event_with_id};
use crate::session::notice::Notice;
use crate::session::protocol::Context;
use crate::wire::follows::{Follows, Timer};
use std::collections::VecDeque;
use std::fmt::Display;
use std::rc::Rc;

/// One kind of events of a tab. Between two calls it holds no borrow of what it shares.
pub trait EventStream {
    /// The stream is open. First events may be sent. `last_event` is the id of the last event that
    /// the page got before it lost its connection.
    fn open(&mut self, last_event: Option<&str>, cx: &mut StreamContext<'_, '_>);

    /// Whether [`EventStream::fill`] would write events.
    fn has_more(&self) -> bool {
        false
    }

    /// Writes a bounded number of events. Called while [`EventStream::has_more`], when all earlier
    /// events of the tab are in the outbox.
    fn fill(&mut self, _cx: &mut StreamContext<'_, '_>) {}

    /// Another session has posted a notice to the tab. It may belong to another stream.
    fn on_notice(&mut self, _notice: &Notice, _cx: &mut StreamContext<'_, '_>) {}

    /// A POST request for this stream. It must be answered, now or later: [`Ask::answer`].
    fn on_ask(&mut self, ask: Ask, cx: &mut StreamContext<'_, '_>);

    /// The timer that the stream waits for, at most one. The tab has a heartbeat of its own.
    fn awaited(&self) -> Option<Timer> {
        None
    }

    /// The time of that timer has passed.
    fn on_silence(&mut self, _silence: Follows, _cx: &mut StreamContext<'_, '_>) {}

    /// The stream is closed, maybe alone. Requests that are not answered must be.
    fn on_close(&mut self, _cx: &mut StreamContext<'_, '_>) {}
}

/// What a stream can use during a call.
pub struct StreamContext<'a, 'b> {
    /// Posts, the time, and the id of the tab. Events are not written to its outbox but sent.
    pub cx: &'a mut Context<'b>,
    /// The events of the tab.
    pub events: &'a mut EventQueue,
}

impl StreamContext<'_, '_> {
    /// Sends an event.
    pub fn send(&mut self, kind: &str, data: &dyn Display) {
        self.events.push(event(kind, data));
    }

    /// Sends an event that a page may name as its last one.
    pub fn send_with_id(&mut self, kind: &str, id: impl Display, data: &dyn Display) {
        self.events.push(event_with_id(kind, id, data));
    }
}

/// Events that wait until the peer has read earlier ones.
#[derive(Default)]
pub struct EventQueue {
    events: VecDeque<Rc<str>>,
    bytes: usize,
}

impl EventQueue {
    /// Adds an event.
    pub fn push(&mut self, event: Rc<str>) {
        self.bytes += event.len();
        self.events.push_back(event);
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<Rc<str>> {
        let event = self.events.pop_front();
        match &event {
            Some(event) => self.bytes -= event.len(),
            // An idle tab keeps no memory for it.
            None => self.events = VecDeque::new(),
        }
        event
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The bytes of all events.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
