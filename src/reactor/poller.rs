//! epoll_wait(2): sleeps until an event or a moment; with `--spin` it polls without sleep first.

use super::ReactorLimits;
use super::clock::{Clock, Moment};
use super::spin::Spin;
use crate::session::observer::Observer;
use mio::event::Iter;
use mio::{Events, Poll, Registry};
use std::io;
use std::time::Duration;

/// epoll(7), edge-triggered: it reports each change once.
pub struct Poller {
    poll: Poll,
    events: Events,
    clock: Clock,
    spin: Spin,
}

impl Poller {
    /// Waits with `poll`.
    pub fn new(poll: Poll, clock: Clock, limits: &ReactorLimits) -> Poller {
        Poller {
            poll,
            events: Events::with_capacity(limits.events_per_round),
            clock,
            spin: Spin::new(limits),
        }
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
        self.poll(due.map(|due| now.until(due)))
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
