//! GET and HEAD: opens what they name.

use super::assets::{self, PAGE};
use super::failure::Failure;
use super::reply::{Reply, TEXT};
use super::{Http, Outcome, done, metrics};
use crate::session::protocol::Context;
use crate::store::error::StoreError;
use crate::store::pending::Pending;
use crate::store::{FileDigest, OpenFile, StoreReply};
use crate::wire::http::path::Resource;
use crate::wire::http::status::Status;

impl Http {
    /// Opens a file, a folder or a page of the server.
    pub(super) fn read(
        &mut self,
        resource: Resource,
        cx: &Context<'_>,
    ) -> Result<Pending<Outcome>, Failure> {
        let client = self.requester(cx);
        match resource {
            Resource::File(name) => {
                let opened = self.shared.store.open(&name, client);
                self.exchange().name = name;
                Ok(opened.map(Outcome::Opened))
            }
            Resource::Folder(name) => {
                let index = index_of(&name);
                self.exchange().name = name;
                if self.shared.index && !self.exchange().query.wants_list() {
                    Ok(self.shared.store.open(&index, client).map(Outcome::Index))
                } else {
                    Ok(self.show_folder(cx))
                }
            }
            Resource::Reserved(name) => match &*name {
                "health" => Ok(done(Reply::Page("ok\n".to_owned(), TEXT))),
                "metrics" => {
                    let text = metrics::text(&self.shared);
                    Ok(done(Reply::Page(text, metrics::CONTENT_TYPE)))
                }
                name => match assets::find(name) {
                    Some(asset) => Ok(done(Reply::Asset(asset))),
                    None => Err(Failure::new(
                        Status::NotFound,
                        "the server has no such page",
                    )),
                },
            },
            Resource::Server => Err(Failure::not_allowed(&Resource::Server)),
        }
    }

    /// Answers for a folder with a list, or with the page, which asks for the list itself.
    pub(super) fn show_folder(&self, cx: &Context<'_>) -> Pending<Outcome> {
        let exchange = &self.current.as_ref().expect("it lists").exchange;
        let (folder, store) = (exchange.name.as_str(), &self.shared.store);
        let Some(form) = exchange.list_form() else {
            let page = Reply::Asset(&PAGE);
            if folder.is_empty() {
                return done(page);
            }
            let opened = store.open(folder, self.requester(cx));
            return opened.map(|opened| {
                Outcome::Done(match opened {
                    Err(StoreError::Folder) => Ok(page),
                    Err(error) => Err(error),
                    Ok(_) => Err(StoreError::NotFound),
                })
            });
        };
        let folder = Some(folder).filter(|name| !name.is_empty());
        let listed = store.list(folder, form.style(), self.requester(cx));
        listed.map(move |listed| Outcome::Done(listed.map(|list| Reply::List(list, form))))
    }
}

/// The name of the file that answers for a folder.
pub(super) fn index_of(folder: &str) -> String {
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{slash}index.html")
}

/// Adds the digest to an open file. Without one the answer has no field for it.
pub(super) fn with_digest(file: OpenFile, digest: StoreReply<FileDigest>) -> Pending<Outcome> {
    digest.map(move |digest| {
        // The name may belong to another file by now.
        let same = digest.ok().filter(|digest| digest.version == file.version);
        let sha256 = same.map(|digest| digest.sha256);
        Outcome::Done(Ok(Reply::File(OpenFile { sha256, ..file })))
    })
}
