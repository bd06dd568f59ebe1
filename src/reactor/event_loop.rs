//! Polls, marks, serves, and polls again: the readiness loop.
//! Knows neither services nor bytes; everything between two polls is the dispatcher's.

use super::accept_gate::AcceptGate;
use super::clock::{Clock, Moment};
use super::connection::Readiness;
use super::dispatcher::Dispatcher;
use super::limits::ReactorLimits;
use super::linux::Linux;
use super::listener::{Accepted, Listener};
use super::observer::Observer;
use super::token::Target;
use crate::session::world::World;
use mio::event::Event;
use mio::{Events, Interest, Poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use std::io;
use std::time::Duration;

/// How the loop came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// All transfers were brought to their end.
    Gracefully,
    /// So many connections were cut: a second signal came, or they took too long.
    Cutting(usize),
}

/// The loop and all that hangs on it.
pub struct EventLoop<O: Observer> {
    poll: Poll,
    events: Events,
    signals: Signals,
    clock: Clock,
    listeners: Vec<Listener>,
    gate: AcceptGate,
    dispatcher: Dispatcher<Linux, O>,
    limits: ReactorLimits,
    /// Set by the first signal: when patience with transfers ends.
    stop_by: Option<Moment>,
    stop_now: bool,
}

impl<O: Observer> EventLoop<O> {
    /// Registers the listeners and the signals. Nothing is accepted before [`EventLoop::run`].
    pub fn new(
        mut listeners: Vec<Listener>,
        kernel: Linux,
        world: World,
        observer: O,
        limits: ReactorLimits,
    ) -> io::Result<EventLoop<O>> {
        let poll = Poll::new()?;
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let signal = Target::Signal.token();
        poll.registry()
            .register(&mut signals, signal, Interest::READABLE)?;
        for (number, listener) in listeners.iter_mut().enumerate() {
            let token = Target::Listener(number as u32).token();
            poll.registry()
                .register(listener.source(), token, Interest::READABLE)?;
        }
        let services = listeners.iter().map(|listener| listener.name).collect();
        Ok(EventLoop {
            poll,
            events: Events::with_capacity(limits.events_per_round),
            signals,
            clock: Clock::start(),
            listeners,
            gate: AcceptGate::new(limits.connections),
            dispatcher: Dispatcher::new(kernel, world, observer, limits, services),
            limits,
            stop_by: None,
            stop_now: false,
        })
    }

    /// Runs until a signal ends it. One pass is one round.
    pub fn run(&mut self) -> io::Result<Stopped> {
        loop {
            let timeout = self.timeout(self.clock.now());
            match self.poll.poll(&mut self.events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
                polled => polled?,
            }
            let now = self.clock.now();
            self.mark_events(now);
            self.accept(now);
            self.dispatcher.on_time(now);
            self.dispatcher.round(now);
            if let Some(stopped) = self.stopped(now) {
                return Ok(stopped);
            }
        }
    }

    /// How long the kernel may let us sleep.
    fn timeout(&mut self, now: Moment) -> Option<Duration> {
        let connections = self.dispatcher.connections();
        let accepts = self.listeners.iter().any(|listener| listener.readable)
            && self.gate.is_open(connections, now);
        if accepts || self.dispatcher.has_turns() {
            return Some(Duration::ZERO);
        }
        let retry = self.gate.retry();
        let due = [self.dispatcher.next_due(), retry, self.stop_by]
            .into_iter()
            .flatten()
            .min();
        due.map(|due| now.until(due))
    }

    /// Events do no work: they only say what has changed.
    fn mark_events(&mut self, now: Moment) {
        if !self.events.is_empty() {
            self.dispatcher.observer().round(self.events.iter().count());
        }
        let mut signalled = false;
        for event in &self.events {
            match Target::from_token(event.token()) {
                Some(Target::Session(key)) => self.dispatcher.mark(key, readiness(event)),
                Some(Target::Listener(number)) => {
                    if let Some(listener) = self.listeners.get_mut(number as usize) {
                        listener.readable = true;
                    }
                }
                Some(Target::Signal) => signalled = true,
                None => unreachable!("a token that was never given out"),
            }
        }
        if signalled {
            self.on_signal(now);
        }
    }

    /// A bounded number from each listener, as long as there is room.
    fn accept(&mut self, now: Moment) {
        for number in 0..self.listeners.len() {
            for _ in 0..self.limits.accepts_per_turn {
                let connections = self.dispatcher.connections();
                let listener = &mut self.listeners[number];
                if !listener.readable || !self.gate.is_open(connections, now) {
                    break;
                }
                match listener.accept() {
                    Accepted::Stream(mut stream, peer) => {
                        let token = Target::Session(self.dispatcher.next_key()).token();
                        // Once, for both directions, and never again.
                        let interest = Interest::READABLE | Interest::WRITABLE;
                        match self.poll.registry().register(&mut stream, token, interest) {
                            Ok(()) => {
                                let protocol = (listener.make)(peer);
                                self.dispatcher.open(stream, number, protocol, peer, now);
                            }
                            Err(error) => log::warn!("cannot register {peer}: {error}"),
                        }
                    }
                    Accepted::Drained => break,
                    Accepted::OutOfDescriptors => {
                        self.gate.out_of_descriptors(connections, now);
                        self.dispatcher.observer().gate(false, connections);
                        break;
                    }
                    Accepted::Failed(error) => log::debug!("a peer gave up: {error}"),
                }
            }
        }
    }

    fn on_signal(&mut self, now: Moment) {
        for signal in self.signals.pending() {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            if self.stop_by.is_some() {
                log::info!("{name} again: ending at once");
                self.stop_now = true;
                continue;
            }
            let seconds = self.limits.wind_down_seconds;
            log::info!("{name}: no more connections; transfers have {seconds} s to end");
            // Closing the sockets refuses those who wait, instead of leaving them in the queue.
            self.listeners.clear();
            self.dispatcher.wind_down();
            self.stop_by = Some(now.after(seconds * 1_000_000));
        }
    }

    fn stopped(&mut self, now: Moment) -> Option<Stopped> {
        let stop_by = self.stop_by?;
        let connections = self.dispatcher.connections();
        if connections == 0 {
            return Some(Stopped::Gracefully);
        }
        if !self.stop_now && now < stop_by {
            return None;
        }
        self.dispatcher.close_all();
        Some(Stopped::Cutting(connections))
    }
}

/// Errors and hang-ups are learnt by reading and writing, so they set both bits.
fn readiness(event: &Event) -> Readiness {
    let broken = event.is_error() || event.is_write_closed();
    Readiness {
        readable: event.is_readable() || event.is_read_closed() || broken,
        writable: event.is_writable() || broken,
        read_closed: event.is_read_closed(),
    }
}
