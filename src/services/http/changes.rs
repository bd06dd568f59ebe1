//! PUT and DELETE: begins them, and receives the body of an upload.

use super::download::Version;
use super::failure::Failure;
use super::receiving::Part;
use super::reply::Reply;
use super::{Http, HttpState, Outcome};
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{BodyEnd, Context, Intake};
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::wire::follows::Follows;
use crate::wire::http::conditions::{Conditions, Validators, Verdict};
use crate::wire::http::head::{Framing, Method, Request};
use crate::wire::http::status::Status;

/// A folder exists, and has neither a tag nor a date.
const FOLDER: Validators<'_> = Validators {
    etag: "",
    modified: 0,
};

impl Http {
    pub(super) fn begin_upload(
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

    pub(super) fn begin_removal(&mut self, name: String, cx: &Context<'_>) -> Pending<Outcome> {
        let (store, client) = (self.shared.store.clone(), self.requester(cx));
        self.if_met(&name.clone(), cx, move || {
            let removed = store.remove(&name, client);
            removed.map(|removed| Outcome::Done(removed.map(|()| Reply::Removed)))
        })
    }

    /// Calls `act` if what has the name meets the conditions of the request. Conditions of a
    /// request that is refused in any case are ignored: RFC 9110, section 13.2.1.
    pub(super) fn if_met(
        &mut self,
        name: &str,
        cx: &Context<'_>,
        act: impl FnOnce() -> Pending<Outcome> + 'static,
    ) -> Pending<Outcome> {
        let client = self.requester(cx);
        let exchange = self.exchange();
        let (method, conditions) = (exchange.method, std::mem::take(&mut exchange.conditions));
        // Without conditions, the version of the file has no meaning.
        if conditions == Conditions::default() {
            return act();
        }
        let opened = self.shared.store.open(name.trim_end_matches('/'), client);
        opened.then(move |opened| {
            let check = |current| conditions.check(false, current) == Verdict::Proceed;
            let is_met = match (method, opened) {
                (Method::Mkcol, Err(StoreError::NotFound)) => check(None),
                (Method::Mkcol, _) => true,
                (Method::Move, Err(StoreError::Folder)) => check(Some(FOLDER)),
                (_, Ok(file)) => check(Some(Version::from(file.version).validators())),
                (_, Err(error)) => return Pending::Ready(Outcome::Done(Err(error))),
            };
            match is_met {
                true => act(),
                false => Pending::Ready(Outcome::Unmet),
            }
        })
    }

    /// Goes on with the body of an upload, or stores it.
    pub(super) fn receive(&mut self, part: Part, cx: &mut Context<'_>) -> Result<Intake, Failure> {
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

    pub(super) fn read_framing(
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

    pub(super) fn end_body(
        &mut self,
        end: BodyEnd,
        cx: &mut Context<'_>,
    ) -> Result<Intake, Failure> {
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
}
