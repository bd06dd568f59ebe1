//! The window in a browser: tabs, and the POST requests for them.
//!
//! ```text
//!          complete head         JSON, tab found      the tab has answered
//!   POST ────────────────▶ Body ────────────────▶ Asked ──────────────────▶ 204, or the reason
//!   GET /-/events ───────▶ Events, to the end of the connection
//! ```

use super::answer::Answer;
use super::ask::{AnswerSlot, Ask, bad_fields, no_tab};
use super::failure::Failure;
use super::methods::ENDPOINTS;
use super::reply::Reply;
use super::streams::named;
use super::tab::Tab;
use super::{Http, HttpState, done};
use crate::session::notice::{Audience, Notice, Post};
use crate::session::protocol::{Context, Intake, Reaction};
use crate::wire::follows::Follows;
use crate::wire::http::head::{Expect, Framing, Request};
use crate::wire::http::status::Status;
use serde_json::{Map, Value};

/// A POST request whose body arrives.
pub struct PostBody {
    endpoint: &'static str,
    switched: Option<&'static str>,
    length: usize,
}

impl Http {
    /// Opens a tab.
    pub(super) fn open_tab(
        &mut self,
        request: &Request<'_>,
        cx: &mut Context<'_>,
    ) -> Result<Intake, Failure> {
        let last = request.last_event_id.and_then(|id| str::from_utf8(id).ok());
        let mut tab = Tab::open(&self.shared, self.peer, request.query, last, cx)?;
        let shared = self.shared.clone();
        let exchange = self.exchange();
        // Without a length, the end of the connection is the end of the answer. Chunks would only
        // add bytes: no request follows.
        exchange.keep_alive = false;
        let mut date = shared.date.borrow_mut();
        let mut answer: Answer<'_> = exchange.answer(Status::Ok, date.at(cx.unix), cx.out);
        answer.lines("Content-Type: text/event-stream\r\nCache-Control: no-store\r\n");
        answer.lines("X-Content-Type-Options: nosniff\r\n");
        answer.end();
        drop(date);
        self.record(Status::Ok, 0, cx);
        let intake = tab.pump(cx);
        self.current().state = HttpState::Events(Box::new(tab));
        Ok(intake)
    }

    /// The head of a POST request is complete.
    pub(super) fn begin_post(
        &mut self,
        request: &Request<'_>,
        name: &str,
        cx: &mut Context<'_>,
    ) -> Result<Intake, Failure> {
        let endpoint = ENDPOINTS.into_iter().find(|endpoint| *endpoint == name);
        let endpoint = endpoint.expect("checked by the caller");
        let switched = match endpoint {
            "events" => Some(named_alone(request.query)?),
            _ => None,
        };
        let media_type = request.content_type.unwrap_or_default();
        let media_type = media_type.split(|&byte| byte == b';').next();
        let media_type = media_type.unwrap_or_default().trim_ascii();
        if !media_type.eq_ignore_ascii_case(b"application/json") {
            let says = "the body must be JSON, with Content-Type: application/json";
            return Err(Failure::new(Status::UnsupportedMediaType, says));
        }
        let most = self.shared.limits.window.post;
        let length = match request.framing {
            Framing::Length(length) => usize::try_from(length).unwrap_or(usize::MAX),
            Framing::None | Framing::Chunked => {
                let says = "the body must have its length in Content-Length";
                return Err(Failure::new(Status::LengthRequired, says));
            }
        };
        if length > most {
            let says = format!("the body may have at most {most} bytes");
            return Err(Failure::new(Status::ContentTooLarge, says));
        }
        if request.expect == Expect::Continue {
            cx.out.bytes(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if length == 0 {
            // No byte follows, with which it would be read.
            return self.ask(endpoint, switched, b"", cx);
        }
        let body = PostBody {
            endpoint,
            switched,
            length,
        };
        self.current().state = HttpState::Posting(body);
        Ok(Intake::Bytes)
    }

    /// Reads the body of a POST request, once all of it has arrived.
    pub(super) fn read_post(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> Result<(usize, Intake), Failure> {
        let HttpState::Posting(body) = &self.current().state else {
            unreachable!("no body of POST arrives")
        };
        let (endpoint, switched, length) = (body.endpoint, body.switched, body.length);
        let Some(body) = input.get(..length) else {
            if follows == Follows::Eof {
                let says = format!("only {} of {length} bytes came", input.len());
                return Err(Failure::new(Status::BadRequest, says));
            }
            return Ok((0, Intake::Bytes));
        };
        // The next byte is that of another request.
        self.exchange().body = Framing::None;
        let intake = self.ask(endpoint, switched, body, cx);
        Ok((length, self.or_fail(intake, cx)))
    }

    /// Passes the request on to its tab.
    fn ask(
        &mut self,
        endpoint: &'static str,
        switched: Option<&'static str>,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<Intake, Failure> {
        let (tab, fields) = parse(body)?;
        let found = self.shared.tabs.borrow().find(&tab);
        let (session, asks) = found.ok_or_else(no_tab)?;
        let slot = AnswerSlot::default();
        asks.borrow_mut().push_back(Ask {
            from: cx.me,
            endpoint,
            switched,
            fields,
            slot: slot.clone(),
        });
        cx.posts.push(Post {
            to: Audience::One(session),
            notice: Notice::Wake,
        });
        self.current().state = HttpState::Asked(slot);
        Ok(Intake::Hold)
    }

    /// The tab may have answered.
    pub(super) fn on_wake(&mut self, cx: &mut Context<'_>) -> Reaction {
        let Some(HttpState::Asked(slot)) = self.state() else {
            return Reaction::Stay;
        };
        let Some(answer) = slot.borrow_mut().take() else {
            return Reaction::Stay;
        };
        let answered = answer.and_then(|()| self.resume(done(Reply::Said), cx));
        match self.or_fail(answered, cx) {
            Intake::Close(reason) => Reaction::Close(reason),
            // The next request may have arrived.
            _ => Reaction::Work,
        }
    }
}

/// The only stream that a query names.
fn named_alone(query: &str) -> Result<&'static str, Failure> {
    let mut kinds = named(query);
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) => Ok(kind.name),
        _ => {
            let says = "the query must name one stream, for example POST /-/events?room";
            Err(Failure::new(Status::BadRequest, says))
        }
    }
}

/// The tab and the other fields in a body.
fn parse(body: &[u8]) -> Result<(String, Map<String, Value>), Failure> {
    let mut fields = match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err(bad_fields("`tab` and what is to be done")),
        Err(error) => {
            let says = format!("the body is not JSON: {error}");
            return Err(Failure::new(Status::BadRequest, says));
        }
    };
    match fields.remove("tab") {
        Some(Value::String(tab)) => Ok((tab, fields)),
        _ => Err(bad_fields("`tab` and what is to be done")),
    }
}
