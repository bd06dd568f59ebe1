//! Writes the answer to a request that has succeeded.

use super::answer::Today;
use super::assets::Asset;
use super::exchange::Exchange;
use super::failure::Failure;
use super::listing::{ListForm, PAGE_FIELDS};
use crate::session::outbox::Outbox;
use crate::store::{Content, OpenFile, Stored};
use crate::wire::http::conditions::{Validators, Verdict};
use crate::wire::http::head::Method;
use crate::wire::http::path;
use crate::wire::http::status::Status;

/// The media type of errors and lists.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// The result of a request.
pub enum Reply {
    /// A file was opened.
    File(OpenFile),
    /// A folder was listed in this form.
    List(Content, ListForm),
    /// A page of the server itself, and its media type.
    Page(String, &'static str),
    /// A part of the page.
    Asset(&'static Asset),
    /// A tab has accepted a request.
    Said,
    /// A file was stored.
    Stored(Stored),
    /// A folder was made, or a file has its new name.
    Made,
    /// A file was removed.
    Removed,
    /// The methods of a resource.
    Options(&'static str),
}

impl Exchange {
    /// Writes the answer. Returns its status, and the length of the body.
    ///
    /// # Errors
    ///
    /// A condition is not met, or the range is not in the file.
    pub fn write(
        &self,
        reply: Reply,
        today: Today<'_>,
        out: &mut Outbox,
    ) -> Result<(Status, u64), Failure> {
        let answer = |status, out| self.answer(status, today.text, out);
        Ok(match reply {
            Reply::File(file) => return self.send_file(file, today, out),
            Reply::List((list, length), form) => {
                let (before, after) = (form.begin(&self.name), form.end());
                let all = length + (before.len() + after.len()) as u64;
                let mut head = answer(Status::Ok, out);
                form.write_fields(&mut head);
                head.end_with(form.media_type(), all);
                if self.method == Method::Get {
                    out.bytes(before.as_bytes());
                    out.body(list, 0..length);
                    out.bytes(after.as_bytes());
                }
                (Status::Ok, all)
            }
            Reply::Page(text, media_type) => {
                let length = text.len() as u64;
                let mut head = answer(Status::Ok, out);
                head.lines("Cache-Control: no-store\r\n");
                head.end_with(media_type, length);
                if self.method == Method::Get {
                    out.bytes(text.as_bytes());
                }
                (Status::Ok, length)
            }
            Reply::Stored(Stored::Created) | Reply::Made => {
                let mut head = answer(Status::Created, out);
                head.field("Location", format_args!("/{}", path::encode(&self.name)));
                head.field("Content-Length", 0);
                head.end();
                (Status::Created, self.stored)
            }
            Reply::Stored(Stored::Replaced) => {
                answer(Status::NoContent, out).end();
                (Status::NoContent, self.stored)
            }
            Reply::Asset(asset) => return Ok(self.write_asset(asset, today, out)),
            Reply::Removed | Reply::Said => {
                answer(Status::NoContent, out).end();
                (Status::NoContent, 0)
            }
            Reply::Options(methods) => {
                let mut head = answer(Status::NoContent, out);
                head.field("Allow", methods);
                head.end();
                (Status::NoContent, 0)
            }
        })
    }

    fn write_asset(&self, asset: &Asset, today: Today<'_>, out: &mut Outbox) -> (Status, u64) {
        let etag = asset.etag();
        let current = Validators {
            etag: &etag,
            modified: 0,
        };
        let status = match self.conditions.check(true, Some(current)) {
            Verdict::NotModified => Status::NotModified,
            _ => Status::Ok,
        };
        let mut head = self.answer(status, today.text, out);
        head.field("ETag", &etag);
        head.lines("Cache-Control: no-cache\r\n");
        if asset.is_page() {
            head.lines("Vary: Accept, User-Agent\r\n");
            head.lines(PAGE_FIELDS);
        }
        if status == Status::NotModified {
            head.end();
            return (status, 0);
        }
        head.end_with(asset.media_type, asset.bytes.len() as u64);
        if self.method == Method::Get {
            out.bytes(asset.bytes);
        }
        (status, asset.bytes.len() as u64)
    }
}
