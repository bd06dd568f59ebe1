//! MKCOL and MOVE: makes folders, and renames files and folders (RFC 4918). Nothing is replaced,
//! as with `Overwrite: F`.

use super::failure::Failure;
use super::reply::Reply;
use super::{Http, Outcome};
use crate::session::protocol::Context;
use crate::store::StoreReply;
use crate::store::pending::Pending;
use crate::wire::http::head::{Method, Request};
use crate::wire::http::path::{self, Resource};
use crate::wire::http::status::Status;

impl Http {
    /// Makes the folder of this name, or moves what has this name to the destination. Only the name
    /// of a folder may end with a slash.
    pub(super) fn begin_naming(
        &mut self,
        request: &Request<'_>,
        name: String,
        cx: &Context<'_>,
    ) -> Result<Pending<Outcome>, Failure> {
        let client = self.requester(cx);
        if self.exchange().has_body() {
            let says = "this method takes no body";
            return Err(Failure::new(Status::UnsupportedMediaType, says));
        }
        let store = self.shared.store.clone();
        if request.method == Method::Mkcol {
            self.exchange().name = with_slash(name.clone());
            let at = name.clone();
            return Ok(self.if_met(&at, cx, move || outcome(store.make_folder(&name, client))));
        }
        let limits = self.shared.limits.clone();
        let Some(destination) = request.destination else {
            let says = "the field Destination is missing: it has the new address";
            return Err(Failure::new(Status::BadRequest, says));
        };
        let new = match path::destination(destination, request.host, &limits.wire)? {
            Resource::File(new) => new,
            Resource::Folder(new) => new + "/",
            resource => return Err(Failure::not_allowed(&resource)),
        };
        self.exchange().name = match name.ends_with('/') {
            true => with_slash(new.clone()),
            false => new.clone(),
        };
        let old = name.clone();
        Ok(self.if_met(&old, cx, move || outcome(store.rename(&name, &new, client))))
    }
}

/// The name of a folder.
fn with_slash(name: String) -> String {
    match name.ends_with('/') {
        true => name,
        false => name + "/",
    }
}

fn outcome(reply: StoreReply<()>) -> Pending<Outcome> {
    reply.map(|made| Outcome::Done(made.map(|()| Reply::Made)))
}
