//! The HTTP service: GET, HEAD, PUT, DELETE and OPTIONS on the files of the root.
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

pub mod access_log;
pub mod answer;
pub mod download;
pub mod exchange;
pub mod failure;
pub mod listing;
pub mod media_type;
pub mod metrics;
pub mod receiving;
pub mod reply;
pub mod request_counts;
pub mod rights;
pub mod shared;

use self::access_log::Answered;
use self::answer::{Answer, Today};
use self::download::Version;
use self::exchange::{Exchange, allowed, asked, method_name};
use self::failure::Failure;
use self::receiving::{Part, Receiving};
use self::reply::{Reply, TEXT};
use self::shared::HttpShared;
use super::upload_log::UploadLog;
use crate::session::close_reason::CloseReason;
use crate::session::notice::Notice;
use crate::session::protocol::{BodyEnd, Context, Intake, Protocol, Reaction};
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{OpenFile, Requester, StoreReply, Upload};
use crate::wire::follows::Follows;
use crate::wire::http::conditions::{Conditions, Verdict};
use crate::wire::http::head::{self, Expect, Framing, Method, Parsed, Request};
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
    /// A file that is to be removed, to check the conditions.
    Found(Result<OpenFile, StoreError>),
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
                let done = self.begin(&request, cx);
                let done = done.and_then(|reply| self.resume(reply, cx));
                (length, self.or_fail(done, cx))
            }
        }
    }

    /// Starts what the request asks for.
    fn begin(
        &mut self,
        request: &Request<'_>,
        cx: &Context<'_>,
    ) -> Result<Pending<Outcome>, Failure> {
        let mut rights = self.shared.rights.borrow_mut();
        rights.decide(&asked(request), self.peer.ip(), cx.now)?;
        drop(rights);
        if request.expect == Expect::Other {
            let says = "no other expectation than 100-continue can be met";
            return Err(Failure::new(Status::ExpectationFailed, says));
        }
        let resource = path::resource(request.path, &self.shared.limits.wire)?;
        match (request.method, resource) {
            (Method::Options, resource) => Ok(done(Reply::Options(allowed(&resource)))),
            (Method::Get | Method::Head, resource) => self.read(resource, cx),
            (Method::Put, Resource::File(name)) => self.begin_upload(request, &name, cx),
            (Method::Delete, Resource::File(name)) => Ok(self.begin_removal(name, cx)),
            (Method::Unknown, _) => {
                let says = "the server does not know this method";
                Err(Failure::new(Status::NotImplemented, says))
            }
            (_, resource) => Err(Failure::not_allowed(&resource)),
        }
    }

    fn read(&mut self, resource: Resource, cx: &Context<'_>) -> Result<Pending<Outcome>, Failure> {
        let client = self.requester(cx);
        match resource {
            Resource::File(name) => {
                let opened = self.shared.store.open(&name, client);
                self.exchange().name = name;
                Ok(opened.map(|opened| Outcome::Done(opened.map(Reply::File))))
            }
            Resource::Folder(name) => {
                let slash = if name.is_empty() { "" } else { "/" };
                let index = format!("{name}{slash}index.html");
                self.exchange().name = name;
                if self.shared.index && !self.exchange().query.json {
                    Ok(self.shared.store.open(&index, client).map(Outcome::Index))
                } else {
                    Ok(self.list(cx))
                }
            }
            Resource::Reserved(name) => match &*name {
                "health" => Ok(done(Reply::Page("ok\n".to_owned(), TEXT))),
                "metrics" => {
                    let text = metrics::text(&self.shared);
                    Ok(done(Reply::Page(text, metrics::CONTENT_TYPE)))
                }
                _ => Err(Failure::new(
                    Status::NotFound,
                    "the server has no such page",
                )),
            },
            Resource::Server => Err(Failure::not_allowed(&Resource::Server)),
        }
    }

    fn list(&self, cx: &Context<'_>) -> Pending<Outcome> {
        let exchange = &self.current.as_ref().expect("it lists").exchange;
        let (folder, form) = (exchange.name.as_str(), exchange.list_form());
        let folder = Some(folder).filter(|name| !name.is_empty());
        let listed = self
            .shared
            .store
            .list(folder, form.style(), self.requester(cx));
        listed.map(move |listed| Outcome::Done(listed.map(|list| Reply::List(list, form))))
    }

    fn begin_upload(
        &mut self,
        request: &Request<'_>,
        name: &str,
        cx: &Context<'_>,
    ) -> Result<Pending<Outcome>, Failure> {
        if request.has_content_range {
            let says = "a part of a file cannot be stored; send all of it, without Content-Range";
            return Err(Failure::new(Status::BadRequest, says));
        }
        let size = match request.framing {
            Framing::None => {
                let says = "the length is missing; send Content-Length, or a chunked body";
                return Err(Failure::new(Status::LengthRequired, says));
            }
            Framing::Length(size) => Some(size),
            Framing::Chunked => None,
        };
        self.current().upload_log.begin(name.as_bytes());
        self.exchange().name = name.to_owned();
        let created = self.shared.store.create(name, size, self.requester(cx));
        Ok(created.map(Outcome::Begun))
    }

    fn begin_removal(&mut self, name: String, cx: &Context<'_>) -> Pending<Outcome> {
        let client = self.requester(cx);
        // Without conditions, the version of the file has no meaning.
        if self.exchange().conditions == Conditions::default() {
            return removed(self.shared.store.remove(&name, client));
        }
        let found = self.shared.store.open(&name, client);
        self.exchange().name = name;
        found.map(Outcome::Found)
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
            Ok(Outcome::Index(Ok(file))) => {
                self.exchange().name.push_str("/index.html");
                self.reply(Ok(Reply::File(file)), cx)
            }
            Ok(Outcome::Index(Err(_))) => {
                let listed = self.list(cx);
                self.resume(listed, cx)
            }
            Ok(Outcome::Found(file)) => {
                let (version, client) = (Version::from(file?.version), self.requester(cx));
                let exchange = self.exchange();
                let verdict = exchange.conditions.check(false, Some(version.validators()));
                if verdict != Verdict::Proceed {
                    return Err(Failure::precondition());
                }
                let name = std::mem::take(&mut exchange.name);
                let outcome = removed(self.shared.store.remove(&name, client));
                self.resume(outcome, cx)
            }
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

    /// Goes on with the body of an upload, or stores it.
    fn receive(&mut self, part: Part, cx: &mut Context<'_>) -> Result<Intake, Failure> {
        match part {
            Part::Framing => Ok(Intake::Bytes),
            Part::Data(body) => Ok(Intake::Body(body)),
            Part::End => {
                let HttpState::Receiving(receiving) = self.take_state() else {
                    unreachable!("no body arrives")
                };
                let exchange = self.exchange();
                // The next byte is that of another request.
                (exchange.body, exchange.stored) = (Framing::None, receiving.bytes());
                let stored = receiving.commit(self.requester(cx));
                let stored = stored.map(|stored| Outcome::Done(stored.map(Reply::Stored)));
                self.resume(stored, cx)
            }
        }
    }

    fn read_framing(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> Result<(usize, Intake), Failure> {
        let shared = self.shared.clone();
        let HttpState::Receiving(receiving) = &mut self.current().state else {
            unreachable!("no body arrives")
        };
        let (limits, largest) = (&shared.limits.http, shared.store.largest());
        let (taken, part) = receiving.read_framing(input, follows, limits, largest)?;
        Ok((taken, self.receive(part, cx)?))
    }

    fn end_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Result<Intake, Failure> {
        match (end, self.state()) {
            (BodyEnd::Complete, Some(HttpState::Receiving(receiving))) => {
                let part = receiving.part_arrived();
                self.receive(part, cx)
            }
            (BodyEnd::PeerFinished { missing }, Some(HttpState::Receiving(receiving))) => {
                Err(receiving.ended(missing))
            }
            (BodyEnd::BlobFailed(error), _) => Err(StoreError::from(error).into()),
            (BodyEnd::Abandoned, _) => Ok(Intake::Close(CloseReason::PeerReset)),
            (_, _) => unreachable!("a body ended that was not asked for"),
        }
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
        let current = self.current.take();
        let (method, target, begun) = match current.as_deref() {
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
        match current {
            Some(current) if current.exchange.keeps() => Intake::Bytes,
            _ if status.code() < 400 => Intake::Close(CloseReason::Goodbye),
            _ => Intake::Close(CloseReason::Refused),
        }
    }

    fn exchange(&mut self) -> &mut Exchange {
        &mut self.current().exchange
    }

    fn current(&mut self) -> &mut Current {
        self.current.as_mut().expect("a request is being answered")
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
        }
    }
}

fn done(reply: Reply) -> Pending<Outcome> {
    Pending::Ready(Outcome::Done(Ok(reply)))
}

fn removed(reply: StoreReply<()>) -> Pending<Outcome> {
    reply.map(|removed| Outcome::Done(removed.map(|()| Reply::Removed)))
}

impl Protocol for Http {
    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        if !self.in_body() {
            return self.read_head(input, cx);
        }
        match self.read_framing(input, follows, cx) {
            Ok(read) => read,
            Err(failure) => (input.len(), self.fail(failure, cx)),
        }
    }

    fn on_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Intake {
        let ended = self.end_body(end, cx);
        self.or_fail(ended, cx)
    }

    fn on_work(&mut self, cx: &mut Context<'_>) -> Intake {
        let HttpState::Waiting(reply) = self.take_state() else {
            unreachable!("work was done that was not announced")
        };
        let resumed = self.resume(reply, cx);
        self.or_fail(resumed, cx)
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut Context<'_>) -> Reaction {
        match notice {
            Notice::Deadline(reason @ (CloseReason::Unfinished | CloseReason::TooSlow)) => {
                let says = "the request did not arrive in time";
                self.fail(Failure::new(Status::RequestTimeout, says), cx);
                Reaction::Close(*reason)
            }
            _ => Reaction::Stay,
        }
    }

    fn on_close(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        // The store finishes a commit that it has begun, also without the peer.
        if let Some(current) = &mut self.current
            && !matches!(current.state, HttpState::Waiting(_))
        {
            current.upload_log.failed(reason, cx);
        }
    }

    fn in_body(&self) -> bool {
        matches!(self.state(), Some(HttpState::Receiving(_)))
    }
}
