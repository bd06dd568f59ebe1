//! The HTTP service: the files of the root, also MKCOL and MOVE, and the window in a browser.
//!
//! ```text
//!           complete head                     opened, removed, listed: answer
//!   Head ──────────────────▶ Waiting ─────────────────────────────────────────▶ Head, or closed
//!    ▲                        │   ▲
//!    │             PUT: file  ▼   │ commit
//!    │             created  Receiving ── body; if it is chunked: size, chunk, size, chunk, ...
//!    └── answer ── stored ────┘
//! ```
//!
//! What the requests mean is in RFC 9110, their syntax in RFC 9112.

pub mod access;
pub mod access_log;
pub mod answer;
pub mod ask;
pub mod assets;
pub mod changes;
pub mod client_stream;
pub mod download;
pub mod event_stream;
pub mod exchange;
pub mod failure;
pub mod listing;
pub mod loop_stream;
pub mod media_type;
pub mod methods;
pub mod metrics;
pub mod naming;
pub mod operator_stream;
pub mod reading;
pub mod receiving;
pub mod reply;
pub mod request_counts;
pub mod rights;
pub mod room_stream;
pub mod shared;
pub mod streams;
pub mod tab;
pub mod tabs;
pub mod window;

use self::access::asked;
use self::access_log::Answered;
use self::answer::{Answer, Today};
use self::ask::AnswerSlot;
use self::exchange::Exchange;
use self::failure::Failure;
use self::methods::{allowed, is_endpoint, is_of_window, method_name};
use self::reading::{index_of, with_digest};
use self::receiving::Receiving;
use self::reply::{Reply, TEXT};
use self::shared::HttpShared;
use self::tab::Tab;
use self::window::PostBody;
use super::upload_log::UploadLog;
use crate::session::close_reason::CloseReason;
use crate::session::notice::Notice;
use crate::session::protocol::{BodyEnd, Context, Intake, Protocol, Reaction};
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{OpenFile, Requester, Upload};
use crate::wire::follows::{Follows, Timer};
use crate::wire::http::head::{self, Expect, Method, Parsed, Request};
use crate::wire::http::path::{self, Resource};
use crate::wire::http::status::Status;
use std::net::SocketAddr;
use std::rc::Rc;

/// The HTTP service.
pub struct Http {
    shared: Rc<HttpShared>,
    peer: SocketAddr,
    /// The request that is not answered yet. An idle connection has none.
    current: Option<Box<Current>>,
}

struct Current {
    exchange: Exchange,
    upload_log: UploadLog,
    state: HttpState,
}

enum HttpState {
    /// The body of a POST arrives.
    Posting(PostBody),
    /// A tab is to answer.
    Asked(AnswerSlot),
    /// Events are sent, to the end of the connection.
    Events(Box<Tab>),
    /// Its head is complete.
    Begun,
    /// A store operation is pending.
    Waiting(Pending<Outcome>),
    /// The body of a PUT arrives.
    Receiving(Receiving),
}

/// The result of a store operation.
enum Outcome {
    /// The request is done.
    Done(Result<Reply, StoreError>),
    /// The file that is asked for.
    Opened(Result<OpenFile, StoreError>),
    /// A condition of a change is not met.
    Unmet,
    /// The file that answers for its folder, if there is one.
    Index(Result<OpenFile, StoreError>),
    /// An upload can begin.
    Begun(Result<Box<dyn Upload>, StoreError>),
}

impl Http {
    /// A session of the peer at this address.
    pub fn new(shared: Rc<HttpShared>, peer: SocketAddr) -> Http {
        Http {
            shared,
            peer,
            current: None,
        }
    }

    fn read_head(&mut self, input: &[u8], cx: &mut Context<'_>) -> (usize, Intake) {
        let limits = self.shared.limits.clone();
        match head::parse(input, &limits.http) {
            Parsed::Partial => (0, Intake::Bytes),
            Parsed::Refused(refusal) => (input.len(), self.fail(refusal.into(), cx)),
            Parsed::Request(request, length) => {
                self.current = Some(Box::new(Current {
                    exchange: Exchange::new(&request, cx.micros),
                    upload_log: UploadLog::new("http", self.peer),
                    state: HttpState::Begun,
                }));
                if request.method == Method::Put {
                    let name = request.path.trim_start_matches('/');
                    self.current().upload_log.begin(name.as_bytes());
                }
                let begun = self.begin(&request, cx);
                (length, self.or_fail(begun, cx))
            }
        }
    }

    /// Starts what the request asks for.
    fn begin(&mut self, request: &Request<'_>, cx: &mut Context<'_>) -> Result<Intake, Failure> {
        let resource = path::resource(request.path, &self.shared.limits.wire);
        let asked = asked(request, resource.as_ref().ok());
        let mut rights = self.shared.rights.borrow_mut();
        rights.decide(&asked, self.peer.ip(), cx.now)?;
        drop(rights);
        if request.expect == Expect::Other {
            let says = "no other expectation than 100-continue can be met";
            return Err(Failure::new(Status::ExpectationFailed, says));
        }
        let resource = resource?;
        let outcome = match (request.method, resource) {
            (Method::Options, resource) => done(Reply::Options(allowed(&resource))),
            (Method::Get, Resource::Reserved(name)) if name == "events" => {
                return self.open_tab(request, cx);
            }
            (Method::Post, Resource::Reserved(name)) if is_endpoint(&name) => {
                return self.begin_post(request, &name, cx);
            }
            (Method::Get | Method::Head, resource) if !is_of_window(&resource) => {
                self.read(resource, cx)?
            }
            (Method::Put, Resource::File(name)) => self.begin_upload(request, &name, cx)?,
            (Method::Delete, Resource::File(name)) => self.begin_removal(name, cx),
            (Method::Mkcol | Method::Move, Resource::File(name)) => {
                self.begin_naming(request, name, cx)?
            }
            (Method::Mkcol | Method::Move, Resource::Folder(name)) if !name.is_empty() => {
                self.begin_naming(request, name + "/", cx)?
            }
            (Method::Unknown, _) => {
                let says = "the server does not know this method";
                return Err(Failure::new(Status::NotImplemented, says));
            }
            (_, resource) => return Err(Failure::not_allowed(&resource)),
        };
        self.resume(outcome, cx)
    }

    /// Answers or goes on, or waits until the store operation is done.
    fn resume(
        &mut self,
        outcome: Pending<Outcome>,
        cx: &mut Context<'_>,
    ) -> Result<Intake, Failure> {
        match outcome.take() {
            Err(pending) => {
                self.current().state = HttpState::Waiting(pending);
                Ok(Intake::Wait)
            }
            Ok(Outcome::Done(reply)) => self.reply(reply, cx),
            Ok(Outcome::Opened(Ok(file))) if self.exchange().digests(&file) => {
                let (client, store) = (self.requester(cx), self.shared.store.clone());
                let digest = store.digest(&self.exchange().name, None, client);
                self.resume(with_digest(file, digest), cx)
            }
            Ok(Outcome::Opened(opened)) => self.reply(opened.map(Reply::File), cx),
            Ok(Outcome::Index(Ok(file))) => {
                let exchange = self.exchange();
                exchange.name = index_of(&exchange.name);
                self.resume(Pending::Ready(Outcome::Opened(Ok(file))), cx)
            }
            Ok(Outcome::Index(Err(_))) => {
                let listed = self.show_folder(cx);
                self.resume(listed, cx)
            }
            Ok(Outcome::Unmet) => Err(Failure::precondition()),
            Ok(Outcome::Begun(upload)) => {
                let current = self.current();
                let (receiving, part) = Receiving::begin(upload?, &current.exchange, cx.out)?;
                current.state = HttpState::Receiving(receiving);
                self.receive(part, cx)
            }
        }
    }

    fn reply(
        &mut self,
        reply: Result<Reply, StoreError>,
        cx: &mut Context<'_>,
    ) -> Result<Intake, Failure> {
        let shared = self.shared.clone();
        let Current {
            exchange,
            upload_log,
            ..
        } = self.current();
        let reads = matches!(exchange.method, Method::Get | Method::Head);
        let reply = match reply {
            Err(StoreError::Folder) if reads => {
                return Err(Failure::moved(&exchange.name, exchange.query));
            }
            Err(StoreError::Exists) if exchange.method == Method::Mkcol => {
                let folder = Resource::Folder(String::new());
                return Err(Failure::not_allowed(&folder));
            }
            Err(error @ StoreError::NoFolder) if reads => {
                return Err(Failure::new(Status::NotFound, error.to_string()));
            }
            reply => reply?,
        };
        if matches!(reply, Reply::Stored(_)) {
            upload_log.stored();
        }
        let mut date = shared.date.borrow_mut();
        let (seconds, text) = (cx.unix, date.at(cx.unix));
        let (status, bytes) = exchange.write(reply, Today { seconds, text }, cx.out)?;
        drop(date);
        Ok(self.finish(status, bytes, cx))
    }

    fn or_fail(&mut self, done: Result<Intake, Failure>, cx: &mut Context<'_>) -> Intake {
        done.unwrap_or_else(|failure| self.fail(failure, cx))
    }

    /// Answers with the reason. The connection is closed if the rest of the request follows.
    fn fail(&mut self, failure: Failure, cx: &mut Context<'_>) -> Intake {
        let Failure {
            status,
            says,
            fields,
        } = failure;
        if let Some(current) = &mut self.current {
            current.upload_log.failed(&says, cx);
        }
        let exchange = self.current.as_ref().map(|current| &current.exchange);
        let mut cache = self.shared.date.borrow_mut();
        let date = cache.at(cx.unix);
        let mut answer = match exchange {
            Some(exchange) => exchange.answer(status, date, cx.out),
            None => {
                let mut answer = Answer::begin(cx.out, status, date);
                answer.close();
                answer
            }
        };
        answer.lines(&fields);
        answer.end_with(TEXT, says.len() as u64 + 1);
        if exchange.is_none_or(|exchange| exchange.method != Method::Head) {
            cx.out.bytes(says.as_bytes());
            cx.out.bytes(b"\n");
        }
        drop(cache);
        self.finish(status, says.len() as u64 + 1, cx)
    }

    /// The request is answered with this status and this number of bytes.
    fn finish(&mut self, status: Status, bytes: u64, cx: &Context<'_>) -> Intake {
        self.record(status, bytes, cx);
        match self.current.take() {
            Some(current) if current.exchange.keeps() => Intake::Bytes,
            _ if status.code() < 400 => Intake::Close(CloseReason::Goodbye),
            _ => Intake::Close(CloseReason::Refused),
        }
    }

    /// Counts and logs an answer.
    fn record(&self, status: Status, bytes: u64, cx: &Context<'_>) {
        let (method, target, begun) = match self.current.as_deref() {
            Some(Current { exchange, .. }) => (
                method_name(exchange.method),
                &*exchange.target,
                exchange.begun,
            ),
            None => ("-", "", cx.micros),
        };
        self.shared.requests.add(method, status.code());
        let answered = Answered {
            method,
            target,
            status: status.code(),
            bytes,
            micros: cx.micros.saturating_sub(begun),
            peer: self.peer,
        };
        answered.log();
    }

    fn exchange(&mut self) -> &mut Exchange {
        &mut self.current().exchange
    }

    fn current(&mut self) -> &mut Current {
        self.current.as_mut().expect("a request is being answered")
    }

    fn tab(&mut self) -> Option<&mut Tab> {
        match &mut self.current.as_mut()?.state {
            HttpState::Events(tab) => Some(tab),
            _ => None,
        }
    }

    fn state(&self) -> Option<&HttpState> {
        self.current.as_ref().map(|current| &current.state)
    }

    fn take_state(&mut self) -> HttpState {
        std::mem::replace(&mut self.current().state, HttpState::Begun)
    }

    fn requester(&self, cx: &Context<'_>) -> Requester {
        Requester {
            session: cx.me,
            address: self.peer.ip(),
            reads: cx.reads,
        }
    }
}

fn done(reply: Reply) -> Pending<Outcome> {
    Pending::Ready(Outcome::Done(Ok(reply)))
}

impl Protocol for Http {
    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        let read = match &mut self.current {
            None => return self.read_head(input, cx),
            Some(current) => match &mut current.state {
                // What a tab sends has no meaning.
                HttpState::Events(tab) => return (input.len(), tab.on_bytes(follows, cx)),
                HttpState::Posting(_) => self.read_post(input, follows, cx),
                HttpState::Asked(_) => return (0, Intake::Hold),
                _ => self.read_framing(input, follows, cx),
            },
        };
        match read {
            Ok(read) => read,
            Err(failure) => (input.len(), self.fail(failure, cx)),
        }
    }

    fn on_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Intake {
        let ended = self.end_body(end, cx);
        self.or_fail(ended, cx)
    }

    fn on_work(&mut self, cx: &mut Context<'_>) -> Intake {
        let Some(current) = &mut self.current else {
            // The answer of a tab has been sent.
            return Intake::Bytes;
        };
        if let HttpState::Events(tab) = &mut current.state {
            return tab.pump(cx);
        }
        let HttpState::Waiting(reply) = self.take_state() else {
            unreachable!("work was done that was not announced")
        };
        let resumed = self.resume(reply, cx);
        self.or_fail(resumed, cx)
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut Context<'_>) -> Reaction {
        if let Some(tab) = self.tab() {
            return tab.on_notice(notice, cx);
        }
        match notice {
            Notice::Wake => self.on_wake(cx),
            Notice::Deadline(reason @ (CloseReason::Unfinished | CloseReason::TooSlow)) => {
                let says = "the request did not arrive in time";
                self.fail(Failure::new(Status::RequestTimeout, says), cx);
                Reaction::Close(*reason)
            }
            _ => Reaction::Stay,
        }
    }

    fn on_close(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        if let Some(tab) = self.tab() {
            return tab.on_close(cx);
        }
        // The store finishes a commit that it has begun, also without the peer.
        if let Some(current) = &mut self.current
            && !matches!(current.state, HttpState::Waiting(_))
        {
            current.upload_log.failed(reason, cx);
        }
    }

    fn in_body(&self) -> bool {
        let state = self.state();
        matches!(state, Some(HttpState::Receiving(_) | HttpState::Posting(_)))
    }

    /// A tab may be silent. While events wait for it, it must read at the minimum rate.
    fn may_idle(&self) -> bool {
        matches!(self.state(), Some(HttpState::Events(tab)) if !tab.has_more())
    }

    fn awaited(&self) -> Option<Timer> {
        match self.state() {
            Some(HttpState::Events(tab)) => tab.awaited(),
            _ => None,
        }
    }
}
