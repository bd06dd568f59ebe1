//! What comes before a service where clients arrive through a proxy: the PROXY header.
//!
//! ```text
//!   peer is a proxy ─▶ ProxyGreeting ── header ──▶ the service, for the client that it names
//!   any other peer ─▶ NoHeader ── first bytes ──▶ the service, unless they are a header
//! ```
//!
//! Both are replaced by the service, so that afterwards the connection costs what any other does.
//! Without `--proxy-from` neither is used.

use crate::session::close_reason::CloseReason;
use crate::session::notice::{Audience, LogEntry, Notice, Post};
use crate::session::protocol::{BodyEnd, Context, Intake, Protocol, Reaction};
use crate::session::proxies::{Client, Proxies};
use crate::wire::follows::{Follows, Timer};
use crate::wire::proxy_header::{self, SIGNATURE, Source};
use std::net::SocketAddr;
use std::rc::Rc;

/// A service whose clients may arrive through a proxy.
pub struct Proxied {
    /// Its name.
    pub name: &'static str,
    /// The proxies.
    pub proxies: Rc<Proxies>,
    /// Makes its protocol for the client at this address.
    pub make: Box<dyn Fn(SocketAddr) -> Box<dyn Protocol>>,
    /// The reply to a client above the limit of connections of its address.
    pub refusal: Option<&'static [u8]>,
    /// The longest header.
    pub longest: usize,
}

impl Proxied {
    /// The protocol of a new connection from this address.
    pub fn greet(self: &Rc<Proxied>, peer: SocketAddr) -> Box<dyn Protocol> {
        match self.proxies.contains(peer.ip()) {
            true => Box::new(ProxyGreeting {
                service: self.clone(),
                proxy: peer,
            }),
            false => Box::new(NoHeader {
                service: Some((self.make)(peer)),
                name: self.name,
                peer,
                waits: false,
            }),
        }
    }
}

fn reject(
    service: &'static str,
    peer: SocketAddr,
    why: impl std::fmt::Display,
    cx: &mut Context<'_>,
) {
    let entry = LogEntry {
        service,
        peer,
        reason: why.to_string(),
        line: format!("{service}: {peer} rejected: {why}"),
    };
    let (to, notice) = (Audience::Log, Notice::Log(Rc::new(entry)));
    cx.posts.push(Post { to, notice });
}

/// A connection of a proxy before its header is complete.
struct ProxyGreeting {
    service: Rc<Proxied>,
    proxy: SocketAddr,
}

impl ProxyGreeting {
    /// The service, for the client that the header names.
    fn successor(&self, source: Source) -> Box<(Box<dyn Protocol>, Client)> {
        let (address, client) = match source {
            Source::Local => (self.proxy, Client::Proxy),
            // Clients without an address of their own count together, as one client.
            Source::Unknown => (self.proxy, self.client_at(self.proxy)),
            Source::Client(address) => (address, self.client_at(address)),
        };
        Box::new(((self.service.make)(address), client))
    }

    fn client_at(&self, address: SocketAddr) -> Client {
        let refusal = self.service.refusal;
        Client::At { address, refusal }
    }

    fn reject(&self, why: impl std::fmt::Display, cx: &mut Context<'_>) {
        reject(self.service.name, self.proxy, why, cx);
    }
}

impl Protocol for ProxyGreeting {
    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        match proxy_header::parse(input, self.service.longest) {
            Ok(Some(header)) => {
                let successor = self.successor(header.source);
                (header.length, Intake::Replace(successor))
            }
            Ok(None) => {
                // A check that only connects sends nothing.
                if follows == Follows::Eof && !input.is_empty() {
                    self.reject("its PROXY header is cut", cx);
                }
                (0, Intake::Bytes)
            }
            Err(fault) => {
                self.reject(fault, cx);
                (input.len(), Intake::Close(CloseReason::Refused))
            }
        }
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut Context<'_>) -> Reaction {
        if let Notice::Deadline(_) = notice {
            self.reject("its PROXY header did not arrive in time", cx);
        }
        Reaction::Stay
    }

    fn must_begin(&self) -> bool {
        true
    }
}

/// A connection of any other peer before its first bytes. A header is no input for the service: it
/// would claim another address.
struct NoHeader {
    /// The service, which is open. `None` when it has been passed on.
    service: Option<Box<dyn Protocol>>,
    name: &'static str,
    peer: SocketAddr,
    /// Whether the bytes so far could begin a header.
    waits: bool,
}

impl NoHeader {
    fn service(&mut self) -> &mut dyn Protocol {
        &mut **self.service.as_mut().expect("it is not replaced yet")
    }

    fn read_service(&self) -> &dyn Protocol {
        &**self.service.as_ref().expect("it is not replaced yet")
    }
}

impl Protocol for NoHeader {
    fn on_bytes(
        &mut self,
        input: &[u8],
        follows: Follows,
        cx: &mut Context<'_>,
    ) -> (usize, Intake) {
        if input.is_empty() {
            return self.service().on_bytes(input, follows, cx);
        }
        if input.starts_with(&SIGNATURE) {
            reject(
                self.name,
                self.peer,
                "it sent a PROXY header and is not in --proxy-from",
                cx,
            );
            return (input.len(), Intake::Close(CloseReason::Refused));
        }
        // An echo may begin with empty lines: they do not wait for more.
        self.waits = proxy_header::may_begin(input) && follows == Follows::More;
        if self.waits {
            return (0, Intake::Bytes);
        }
        let protocol = self.service.take().expect("it is not replaced yet");
        (0, Intake::Replace(Box::new((protocol, Client::Same))))
    }

    fn on_body(&mut self, end: BodyEnd, cx: &mut Context<'_>) -> Intake {
        self.service().on_body(end, cx)
    }

    fn on_work(&mut self, cx: &mut Context<'_>) -> Intake {
        self.service().on_work(cx)
    }

    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.service().on_open(cx);
    }

    fn on_notice(&mut self, notice: &Notice, cx: &mut Context<'_>) -> Reaction {
        match &mut self.service {
            Some(service) => service.on_notice(notice, cx),
            None => Reaction::Stay,
        }
    }

    fn on_close(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        if let Some(service) = &mut self.service {
            service.on_close(reason, cx);
        }
    }

    fn may_idle(&self) -> bool {
        self.read_service().may_idle()
    }

    fn in_body(&self) -> bool {
        self.read_service().in_body()
    }

    fn awaited(&self) -> Option<Timer> {
        match self.waits {
            true => Some(Timer::Settle),
            false => self.read_service().awaited(),
        }
    }
}
