//! Waits for sockets, signals and timers, and measures the time spent waiting.

use super::proc_stats::{ProcSample, WatchedProcess};
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
    /// A timerfd: the timeout of epoll has milliseconds, too coarse for thousands of requests/s.
    timer: OwnedFd,
    armed: Option<Moment>,
    clock: Clock,
    server: Option<WatchedProcess>,
    waited: u64,
    signalled: usize,
}

/// The resources used by a run up to one moment.
#[derive(Debug, Clone)]
pub struct Cost {
    /// When this was sampled.
    pub at: Moment,
    /// Microseconds spent waiting so far.
    pub waited: u64,
    /// Microseconds of CPU of this process so far.
    pub cpu: u64,
    /// The same, and waiting for a core, of this process.
    pub client: Option<ProcSample>,
    /// The same of the server, if it is watched.
    pub server: Option<ProcSample>,
}

impl Poller {
    /// A poll for up to `events` events at once. `server` is the process to measure, if any.
    pub fn new(events: usize, server: Option<WatchedProcess>) -> io::Result<Poller> {
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

    /// Waits for events until `alarm` (exact to the microsecond) or `latest` (to the millisecond);
    /// does not wait if `busy`. Returns the time afterwards.
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

    /// Arms the timer. Its expiry is an edge-triggered event; nothing needs to be read.
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

    /// The events of sockets. Also counts signals.
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
                        if *signalled == 0 || signals::ends_at_once(signal) {
                            *signalled += 1;
                        }
                    }
                    None
                }
                Target::Timer => None,
                target => Some((target, readiness(event))),
            })
    }

    /// The number of signals to stop.
    pub fn signalled(&self) -> usize {
        self.signalled
    }

    /// The resources used so far.
    pub fn cost(&self) -> Cost {
        let cpu = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
        Cost {
            at: self.clock.now(),
            waited: self.waited,
            cpu: cpu.tv_sec as u64 * 1_000_000 + cpu.tv_nsec as u64 / 1_000,
            client: WatchedProcess::own().sample(),
            server: self.server.as_ref().and_then(WatchedProcess::sample),
        }
    }
}
