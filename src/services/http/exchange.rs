//! One request, from its head to its answer.

use super::answer::Answer;
use super::listing::ListForm;
use crate::session::outbox::Outbox;
use crate::wire::http::conditions::Conditions;
use crate::wire::http::head::{Expect, Framing, Method, Request, Version};
use crate::wire::http::path::Query;
use crate::wire::http::range::Range;
use crate::wire::http::status::Status;

/// A request that is not answered yet.
pub struct Exchange {
    /// What to do.
    pub method: Method,
    /// The file or folder, without slashes at its ends. Empty for the root.
    pub name: String,
    /// The flags of the target.
    pub query: Query,
    /// Whether the client speaks version 1.0, in which a kept connection is an exception.
    pub is_old: bool,
    /// Whether the client wants to keep the connection.
    pub keep_alive: bool,
    /// The body that has not been read.
    pub body: Framing,
    /// Whether the client waits for `100 Continue`.
    pub awaits_continue: bool,
    /// The part of the file that is wanted.
    pub range: Range,
    /// The fields whose names begin with `If-`.
    pub conditions: Conditions,
    /// Whether the client is a browser.
    pub wants_html: bool,
    /// Whether the client finds files by the links of a list.
    pub reads_links: bool,
    /// Whether the client wants JSON.
    pub wants_json: bool,
    /// Whether the client wants the SHA-256 of the file.
    pub wants_digest: bool,
    /// The bytes of an upload that have been stored.
    pub stored: u64,
    /// Path and query for the log; empty if the log does not show them.
    pub target: Box<str>,
    /// When its head was complete, in microseconds since the server started.
    pub begun: u64,
}

impl Exchange {
    /// The exchange that a head begins, at this time.
    pub fn new(request: &Request<'_>, begun: u64) -> Exchange {
        let target = match (log::log_enabled!(log::Level::Debug), request.query) {
            (false, _) => String::new(),
            (true, "") => request.path.to_owned(),
            (true, query) => format!("{}?{query}", request.path),
        };
        Exchange {
            method: request.method,
            name: String::new(),
            query: Query::parse(request.query),
            is_old: request.version == Version::Http10,
            keep_alive: request.keep_alive,
            body: request.framing,
            awaits_continue: request.expect == Expect::Continue,
            range: request.range,
            conditions: request.conditions.clone(),
            wants_html: request.accepts_html,
            reads_links: request.reads_links,
            wants_json: request.accepts_json,
            wants_digest: request.wants_digest,
            stored: 0,
            target: target.into(),
            begun,
        }
    }

    /// Whether the connection stays open after the answer. The rest of a body that is not wanted is
    /// read away after its end.
    pub fn keeps(&self) -> bool {
        self.keep_alive && !self.has_body()
    }

    /// Whether a body follows.
    pub fn has_body(&self) -> bool {
        !matches!(self.body, Framing::None | Framing::Length(0))
    }

    /// The form of a list; `None` for the page, which a browser gets.
    pub fn list_form(&self) -> Option<ListForm> {
        match () {
            () if self.query.json => Some(ListForm::Json),
            () if self.query.list || self.reads_links => Some(ListForm::Html),
            () if self.wants_html => None,
            () if self.wants_json => Some(ListForm::Json),
            () => Some(ListForm::Names),
        }
    }

    /// Begins the answer.
    pub fn answer<'a>(&self, status: Status, date: &str, out: &'a mut Outbox) -> Answer<'a> {
        let mut answer = Answer::begin(out, status, date);
        match (self.keeps(), self.is_old) {
            (false, _) => answer.close(),
            (true, true) => answer.lines("Connection: keep-alive\r\n"),
            (true, false) => {}
        }
        answer
    }
}
