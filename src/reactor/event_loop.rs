//! The event loop: polls, marks what is ready, accepts, gives turns, and polls again.
//! One pass is a round. The dispatcher serves TCP connections, `datagram.rs` the UDP chat room.

use super::ReactorLimits; // the numbers of config/reactor.rs
use super::acceptor::Acceptor; // accepts connections, up to the limit
use super::clock::{Clock, Moment, SECOND}; // the time in microseconds since the start
use super::datagram::Datagrams; // the chat room over UDP
use super::dispatcher::Dispatcher; // the table of connections, and whose turn is next
use super::linux::{LinuxIo, LinuxListener, Stream}; // system calls; a port; a socket or a terminal
use super::log::LogSink; // writes the lines of log::info! to standard error
use super::poller::Poller; // epoll_wait(2), and the events that it has returned
use super::signals; // the signals that end the server, or resume the operator's terminal
use super::stdio::Stdio; // standard input and output, nonblocking
use super::token::Target; // what an event is about, packed into mio's Token
use crate::session::completions::Completions; // sessions whose disk operation has completed
use crate::session::notice::Post; // a message to a session
use crate::session::observer::Readiness; // whether a socket is readable and writable
use crate::session::protocol::Protocol; // the state machine of a service
use crate::session::shared::Shared; // what all sessions share: posts, the time, the observer
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Poll, Registry, Waker};
use signal_hook::consts::{SIGCONT, SIGWINCH, SIGXFSZ}; // numbers of signals
use signal_hook_mio::v1_0::Signals; // makes signals readable from a descriptor
use std::io;
use std::sync::Arc;

/// The event loop and all that it serves.
pub struct EventLoop {
    /// epoll(7), edge-triggered: it reports each change once.
    poller: Poller,
    signals: Signals,
    clock: Clock,
    acceptor: Acceptor<LinuxIo>,
    datagrams: Option<Datagrams>,
    dispatcher: Dispatcher<LinuxIo>,
    log: LogSink,
    limits: ReactorLimits,
    stopping: Stopping,
    on_stop: Option<OnStop>,
    completions: Completions,
    each_second: Option<EachSecond>,
    each_round: Option<EachRound>,
    /// When `each_round` is to be called again.
    round_due: Option<Moment>,
    second: u32,
}

/// How the loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// All transfers were completed.
    Gracefully,
    /// This number of connections was closed early: after a second signal, or after
    /// `drain_seconds`.
    Forced(usize),
}

/// Whether a signal has asked the server to end.
#[derive(Debug, Clone, Copy)]
enum Stopping {
    No,
    /// One signal: running transfers have until this moment.
    By(Moment),
    /// A second signal.
    Now,
}

impl EventLoop {
    /// Runs until a signal ends it.
    pub fn run(&mut self) -> io::Result<Stopped> {
        let mut now = self.clock.now();
        loop {
            self.log.flush(&mut self.dispatcher);
            let polls = self.clock.now();
            // Logs a round that took too long.
            let lag = self.dispatcher.loop_lag();
            lag.before_poll(now.micros_until(polls), polls);
            let due = self.due(polls);
            now = self.poller.wait(polls, due, self.dispatcher.observer())?;
            self.mark_events(now);
            self.acceptor.accept(&mut self.dispatcher, now);
            self.once_a_second(now);
            // Timers and deadlines.
            self.dispatcher.on_time(now);
            self.serve_datagrams(now);
            self.dispatcher.round(now);
            let end = self.each_round.as_ref();
            self.round_due = end.and_then(|act| act(&mut self.dispatcher, &mut self.acceptor, now));
            if let Some(stopped) = self.stopped(now) {
                let longest = self.dispatcher.loop_lag().longest_turn();
                log::debug!("since the start, {longest}");
                // `main` writes the last log lines: no round follows.
                return Ok(stopped);
            }
        }
    }

    fn once_a_second(&mut self, now: Moment) {
        let last = std::mem::replace(&mut self.second, now.seconds());
        if let Some(act) = self.each_second.as_ref().filter(|_| last != self.second) {
            act(&mut self.dispatcher, self.datagrams.as_ref(), &self.log);
        }
    }

    fn serve_datagrams(&mut self, now: Moment) {
        let posted = self.dispatcher.take_for_room();
        let is_due = |room: &&mut Datagrams| !posted.is_empty() || room.is_due(now);
        if let Some(datagrams) = self.datagrams.as_mut().filter(is_due) {
            let since = self.clock.now();
            datagrams.deliver(posted, self.dispatcher.posts(), now);
            datagrams.turn(self.dispatcher.posts(), now);
            self.dispatcher.deliver();
            let took = since.micros_until(self.clock.now());
            self.dispatcher.loop_lag().record_turn(datagrams.name, took);
        }
    }

    /// When the next round begins without an event; `None` is never.
    fn due(&mut self, now: Moment) -> Option<Moment> {
        let connections = self.dispatcher.connections();
        let accepts = self.acceptor.due(connections, now);
        let has_turn = self.datagrams.as_ref().is_some_and(Datagrams::has_turn);
        if has_turn || self.dispatcher.has_turns() {
            return Some(now);
        }
        let stop_by = match self.stopping {
            Stopping::By(moment) => Some(moment),
            Stopping::No | Stopping::Now => None,
        };
        let datagrams = self.datagrams.as_ref().and_then(Datagrams::next_due);
        [self.dispatcher.next_due(), datagrams, accepts, stop_by]
            .into_iter()
            .chain([self.round_due])
            .flatten()
            .min()
    }

    /// Events only mark connections as ready; turns do the work.
    fn mark_events(&mut self, now: Moment) {
        let count = self.poller.events().count();
        self.dispatcher.observer().round(count);
        let mut signalled = false;
        for event in self.poller.events() {
            match Target::from_token(event.token()) {
                Some(Target::Session(id)) => self.dispatcher.mark(id, readiness(event)),
                Some(Target::Listener(number)) => self.acceptor.mark(number),
                Some(Target::Signal) => signalled = true,
                Some(Target::Datagram) => {
                    if let Some(datagrams) = &mut self.datagrams {
                        let ready = readiness(event);
                        datagrams.mark(ready.readable, ready.writable);
                    }
                }
                // Standard error is writable: the log is written at the end of each round.
                Some(Target::Log) => {}
                // A worker thread has completed what a connection waits for.
                Some(Target::Waker) => self.dispatcher.end_waits(self.completions.take()),
                // The alarm: what is due is looked up in each round.
                Some(Target::Timer) => {}
                Some(Target::Socket(_)) | None => {
                    unreachable!("no source is registered with this token")
                }
            }
        }
        if signalled {
            self.on_signal(now);
        }
    }

    fn on_signal(&mut self, now: Moment) {
        for signal in self.signals.pending() {
            if [SIGCONT, SIGWINCH].contains(&signal) {
                signals::resume_operator(&mut self.dispatcher);
                continue;
            }
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            if !matches!(self.stopping, Stopping::No) {
                if signals::ends_at_once(signal) {
                    log::info!("{name} again: ending at once");
                    self.stopping = Stopping::Now;
                }
                continue;
            }
            let seconds = self.limits.drain_seconds;
            log::info!("{name}: no more connections; running transfers have {seconds} s to end");
            self.acceptor.close();
            if let Some(mut datagrams) = self.datagrams.take() {
                datagrams.stop(self.dispatcher.posts(), now);
                self.dispatcher.deliver();
            }
            if let Some(act) = self.on_stop.take() {
                act(self.dispatcher.posts());
                self.dispatcher.deliver();
            }
            self.dispatcher.drain(now);
            self.stopping = Stopping::By(now.after(seconds * SECOND));
        }
    }

    fn stopped(&mut self, now: Moment) -> Option<Stopped> {
        let connections = self.dispatcher.connections();
        match self.stopping {
            Stopping::No => None,
            _ if connections == 0 => Some(Stopped::Gracefully),
            Stopping::By(moment) if now < moment => None,
            Stopping::By(_) | Stopping::Now => {
                self.dispatcher.close_all();
                Some(Stopped::Forced(connections))
            }
        }
    }
}

/// Before the loop runs.
impl EventLoop {
    /// Registers the listeners and handles the signals in `ending`. `make_io` gets the registry for
    /// connections. No connection is accepted before [`EventLoop::run`].
    pub fn new(
        mut listeners: Vec<LinuxListener>,
        make_io: impl FnOnce(Registry) -> LinuxIo,
        shared: Shared,
        log: LogSink,
        limits: ReactorLimits,
        ending: &[i32],
    ) -> io::Result<EventLoop> {
        let poll = Poll::new()?;
        let mut signals = Signals::new([ending, &[SIGCONT, SIGWINCH]].concat())?;
        let signal = Target::Signal.token();
        poll.registry()
            .register(&mut signals, signal, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), Target::Waker.token())?;
        // A write to an eventfd(2) fails only when its counter is full; then the loop is awake.
        let completions = Completions::new(move || {
            waker.wake().expect("an eventfd takes one more");
        });
        // With a handler for SIGXFSZ, a write beyond `ulimit -f` fails with EFBIG; without one, the
        // signal ends the server.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        if let Some(stderr) = log.descriptor() {
            // epoll_ctl(2) refuses a regular file with EPERM; it is always ready.
            let token = Target::Log.token();
            let _ = poll
                .registry()
                .register(&mut SourceFd(&stderr), token, Interest::WRITABLE);
        }
        for (number, listener) in listeners.iter_mut().enumerate() {
            let token = Target::Listener(number as u32).token();
            poll.registry()
                .register(&mut listener.socket, token, Interest::READABLE)?;
        }
        let mut services: Vec<_> = listeners.iter().map(|listener| listener.name).collect();
        services.extend(["link", "console"]);
        let io = make_io(poll.registry().try_clone()?);
        Ok(EventLoop {
            poller: Poller::new(poll, io.clock(), &limits)?,
            signals,
            clock: io.clock(),
            acceptor: Acceptor::new(listeners, &limits),
            datagrams: None,
            log,
            dispatcher: Dispatcher::new(io, shared, limits, services),
            limits,
            stopping: Stopping::No,
            on_stop: None,
            completions,
            each_second: None,
            each_round: None,
            round_due: None,
            second: 0,
        })
    }

    /// Sets a function to be called on the first signal, which may post. It must not block.
    pub fn on_stop(&mut self, act: impl FnOnce(&mut Vec<Post>) + 'static) {
        self.on_stop = Some(Box::new(act));
    }

    /// Sets a function to be called once a second, in rounds that run anyway: an idle loop is not
    /// woken for it.
    pub fn each_second(&mut self, act: EachSecond) {
        self.each_second = Some(act);
    }

    /// Sets a function to be called at the end of each round.
    pub fn each_round(&mut self, act: EachRound) {
        self.each_round = Some(act);
    }

    /// A handle for other threads, which report a completed operation with it.
    pub fn completions(&self) -> Completions {
        self.completions.clone()
    }

    /// Adds the datagram service.
    pub fn add_datagrams(&mut self, mut datagrams: Datagrams) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Target::Datagram.token();
        self.poller
            .registry()
            .register(datagrams.source(), token, interest)?;
        self.datagrams = Some(datagrams);
        Ok(())
    }

    /// Adds standard input and output as one more session.
    pub fn add_operator(&mut self, stdio: Stdio, protocol: Box<dyn Protocol>) -> io::Result<()> {
        self.dispatcher.io.operator = Some(stdio);
        self.dispatcher
            .open_operator(Stream::Operator, protocol, self.clock.now())
    }
}

/// A function that is called on the first signal, and gets the list of posts.
type OnStop = Box<dyn FnOnce(&mut Vec<Post>)>;

/// A function that is called once a second, with the parts that it may read.
pub type EachSecond = Box<dyn Fn(&mut Dispatcher<LinuxIo>, Option<&Datagrams>, &LogSink)>;

/// A function that is called at the end of each round, which began at this moment. Returns when it
/// is to be called again.
pub type EachRound =
    Box<dyn Fn(&mut Dispatcher<LinuxIo>, &mut Acceptor<LinuxIo>, Moment) -> Option<Moment>>;

/// The readiness that an event reports. An error sets both bits: read(2) or write(2) returns it.
pub fn readiness(event: &Event) -> Readiness {
    let broken = event.is_error() || event.is_write_closed();
    Readiness {
        readable: event.is_readable() || event.is_read_closed() || broken,
        writable: event.is_writable() || broken,
        drain_to_eof: event.is_read_closed() || event.is_priority(),
    }
}
