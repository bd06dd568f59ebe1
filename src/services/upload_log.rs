//! Logs uploads that were requested and not stored.

use crate::session::notice::{Audience, LogEntry, Notice, Post};
use crate::session::protocol::Context;
use crate::wire::text;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// The upload of one connection that is requested and not stored yet, if there is one.
pub struct UploadLog {
    service: &'static str,
    peer: SocketAddr,
    /// The part of the name that is known, sanitized. Empty before the name arrives.
    name: Option<Box<str>>,
}

impl UploadLog {
    /// No upload is requested.
    pub fn new(service: &'static str, peer: SocketAddr) -> UploadLog {
        UploadLog {
            service,
            peer,
            name: None,
        }
    }

    /// The address and port of the peer.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address of the peer.
    pub fn address(&self) -> IpAddr {
        self.peer.ip()
    }

    /// An upload is requested, or more of its name is known.
    pub fn begin(&mut self, name: &[u8]) {
        self.name = Some(text::excerpt(name).into());
    }

    /// Whether an upload is requested and not stored yet.
    pub fn is_open(&self) -> bool {
        self.name.is_some()
    }

    /// Takes the name from a request that is rejected, unless a name is known already.
    pub fn note_name(&mut self, name: &[u8]) {
        if self.name.as_deref().is_none_or(str::is_empty) {
            self.begin(name);
        }
    }

    /// The upload is stored.
    pub fn stored(&mut self) {
        self.name = None;
    }

    /// The upload, if there is one, was not stored: logs it.
    pub fn failed(&mut self, why: impl Display, cx: &mut Context<'_>) {
        if let Some(name) = self.name.take() {
            let UploadLog { service, peer, .. } = self;
            let line = format!("{service}: upload {name:?} from {peer} failed: {why}");
            let entry = LogEntry {
                service,
                peer: *peer,
                reason: why.to_string(),
                line,
            };
            let (to, notice) = (Audience::Log, Notice::Log(Rc::new(entry)));
            cx.posts.push(Post { to, notice });
        }
    }
}
