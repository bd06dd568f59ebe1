//! PUT and DELETE: begins them, and receives the body of an upload.

use super::failure::Failure;
use super::receiving::Part;
use super::reply::Reply;
use super::{Http, HttpState, Outcome};
use crate::session::close_reason::CloseReason;
use crate::session::protocol::{BodyEnd, Context, Intake};
use crate::store::StoreReply;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::wire::follows::Follows;
use crate::wire::http::conditions::Conditions;
use crate::wire::http::head::{Framing, Request};
use crate::wire::http::status::Status;

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
        let client = self.requester(cx);
        // Without conditions, the version of the file has no meaning.
        if self.exchange().conditions == Conditions::default() {
            return removed(self.shared.store.remove(&name, client));
        }
        let found = self.shared.store.open(&name, client);
        self.exchange().name = name;
        found.map(Outcome::Found)
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

/// The outcome of a removal.
pub(super) fn removed(reply: StoreReply<()>) -> Pending<Outcome> {
    reply.map(|removed| Outcome::Done(removed.map(|()| Reply::Removed)))
}
