//! Dials the brokers of the link, one after the other, and lets the link know that time passes.

use super::clock::Moment;
use super::dispatcher::Dispatcher;
use super::io::Io;
use crate::session::notice::{Audience, Notice, Post};
use crate::session::protocol::Protocol;
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

/// Limits of dialling. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct UplinkLimits {
    /// The pause after the first failure. Each more doubles it.
    pub least_pause: u64,
    /// The longest pause.
    pub most_pause: u64,
    /// The interval of [`Notice::Due`].
    pub tick: u64,
}

/// Makes the protocol of a connection to the broker with this number.
pub type MakeLink = Box<dyn Fn(usize) -> Box<dyn Protocol>>;

/// Handles a connect that has failed at once, to the broker with this number.
pub type OnFailure = Box<dyn Fn(usize, &io::Error)>;

/// Keeps a connection to one of several brokers.
pub struct Uplink {
    brokers: Vec<SocketAddr>,
    make: MakeLink,
    on_failure: OnFailure,
    /// Whether the link came up after it was dialled.
    was_up: Rc<Cell<bool>>,
    limits: UplinkLimits,
    /// The number of the next broker.
    next: usize,
    /// The pause after the next failure.
    pause: u64,
    state: UplinkState,
    /// The state of the generator of jitter: xorshift64.
    random: u64,
}

#[derive(Debug, Clone, Copy)]
enum UplinkState {
    /// Until this moment, nothing is dialled.
    Down(Moment),
    /// There is a session, and at this moment it gets a notice.
    Open(Moment),
}

impl Uplink {
    /// Dials the first broker in the first round. No other server should have the same `seed`.
    pub fn new(
        brokers: Vec<SocketAddr>,
        make: MakeLink,
        on_failure: OnFailure,
        was_up: Rc<Cell<bool>>,
        limits: UplinkLimits,
        seed: u64,
    ) -> Uplink {
        Uplink {
            brokers,
            make,
            on_failure,
            was_up,
            limits,
            next: 0,
            pause: limits.least_pause,
            state: UplinkState::Down(Moment(0)),
            random: seed | 1,
        }
    }

    /// At the end of a round that began at `now`. Returns when it is to be called again.
    pub fn end_round<I: Io>(
        &mut self,
        dispatcher: &mut Dispatcher<I>,
        now: Moment,
    ) -> Option<Moment> {
        if dispatcher.is_draining() {
            return None;
        }
        match (self.state, dispatcher.link()) {
            (UplinkState::Open(_), None) => self.rest(now),
            (UplinkState::Open(due), Some(link)) if due <= now => {
                let (to, notice) = (Audience::One(link), Notice::Due);
                dispatcher.posts().push(Post { to, notice });
                dispatcher.deliver();
                self.state = UplinkState::Open(now.after(self.limits.tick));
            }
            (UplinkState::Down(until), _) if until <= now => self.dial(dispatcher, now),
            _ => {}
        }
        let (UplinkState::Open(due) | UplinkState::Down(due)) = self.state;
        Some(due)
    }

    fn dial<I: Io>(&mut self, dispatcher: &mut Dispatcher<I>, now: Moment) {
        let number = self.next;
        self.next = (number + 1) % self.brokers.len();
        self.was_up.set(false);
        match dispatcher.open_link(self.brokers[number], (self.make)(number), now) {
            Ok(()) => self.state = UplinkState::Open(now.after(self.limits.tick)),
            Err(error) => {
                (self.on_failure)(number, &error);
                self.rest(now);
            }
        }
    }

    /// Waits before the next attempt. The jitter keeps servers that have lost the same broker from
    /// coming back at the same moment.
    fn rest(&mut self, now: Moment) {
        if self.was_up.get() {
            self.pause = self.limits.least_pause;
        }
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let pause = self.pause / 2 + self.random % (self.pause / 2 + 1);
        self.state = UplinkState::Down(now.after(pause));
        self.pause = (self.pause * 2).min(self.limits.most_pause);
    }
}
