//! epoll_wait(2): sleeps until an event or a moment; with `--spin` it polls without sleep first.

use super::ReactorLimits;
use super::clock::{Clock, Moment, SECOND};
use super::spin::Spin;
use super::token::Target;
use crate::session::observer::Observer;
use mio::event::Iter;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// epoll(7), edge-triggered: it reports each change once.
pub struct Poller {
    poll: Poll,
    events: Events,
    clock: Clock,
    spin: Spin,
    alarm: Alarm,
}

/// A timerfd that wakes the loop for moments that are far away. With a timeout of epoll_wait(2)
/// instead, the kernel starts and stops a timer in each sleep, which is 5 % of the CPU time of a
/// single echo. The alarm is set again only when it has gone off, or for an earlier moment.
struct Alarm {
    timer: OwnedFd,
    at: Option<Moment>,
}

impl Poller {
    /// Waits with `poll`.
    pub fn new(poll: Poll, clock: Clock, limits: &ReactorLimits) -> io::Result<Poller> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let (token, interest) = (Target::Timer.token(), Interest::READABLE);
        poll.registry()
            .register(&mut SourceFd(&timer.as_raw_fd()), token, interest)?;
        Ok(Poller {
            poll,
            events: Events::with_capacity(limits.events_per_round),
            clock,
            spin: Spin::new(limits),
            alarm: Alarm { timer, at: None },
        })
    }

    /// Waits for events, at most until `due`; `None` is without a limit. Returns the time.
    pub fn wait(
        &mut self,
        mut now: Moment,
        due: Option<Moment>,
        observer: &mut dyn Observer,
    ) -> io::Result<Moment> {
        if due.is_none_or(|due| due > now)
            && let Some(micros) = self.spin.begin()
        {
            let begin = now;
            let end = due.into_iter().fold(begin.after(micros), Moment::min);
            // The events of the last round are still in the list.
            self.events.clear();
            while now < end && self.events.is_empty() {
                now = self.poll(Some(Duration::ZERO))?;
            }
            let found = !self.events.is_empty();
            self.spin.end(found);
            observer.spun(begin.micros_until(now), found);
            if found {
                return Ok(now);
            }
        }
        match due {
            Some(due) if now.after(SECOND) >= due => self.poll(Some(now.until(due))),
            Some(due) => {
                self.alarm.set(now, due)?;
                self.poll(None)
            }
            None => self.poll(None),
        }
    }

    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<Moment> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            polled => polled?,
        }
        Ok(self.clock.now())
    }

    /// The events of the last wait.
    pub fn events(&self) -> Iter<'_> {
        self.events.iter()
    }

    /// To register further sources of events.
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }
}

impl Alarm {
    /// Wakes the loop at `due` or earlier.
    fn set(&mut self, now: Moment, due: Moment) -> io::Result<()> {
        if self.at.is_some_and(|at| now < at && at <= due) {
            return Ok(());
        }
        let timeout = now.until(due);
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::try_from(timeout).map_err(io::Error::other)?,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        self.at = Some(due);
        Ok(())
    }
}
