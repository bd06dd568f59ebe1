//! Accepts a bounded number of connections a round, as long as there is room.
//! Makes no system call; while there is no room, peers wait in the kernel's queue.

use super::clock::{Moment, SECOND};
use super::dispatcher::Dispatcher;
use super::io::Io;
use super::log_limit::LogLimit;
use super::observer::Observer;
use super::token::Key;
use crate::session::protocol::Protocol;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// The kernel's queue of connections for one service.
pub trait Arrivals<S> {
    /// Whether somebody may be waiting. An edge comes once: while nobody is accepted, the bit
    /// stays.
    fn is_readable(&self) -> bool;

    /// Takes one connection out of the queue.
    fn accept(&mut self) -> Accepted<S>;

    /// Has the kernel tell of the connection by this key.
    fn register(&mut self, socket: &mut S, key: Key) -> io::Result<()>;

    /// Makes the service's side of a conversation.
    fn protocol(&self, peer: SocketAddr) -> Box<dyn Protocol>;

    /// One too many of its address: tells it so and lets it go.
    fn turn_away(&mut self, socket: S);
}

/// What came of trying to accept.
pub enum Accepted<S> {
    /// A connection.
    Stream(S, SocketAddr),
    /// Nobody waits.
    Drained,
    /// No descriptor is left; whoever waits still does.
    OutOfDescriptors,
    /// This one is gone, the next may be fine.
    Failed(io::Error),
}

/// Decides whether there is room, and accepts while there is.
pub struct Accepting {
    limit: usize,
    per_turn: usize,
    /// The number of the listener that has the first turn.
    first: usize,
    lack: Option<Lack>,
    full_logged: LogLimit,
    turned_away_logged: LogLimit,
}

/// The kernel had no descriptor, or no memory, for one more connection.
#[derive(Debug, Clone, Copy)]
struct Lack {
    /// Fewer connections than now mean that one has come free.
    connections: usize,
    /// One may also come free without a connection being closed.
    retry: Moment,
}

impl Accepting {
    /// At most `limit` connections in all and `per_turn` of one service a round.
    pub fn new(limit: usize, per_turn: usize) -> Accepting {
        Accepting {
            limit,
            per_turn,
            first: 0,
            lack: None,
            full_logged: LogLimit::new(1),
            turned_away_logged: LogLimit::new(1),
        }
    }

    /// When there is something to do here: at once if somebody waits and may come in, later if no
    /// descriptor is left. Nobody waits for listeners that are closed.
    pub fn due(&mut self, somebody_waits: bool, connections: usize, now: Moment) -> Option<Moment> {
        if !somebody_waits {
            None
        } else if self.has_room(connections, now) {
            Some(now)
        } else {
            self.lack.map(|lack| lack.retry)
        }
    }

    /// The numbers of the listeners, in the order in which they have a turn: the one that accepted
    /// last comes last, so that places that come free one by one go to all services.
    pub fn order(&self, listeners: usize) -> impl Iterator<Item = usize> + use<> {
        let first = self.first % listeners.max(1);
        (first..listeners).chain(0..first)
    }

    /// Whether one more may be accepted.
    fn has_room(&mut self, connections: usize, now: Moment) -> bool {
        self.lack = self
            .lack
            .filter(|lack| lack.connections <= connections && now < lack.retry);
        connections < self.limit && self.lack.is_none()
    }

    fn out_of_descriptors(&mut self, connections: usize, now: Moment) {
        self.log_full(connections, now, "no descriptor is left");
        let retry = now.after(SECOND);
        self.lack = Some(Lack { connections, retry });
    }

    fn log_full(&mut self, connections: usize, now: Moment, why: &str) {
        if self.full_logged.pass(now).is_some() {
            log::warn!("{why}; peers wait until some of the {connections} connections are closed");
        }
    }

    /// Takes in who waits for the service of this number.
    pub fn turn<K: Io, O: Observer>(
        &mut self,
        number: usize,
        arrivals: &mut impl Arrivals<K::Socket>,
        dispatcher: &mut Dispatcher<K, O>,
        now: Moment,
    ) {
        for _ in 0..self.per_turn {
            let connections = dispatcher.connections();
            if !arrivals.is_readable() || !self.has_room(connections, now) {
                return;
            }
            match arrivals.accept() {
                Accepted::Stream(socket, peer) if dispatcher.is_crowded(peer.ip()) => {
                    arrivals.turn_away(socket);
                    self.tell(peer.ip(), now);
                }
                Accepted::Stream(mut socket, peer) => {
                    match arrivals.register(&mut socket, dispatcher.next_key()) {
                        Ok(()) => {
                            self.first = number + 1;
                            let protocol = arrivals.protocol(peer);
                            dispatcher.open(socket, number, protocol, peer, now);
                            if connections + 1 == self.limit {
                                self.log_full(
                                    self.limit,
                                    now,
                                    "the limit of connections is reached",
                                );
                            }
                        }
                        Err(error) => log::warn!("cannot register {peer}: {error}"),
                    }
                }
                Accepted::Drained => return,
                Accepted::OutOfDescriptors => {
                    return self.out_of_descriptors(connections, now);
                }
                Accepted::Failed(error) => log::debug!("a peer gave up: {error}"),
            }
        }
    }

    fn tell(&mut self, address: IpAddr, now: Moment) {
        let Some(others) = self.turned_away_logged.pass(now) else {
            return;
        };
        let count = others + 1;
        log::warn!(
            "{address} has as many connections as one address may have; turned away: {count}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_whenever_fewer_than_the_limit_are_connected() {
        for limit in [1, 2, 8, 100, 10_000] {
            let mut accepting = Accepting::new(limit, 1);
            let now = Moment(0);
            for connections in (0..limit).rev() {
                assert_eq!(accepting.due(true, limit, now), None, "{limit}");
                let due = accepting.due(true, connections, now);
                assert_eq!(due, Some(now), "{connections} of {limit}");
            }
        }
    }

    #[test]
    fn one_closed_connection_ends_a_lack_of_descriptors() {
        for connections in [1, 2, 8, 100] {
            let mut accepting = Accepting::new(1_000, 1);
            let now = Moment(0);
            accepting.out_of_descriptors(connections, now);
            let retry = Some(Moment(SECOND));
            assert_eq!(accepting.due(true, connections, now), retry);
            assert_eq!(accepting.due(true, connections - 1, now), Some(now));
        }
    }

    #[test]
    fn a_lack_of_descriptors_is_tried_again_after_a_second() {
        for connections in [0, 50] {
            let mut accepting = Accepting::new(100, 1);
            accepting.out_of_descriptors(connections, Moment(5));
            assert!(!accepting.has_room(connections, Moment(SECOND + 4)));
            assert!(accepting.has_room(connections, Moment(SECOND + 5)));
        }
    }

    #[test]
    fn a_lack_of_descriptors_wakes_nobody_once_the_listeners_are_closed() {
        let mut accepting = Accepting::new(10, 1);
        let later = Moment(5 * SECOND);
        accepting.out_of_descriptors(3, Moment(0));
        assert_eq!(accepting.due(false, 3, later), None);
        assert_eq!(accepting.due(true, 3, later), Some(later));
    }
}
