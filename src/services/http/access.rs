//! Finds out what a request wants to do, for the rights.

use super::rights::{Access, Asked};
use super::streams::{STREAMS, named};
use crate::wire::http::head::{Method, Request};
use crate::wire::http::path::Resource;

/// What the rights need to know of a request for this resource; `None` if its path is invalid.
pub fn asked<'a>(request: &Request<'a>, resource: Option<&Resource>) -> Asked<'a> {
    let reserved = match resource {
        Some(Resource::Reserved(name)) => name,
        _ => "",
    };
    let to_window = |needs_token| match needs_token {
        true => Access::Console,
        false => Access::Window,
    };
    let mut takers = STREAMS.iter().filter(|kind| kind.endpoint == reserved);
    Asked {
        access: match (request.method, reserved) {
            (Method::Put | Method::Delete | Method::Mkcol | Method::Move, _) => Access::Write,
            (Method::Get | Method::Post, "events") => {
                to_window(named(request.query).any(|kind| kind.needs_token))
            }
            // Where no stream takes it, it is refused in any case.
            (Method::Post, _) => to_window(takers.all(|kind| kind.needs_token)),
            _ => Access::Read,
        },
        host: request.host,
        origin: request.origin,
        sec_fetch_site: request.sec_fetch_site,
        authorization: request.authorization,
    }
}
