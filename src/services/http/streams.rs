//! The streams of events that a tab may watch.

use super::client_stream::ClientStream;
use super::event_stream::EventStream;
use super::loop_stream::LoopStream;
use super::operator_stream::OperatorStream;
use super::room_stream::RoomStream;
use super::shared::HttpShared;
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::rc::Rc;

/// A row of [`STREAMS`].
pub struct StreamKind {
    /// Its name in the query of `/-/events`.
    pub name: &'static str,
    /// Whether it needs the token. Without one it is open on a loopback address only.
    pub needs_token: bool,
    /// Where POST requests for it go, behind `/-/`: one of `methods::ENDPOINTS`.
    pub endpoint: &'static str,
    /// Whether a POST request there with these fields belongs to it.
    pub takes: fn(fields: &Map<String, Value>) -> bool,
    /// Makes the stream of a new tab.
    pub make: fn(&Rc<HttpShared>, SocketAddr) -> Box<dyn EventStream>,
}

/// The streams, in the order in which they are opened.
pub const STREAMS: &[StreamKind] = &[
    StreamKind {
        name: "loop",
        needs_token: true,
        endpoint: "operator",
        takes: |fields| fields.contains_key("trace"),
        make: |shared, _| Box::new(LoopStream::new(shared)),
    },
    StreamKind {
        name: "operator",
        needs_token: true,
        endpoint: "operator",
        takes: |fields| !fields.contains_key("trace"),
        make: |shared, _| Box::new(OperatorStream::new(shared)),
    },
    StreamKind {
        name: "client",
        needs_token: false,
        endpoint: "talk",
        takes: |_| true,
        make: |shared, peer| Box::new(ClientStream::new(shared, peer)),
    },
    StreamKind {
        name: "room",
        needs_token: false,
        endpoint: "room",
        takes: |_| true,
        make: |shared, peer| Box::new(RoomStream::new(shared, peer)),
    },
];

/// The streams that a query names.
pub fn named(query: &str) -> impl Iterator<Item = &'static StreamKind> {
    let is_named = |kind: &&StreamKind| query.split('&').any(|part| part == kind.name);
    STREAMS.iter().filter(is_named)
}
