//! Waits for sockets, signals and the clock, and measures how long it waited.

use super::proc_stats::{Seen, Watched};
use crate::reactor::clock::{Clock, Moment};
use crate::reactor::event_loop::readiness;
use crate::reactor::signals;
use crate::reactor::token::Target;
use crate::session::observer::Readiness;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
};
use signal_hook_mio::v1_0::Signals;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// The poll of a load run.
pub struct Poller {
    poll: Poll,
    events: Events,
    signals: Signals,
    /// The poll counts whole milliseconds: too coarse for a schedule of thousands a second.
    timer: OwnedFd,
    armed: Option<Moment>,
    clock: Clock,
    server: Option<Watched>,
    waited: u64,
    signalled: usize,
}

/// What a run has cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// The moment.
    pub at: Moment,
    /// Microseconds spent waiting so far.
    pub waited: u64,
    /// Microseconds of CPU so far.
    pub cpu: u64,
    /// What the server has cost, if it is watched.
    pub server: Option<Seen>,
}

impl Poller {
    /// A poll that takes so many events at once, beside a server that is watched or not.
    pub fn new(events: usize, server: Option<Watched>) -> io::Result<Poller> {
        let poll = Poll::new()?;
        let mut signals = Signals::new(signals::ending())?;
        let registry = poll.registry();
        registry.register(&mut signals, Target::Signal.token(), Interest::READABLE)?;
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        let mut source = SourceFd(&timer.as_raw_fd());
        registry.register(&mut source, Target::Timer.token(), Interest::READABLE)?;
        Ok(Poller {
            poll,
            events: Events::with_capacity(events),
            signals,
            timer,
            armed: None,
            clock: Clock::start(),
            server,
            waited: 0,
            signalled: 0,
        })
    }

    /// Where sockets are registered.
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// The time.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Waits for events, until `alarm` to the microsecond or until `latest` to the millisecond;
    /// not at all for somebody who is `busy`. Tells the time afterwards.
    pub fn wait(
        &mut self,
        busy: bool,
        alarm: Option<Moment>,
        latest: Option<Moment>,
    ) -> io::Result<Moment> {
        let before = self.clock.now();
        let timeout = if busy || alarm.is_some_and(|alarm| alarm <= before) {
            Some(Duration::ZERO)
        } else {
            if let Some(alarm) = alarm.filter(|alarm| self.armed != Some(*alarm)) {
                self.arm(before.until(alarm))?;
                self.armed = Some(alarm);
            }
            latest.map(|latest| before.until(latest))
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            polled => polled?,
        }
        let now = self.clock.now();
        if timeout != Some(Duration::ZERO) {
            self.waited += now.0 - before.0;
        }
        Ok(now)
    }

    /// An edge comes when it runs out; nothing needs to be read.
    fn arm(&self, time: Duration) -> io::Result<()> {
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let value = Timespec {
            tv_sec: time.as_secs() as i64,
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        let times = Itimerspec {
            it_interval: zero,
            it_value: value,
        };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &times)?;
        Ok(())
    }

    /// What happened to sockets. Signals are counted on the way.
    pub fn events(&mut self) -> impl Iterator<Item = (Target, Readiness)> + '_ {
        let arrived = &mut self.signals;
        let signalled = &mut self.signalled;
        let known = |event| Some((Target::from_token(mio::event::Event::token(event))?, event));
        self.events
            .iter()
            .filter_map(known)
            .filter_map(|(target, event)| match target {
                Target::Signal => {
                    for signal in arrived.pending() {
                        if *signalled == 0 || signals::is_impatient(signal) {
                            *signalled += 1;
                        }
                    }
                    None
                }
                Target::Timer => None,
                target => Some((target, readiness(event))),
            })
    }

    /// How often signals have asked for an end.
    pub fn signalled(&self) -> usize {
        self.signalled
    }

    /// What the run has cost so far.
    pub fn cost(&self) -> Cost {
        let cpu = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
        Cost {
            at: self.clock.now(),
            waited: self.waited,
            cpu: cpu.tv_sec as u64 * 1_000_000 + cpu.tv_nsec as u64 / 1_000,
            server: self.server.as_ref().and_then(Watched::look),
        }
    }
}
