//! Takes in a bounded number of connections a round, as long as there is room.
//! Makes no system call: who waits, and how one is taken, is behind a trait.

use super::accept_gate::AcceptGate;
use super::clock::{Moment, SECOND};
use super::dispatcher::Dispatcher;
use super::kernel::Kernel;
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

/// Who may come in, and how many at once.
pub struct Accepting {
    gate: AcceptGate,
    per_turn: usize,
    turned_away: u64,
    told: Option<Moment>,
}

impl Accepting {
    /// At most `connections` in all and `per_turn` of one service a round.
    pub fn new(connections: usize, per_turn: usize) -> Accepting {
        Accepting {
            gate: AcceptGate::new(connections),
            per_turn,
            turned_away: 0,
            told: None,
        }
    }

    /// When there is something to do here: at once if somebody waits and may come in, later if no
    /// descriptor is left. Nobody waits for listeners that are closed.
    pub fn due(&mut self, somebody_waits: bool, connections: usize, now: Moment) -> Option<Moment> {
        if !somebody_waits {
            None
        } else if self.gate.is_open(connections, now) {
            Some(now)
        } else {
            self.gate.retry()
        }
    }

    /// Takes in who waits for the service of this number.
    pub fn turn<K: Kernel, O: Observer>(
        &mut self,
        number: usize,
        arrivals: &mut impl Arrivals<K::Socket>,
        dispatcher: &mut Dispatcher<K, O>,
        now: Moment,
    ) {
        for _ in 0..self.per_turn {
            let connections = dispatcher.connections();
            if !arrivals.is_readable() || !self.gate.is_open(connections, now) {
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
                            let protocol = arrivals.protocol(peer);
                            dispatcher.open(socket, number, protocol, peer, now);
                        }
                        Err(error) => log::warn!("cannot register {peer}: {error}"),
                    }
                }
                Accepted::Drained => return,
                Accepted::OutOfDescriptors => {
                    return self.gate.out_of_descriptors(connections, now);
                }
                Accepted::Failed(error) => log::debug!("a peer gave up: {error}"),
            }
        }
    }

    fn tell(&mut self, address: IpAddr, now: Moment) {
        self.turned_away += 1;
        if self.told.is_some_and(|told| now < told.after(SECOND)) {
            return;
        }
        self.told = Some(now);
        let count = std::mem::take(&mut self.turned_away);
        log::warn!(
            "{address} has as many connections as one address may have; turned away: {count}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_descriptors_wakes_nobody_once_the_listeners_are_closed() {
        let mut accepting = Accepting::new(10, 1);
        let (now, later) = (Moment(0), Moment(5 * SECOND));
        assert_eq!(accepting.due(true, 3, now), Some(now));
        accepting.gate.out_of_descriptors(3, now);
        assert_eq!(accepting.due(true, 3, now), Some(Moment(SECOND)));
        assert_eq!(accepting.due(false, 3, later), None);
        assert_eq!(accepting.due(true, 3, later), Some(later));
    }
}
