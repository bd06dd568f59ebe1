//! Remembers which upload a conversation is about, and reports one that comes to nothing.

use crate::session::notice::{Audience, Post};
use crate::session::protocol::Context;
use crate::wire::text;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};

/// The upload that the peer has asked for and that is not stored yet, if there is one.
pub struct UploadReport {
    peer: SocketAddr,
    /// As far as it is known, and fit to be shown.
    name: Option<Box<str>>,
}

impl UploadReport {
    /// A conversation with this peer.
    pub fn new(peer: SocketAddr) -> UploadReport {
        UploadReport { peer, name: None }
    }

    /// Where the peer comes from.
    pub fn address(&self) -> IpAddr {
        self.peer.ip()
    }

    /// An upload is asked for, or more is known of its name.
    pub fn begin(&mut self, name: &[u8]) {
        self.name = Some(text::excerpt(name).into());
    }

    /// Whether an upload is asked for.
    pub fn is_begun(&self) -> bool {
        self.name.is_some()
    }

    /// An upload is asked for with words that are refused: this shows best what its name was to be,
    /// unless that is known already.
    pub fn guess(&mut self, name: &[u8]) {
        if self.name.as_deref().is_none_or(str::is_empty) {
            self.begin(name);
        }
    }

    /// The upload is stored.
    pub fn stored(&mut self) {
        self.name = None;
    }

    /// The upload, if there is one, will never be stored.
    pub fn lost(&mut self, why: impl Display, cx: &mut Context<'_>) {
        if let Some(name) = self.name.take() {
            let line = format!("the upload {name:?} from {} is lost: {why}", self.peer);
            cx.posts.push(Post::line(Audience::Log, line));
        }
    }
}
