//! Accepts connections up to the limit, a bounded number of each service a round.
//! At the limit, clients wait in the kernel's backlog: listen(2).

use super::ReactorLimits;
use super::clock::{Moment, SECOND};
use super::dispatcher::Dispatcher;
use super::io::Io;
use crate::session::log_limit::LogLimit;
use crate::session::protocol::Protocol;
use crate::session::proxies::Proxies;
use rustix::io::Errno;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

/// Makes the protocol for a new connection from this address.
pub type MakeProtocol = Box<dyn Fn(SocketAddr) -> Box<dyn Protocol>>;

/// A listening socket and the service behind it.
pub struct ServiceListener<L> {
    /// The name of the service.
    pub name: &'static str,
    /// The socket.
    pub socket: L,
    /// Makes the protocol of a new connection.
    pub make: MakeProtocol,
    /// The reply to a connection above the limit of its address; `None` where the service has no
    /// error reply.
    pub refusal: Option<&'static [u8]>,
    /// The peers that `make` lets name their client. Their own addresses are not limited.
    pub proxies: Rc<Proxies>,
    /// Whether connections may be waiting. The kernel reports that once, so the bit stays set at
    /// the limit.
    pub readable: bool,
}

/// The listeners, and whether a connection may be accepted.
pub struct Acceptor<I: Io> {
    listeners: Vec<ServiceListener<I::Listener>>,
    limit: usize,
    per_turn: usize,
    /// The number of the listener that is accepted from first.
    first: usize,
    shortage: Option<Shortage>,
    full_logged: LogLimit,
}

/// The state after accept(2) has failed for lack of a descriptor or of memory.
#[derive(Debug, Clone, Copy)]
struct Shortage {
    /// With fewer connections than this, a descriptor is free again.
    connections: usize,
    /// When to try again without a closed connection: other files may have been closed.
    retry: Moment,
}

impl<I: Io> Acceptor<I> {
    /// An acceptor for these listeners.
    pub fn new(
        listeners: Vec<ServiceListener<I::Listener>>,
        limits: &ReactorLimits,
    ) -> Acceptor<I> {
        Acceptor {
            listeners,
            limit: limits.connections,
            per_turn: limits.accepts_per_turn,
            first: 0,
            shortage: None,
            full_logged: LogLimit::new(1),
        }
    }

    /// Notes that the listener of this number is readable.
    pub fn mark(&mut self, number: u32) {
        if let Some(listener) = self.listeners.get_mut(number as usize) {
            listener.readable = true;
        }
    }

    /// Closes the listeners. Clients that wait in a backlog get a reset.
    pub fn close(&mut self) {
        self.listeners.clear();
    }

    /// Whether one more connection would be accepted.
    pub fn is_open(&mut self, connections: usize, now: Moment) -> bool {
        !self.listeners.is_empty() && self.has_place(connections, now)
    }

    /// The largest number of connections.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// When [`Acceptor::accept`] is to be called without an event; `None` is never.
    pub fn due(&mut self, connections: usize, now: Moment) -> Option<Moment> {
        if !self.listeners.iter().any(|listener| listener.readable) {
            None
        } else if self.has_place(connections, now) {
            Some(now)
        } else {
            self.shortage.map(|shortage| shortage.retry)
        }
    }

    /// Accepts from each listener. The one that accepted last comes last, so that at the limit all
    /// services get a connection in turn.
    pub fn accept(&mut self, dispatcher: &mut Dispatcher<I>, now: Moment) {
        if !dispatcher.accepts() {
            return;
        }
        let (first, count) = (self.first, self.listeners.len());
        for number in (0..count).map(|number| (first + number) % count) {
            let mut left = self.per_turn;
            while left > 0 && self.accept_one(number, dispatcher, now) {
                left -= 1;
            }
        }
    }

    /// Accepts one connection. Returns whether another one may be waiting.
    fn accept_one(&mut self, number: usize, dispatcher: &mut Dispatcher<I>, now: Moment) -> bool {
        let connections = dispatcher.connections();
        if !self.listeners[number].readable || !self.has_place(connections, now) {
            return false;
        }
        let listener = &mut self.listeners[number];
        let (mut socket, peer) = match dispatcher.io.accept(&mut listener.socket) {
            Ok(accepted) => accepted,
            Err(error) => return self.failed(number, &error, connections, now),
        };
        // A client over IPv4 has one address in the log, also if the listener has IPv6.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let is_proxy = listener.proxies.contains(peer.ip());
        if !is_proxy && dispatcher.per_ip.is_reached(peer.ip()) {
            if let Some(refusal) = listener.refusal {
                // A short reply fits into the empty socket. What does not fit is dropped.
                let _ = dispatcher.io.write(&mut socket, refusal);
                let _ = dispatcher.io.shutdown_write(&mut socket);
            }
            dispatcher.per_ip.log_refused(listener.name, peer, now);
            return true;
        }
        let id = dispatcher.open(socket, number, peer, &listener.make, now);
        if is_proxy {
            dispatcher.per_ip.exempt(id.slot());
        }
        self.first = number + 1;
        if connections + 1 == self.limit {
            self.log_full(self.limit, now, "the limit of connections is reached");
        }
        true
    }

    /// Handles an error of accept(2). Returns whether another connection may be waiting.
    fn failed(
        &mut self,
        number: usize,
        error: &io::Error,
        connections: usize,
        now: Moment,
    ) -> bool {
        if error.kind() == ErrorKind::WouldBlock {
            self.listeners[number].readable = false;
            return false;
        }
        match Errno::from_io_error(error) {
            // The clients stay in the backlog.
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                self.log_full(connections, now, "no descriptor or no memory is left");
                let retry = now.after(SECOND);
                self.shortage = Some(Shortage { connections, retry });
                false
            }
            _ => {
                let service = self.listeners[number].name;
                log::debug!(service, reason:% = error;
                    "{service}: cannot accept a connection: {error}");
                true
            }
        }
    }

    /// Whether one more connection may be accepted.
    fn has_place(&mut self, connections: usize, now: Moment) -> bool {
        self.shortage = self
            .shortage
            .filter(|shortage| shortage.connections <= connections && now < shortage.retry);
        connections < self.limit && self.shortage.is_none()
    }

    fn log_full(&mut self, connections: usize, now: Moment, why: &str) {
        if self.full_logged.pass(now.0).is_some() {
            log::warn!("{why}; clients wait until one of the {connections} connections is closed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::linux::LinuxIo;
    use super::*;
    use mio::net::TcpListener;
    use std::net::Ipv4Addr;

    /// An acceptor with one readable listener.
    fn acceptor(limit: usize) -> Acceptor<LinuxIo> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = ServiceListener {
            name: "",
            socket: TcpListener::bind(address).expect("a free port"),
            make: Box::new(|_| unreachable!("no connection is accepted")),
            refusal: None,
            proxies: Rc::default(),
            readable: true,
        };
        Acceptor {
            listeners: vec![listener],
            limit,
            per_turn: 1,
            first: 0,
            shortage: None,
            full_logged: LogLimit::new(1),
        }
    }

    fn out_of_descriptors(acceptor: &mut Acceptor<LinuxIo>, connections: usize, now: Moment) {
        assert!(!acceptor.failed(0, &Errno::MFILE.into(), connections, now));
    }

    #[test]
    fn connections_are_accepted_below_the_limit_only() {
        for limit in [1, 2, 8, 100, 10_000] {
            let mut acceptor = acceptor(limit);
            let now = Moment(0);
            for connections in (0..limit).rev() {
                assert_eq!(acceptor.due(limit, now), None, "{limit}");
                let due = acceptor.due(connections, now);
                assert_eq!(due, Some(now), "{connections} of {limit}");
            }
        }
    }

    #[test]
    fn one_closed_connection_ends_a_shortage_of_descriptors() {
        for connections in [1, 2, 8, 100] {
            let mut acceptor = acceptor(1_000);
            let now = Moment(0);
            out_of_descriptors(&mut acceptor, connections, now);
            assert_eq!(acceptor.due(connections, now), Some(Moment(SECOND)));
            assert_eq!(acceptor.due(connections - 1, now), Some(now));
        }
    }

    #[test]
    fn accepting_is_tried_again_one_second_after_a_shortage() {
        for connections in [0, 50] {
            let mut acceptor = acceptor(100);
            out_of_descriptors(&mut acceptor, connections, Moment(5));
            assert!(!acceptor.has_place(connections, Moment(SECOND + 4)));
            assert!(acceptor.has_place(connections, Moment(SECOND + 5)));
        }
    }

    #[test]
    fn a_shortage_does_not_wake_the_loop_after_the_listeners_are_closed() {
        let mut acceptor = acceptor(10);
        let later = Moment(5 * SECOND);
        out_of_descriptors(&mut acceptor, 3, Moment(0));
        assert_eq!(acceptor.due(3, later), Some(later));
        acceptor.close();
        assert_eq!(acceptor.due(3, later), None);
    }
}
