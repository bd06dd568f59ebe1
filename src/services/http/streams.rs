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
    /// Whether it needs the token, where the server has one.
    pub needs_token: bool,
    /// Whether a POST request to `/-/ENDPOINT` with these fields belongs to it.
    pub takes: fn(endpoint: &str, fields: &Map<String, Value>) -> bool,
    /// Makes the stream of a new tab.
    pub make: fn(&Rc<HttpShared>, SocketAddr) -> Box<dyn EventStream>,
}

/// The streams, in the order in which they are opened.
pub const STREAMS: &[StreamKind] = &[
    StreamKind {
        name: "loop",
        needs_token: true,
        takes: |endpoint, fields| endpoint == "operator" && fields.contains_key("trace"),
        make: |shared, _| Box::new(LoopStream::new(shared)),
    },
    StreamKind {
        name: "operator",
        needs_token: true,
        takes: |endpoint, fields| endpoint == "operator" && !fields.contains_key("trace"),
        make: |shared, _| Box::new(OperatorStream::new(shared)),
    },
    StreamKind {
        name: "client",
        needs_token: false,
        takes: |endpoint, _| endpoint == "talk",
        make: |shared, peer| Box::new(ClientStream::new(shared, peer)),
    },
    StreamKind {
        name: "room",
        needs_token: false,
        takes: |endpoint, _| endpoint == "room",
        make: |shared, peer| Box::new(RoomStream::new(shared, peer)),
    },
];

/// The streams that a query names.
pub fn named(query: &str) -> impl Iterator<Item = &'static StreamKind> {
    let is_named = |kind: &&StreamKind| query.split('&').any(|part| part == kind.name);
    STREAMS.iter().filter(is_named)
}
