//! The timers and deadlines of connections.
//!
//! Each kind of timer has one fixed length, so a queue in order of insertion is in order of time.
//! An entry that starts anew is inserted near the end. Deadlines are a dense array of whole
//! seconds, one a slot: progress overwrites one integer, and nothing is cancelled or sorted. A scan
//! of 20,000 slots takes 5 us, so a timer wheel would gain nothing.
//!
//! ```text
//!   deadline   starts                      when it passes
//!
//!   None       never: a person may be silent
//!   Idle       with each moved byte        the connection is closed
//!   Command    when a command begins       the connection is closed
//!   Rate       every `rate_seconds`        too slow: it is closed; fast enough: it starts anew
//!   Disk       with a wait for a disk      the connection is closed
//! ```
//!
//! The idle deadline holds beside Command and Rate, and passes first where it is shorter. A wait
//! for a disk counts for none of them.

use super::ReactorLimits;
use super::clock::{Moment, SECOND};
use super::connection::{Connection, bit};
use super::table::Table;
use crate::session::close_reason::CloseReason;
use crate::session::session::Deadline;
use crate::session::session_id::SessionId;
use crate::wire::follows::Timer;
use std::collections::VecDeque;

/// The second of a slot without a deadline.
const NEVER: u32 = u32::MAX;

/// A sorted queue for each kind of timer, and the array of deadlines.
pub struct Timers {
    limits: ReactorLimits,
    queues: [VecDeque<(Moment, SessionId)>; Timer::ALL.len()],
    /// The second in which the deadline of each slot passes.
    seconds: Vec<u32>,
    /// No deadline is earlier than this. It may be too early, because progress moves deadlines.
    next_second: u32,
    /// Since when the server drains.
    draining: Option<Moment>,
}

impl Timers {
    /// Without any timer.
    pub fn new(limits: ReactorLimits) -> Timers {
        Timers {
            limits,
            queues: Default::default(),
            seconds: Vec::with_capacity(limits.connections.min(limits.reserved)),
            next_second: NEVER,
            draining: None,
        }
    }

    /// From now on, idle connections are to be closed.
    pub fn drain(&mut self, now: Moment) {
        self.draining = Some(now);
    }

    /// Whether they are.
    pub fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Whether a connection is to be closed if it is idle. A new one has a second or two to send
    /// its first request, which may be in flight: closed at once, it would be reset.
    pub fn closes_idle<S>(&self, connection: &Connection<S>) -> bool {
        self.draining.is_some_and(|since| {
            connection.spoke || connection.last_progress.after(SECOND) <= since
        })
    }

    /// Starts the timer that the session waits for, unless it runs.
    pub fn await_silence<S>(&mut self, id: SessionId, connection: &mut Connection<S>) {
        if let Some(timer) = connection.awaited()
            && connection.armed & bit(timer) == 0
        {
            connection.armed |= bit(timer);
            self.arm(timer, connection.last_progress, id);
        }
    }

    fn arm(&mut self, timer: Timer, since: Moment, id: SessionId) {
        let due = self.due(timer, since);
        let queue = &mut self.queues[timer.index()];
        let place = queue.partition_point(|&(earlier, _)| earlier <= due);
        queue.insert(place, (due, id));
    }

    /// When a timer that started at `since` expires.
    fn due(&self, timer: Timer, since: Moment) -> Moment {
        since.after(self.limits.micros(timer))
    }

    /// Removes a timer that has expired and that its connection still waits for.
    pub fn pop_silence<S>(
        &mut self,
        table: &mut Table<S>,
        now: Moment,
    ) -> Option<(Timer, SessionId)> {
        while let Some((timer, id)) = self.pop_due(now) {
            let Some(connection) = table.find(id) else {
                continue;
            };
            connection.armed &= !bit(timer);
            if connection.awaited() != Some(timer) {
                continue;
            }
            // Bytes restart a timer, except `Interbyte`, in which the bytes of one send(2) arrive:
            // typed keys may follow each other faster, and stop in the middle of a command.
            if timer != Timer::Interbyte && self.due(timer, connection.last_progress) > now {
                // Bytes have arrived since: the silence began later.
                self.await_silence(id, connection);
                continue;
            }
            // Trap: bytes may have arrived while the loop was busy, and their event is still in the
            // kernel. So read first: any bytes end the silence.
            connection.ready.readable = true;
            connection.expired |= bit(timer);
            connection.silence = Some(timer);
            return Some((timer, id));
        }
        None
    }

    fn pop_due(&mut self, now: Moment) -> Option<(Timer, SessionId)> {
        Timer::ALL.into_iter().find_map(|timer| {
            let queue = &mut self.queues[timer.index()];
            queue.front().filter(|(due, _)| *due <= now)?;
            queue.pop_front().map(|(_, id)| (timer, id))
        })
    }

    /// Sets the deadline for what the connection is doing now.
    pub fn update_deadline<S>(&mut self, slot: u32, connection: &mut Connection<S>, now: Moment) {
        if self.draining.is_some() && !connection.spoke {
            return self.set_second(slot, second_after(now, 1));
        }
        let deadline = connection.session.deadline();
        let waits = deadline == Deadline::Disk;
        let answered = std::mem::take(&mut connection.answered);
        let progress = answered && !is_abandoned(connection);
        let waited = (progress || !waits) && end_disk_wait(connection, now);
        if waits {
            connection.disk_since = connection.disk_since.min(now.seconds());
            let seconds = match connection.broken {
                true => self.limits.linger_millis.div_ceil(1_000) as u32,
                false => self.limits.disk_seconds,
            };
            let due = connection.disk_since.saturating_add(seconds);
            return self.set_second(slot, due.saturating_add(1));
        }
        let consumed = std::mem::take(&mut connection.consumed);
        let (seconds, goes_on) = match deadline {
            Deadline::None | Deadline::Idle | Deadline::Disk => (None, false),
            Deadline::Command => (Some(self.limits.command_seconds), !consumed),
            Deadline::Rate => (Some(self.limits.rate_seconds), true),
        };
        if goes_on && connection.deadline == deadline {
            if waited {
                self.set_deadline(slot, connection);
            }
            return;
        }
        connection.deadline = deadline;
        connection.moved = 0;
        connection.deadline_second = seconds.map_or(NEVER, |seconds| second_after(now, seconds));
        self.set_deadline(slot, connection);
    }

    /// Sets the second of the idle deadline or of the connection's own, whichever is earlier.
    fn set_deadline<S>(&mut self, slot: u32, connection: &Connection<S>) {
        let idle = match (connection.deadline, self.limits.idle_seconds) {
            (Deadline::None, _) | (_, None) => NEVER,
            (_, Some(idle)) => second_after(connection.last_progress, idle),
        };
        self.set_second(slot, idle.min(connection.deadline_second));
    }

    fn set_second(&mut self, slot: u32, second: u32) {
        let slot = slot as usize;
        if slot >= self.seconds.len() {
            self.seconds.resize(slot + 1, NEVER);
        }
        self.seconds[slot] = second;
        self.next_second = self.next_second.min(second);
    }

    /// Removes the deadline of a slot whose connection is closed.
    pub fn clear(&mut self, slot: u32) {
        self.set_second(slot, NEVER);
    }

    /// Takes the slots whose second has come.
    pub fn expired(&mut self, now: u32) -> Vec<u32> {
        let mut expired = Vec::new();
        if self.next_second <= now {
            self.next_second = NEVER;
            for (slot, second) in self.seconds.iter_mut().enumerate() {
                if *second <= now {
                    *second = NEVER;
                    expired.push(slot as u32);
                }
                self.next_second = self.next_second.min(*second);
            }
        }
        expired
    }

    /// The reason to close a connection whose second has come; `None` if a deadline was moved by
    /// progress.
    pub fn check_deadline<S>(
        &mut self,
        slot: u32,
        connection: &mut Connection<S>,
        now: Moment,
    ) -> Option<CloseReason> {
        if self.draining.is_some() && !connection.spoke {
            return Some(CloseReason::Shutdown);
        }
        if connection.disk_since != NEVER {
            // After a completion, its next turn sets the deadline anew.
            let reason = match connection.broken {
                true => CloseReason::PeerReset,
                false => CloseReason::DiskStalled,
            };
            let is_over = is_abandoned(connection) || !connection.answered;
            return is_over.then_some(reason);
        }
        let quiet = connection.last_progress.until(now).as_secs();
        let idle = self.limits.idle_seconds.map(u64::from);
        if idle.is_some_and(|idle| quiet >= idle) {
            return Some(CloseReason::Idle);
        }
        if now.seconds() < connection.deadline_second {
            self.set_deadline(slot, connection);
            return None;
        }
        match connection.deadline {
            Deadline::None | Deadline::Idle | Deadline::Disk => {
                unreachable!("these have no second of their own")
            }
            Deadline::Command => Some(CloseReason::Unfinished),
            Deadline::Rate => self.check_rate(slot, connection, now),
        }
    }

    /// A reason to close if a body was moved below the minimum rate since the last check.
    fn check_rate<S>(
        &mut self,
        slot: u32,
        connection: &mut Connection<S>,
        now: Moment,
    ) -> Option<CloseReason> {
        let window = self.limits.rate_seconds;
        let wanted = self.limits.min_rate * u64::from(window);
        if connection.moved < wanted {
            return Some(CloseReason::TooSlow);
        }
        // Trap: for a slow reader, the kernel's buffer takes megabytes at once and then nothing for
        // minutes. So the surplus of sent bytes counts for the next check, up to the size of that
        // buffer. A peer that reads nothing meets the idle deadline.
        connection.moved = match connection.session.body() {
            Some(_) => 0,
            None => (connection.moved - wanted).min(self.limits.rate_surplus),
        };
        connection.deadline_second = second_after(now, window);
        self.set_deadline(slot, connection);
        None
    }

    /// When the next timer expires or a deadline may pass.
    pub fn next_due(&self) -> Option<Moment> {
        let fronts = self.queues.iter().filter_map(|queue| queue.front());
        let deadline = (self.next_second < NEVER).then(|| Moment::of_second(self.next_second));
        fronts.map(|&(due, _)| due).chain(deadline).min()
    }
}

/// Whether work goes on for a peer that is gone: pieces of it are no progress.
fn is_abandoned<S>(connection: &Connection<S>) -> bool {
    connection.broken && connection.session.body().is_none()
}

/// Moves the deadlines of a connection by the time for which it has waited for a disk. Returns
/// whether it has.
fn end_disk_wait<S>(connection: &mut Connection<S>, now: Moment) -> bool {
    let since = std::mem::replace(&mut connection.disk_since, NEVER);
    let waited = now.seconds().saturating_sub(since);
    if waited > 0 {
        connection.last_progress = now;
        connection.deadline_second = connection.deadline_second.saturating_add(waited);
    }
    since != NEVER
}

/// Adds one second, because both ends are rounded down to whole seconds.
fn second_after(now: Moment, seconds: u32) -> u32 {
    now.seconds().saturating_add(seconds).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reactor::REACTOR;

    fn timers() -> Timers {
        Timers::new(ReactorLimits {
            settle_millis: 50,
            ..REACTOR
        })
    }

    #[test]
    fn timers_expire_in_order_also_when_one_starts_anew() {
        let id = |slot| SessionId::new(slot, slot);
        let at = |millis: u64| Moment(millis * 1_000);
        let mut timers = timers();
        timers.arm(Timer::Settle, at(0), id(1));
        timers.arm(Timer::Settle, at(45), id(2));
        assert_eq!(timers.next_due(), Some(at(50)));
        assert_eq!(timers.pop_due(at(49)), None);
        assert_eq!(timers.pop_due(at(50)), Some((Timer::Settle, id(1))));
        timers.arm(Timer::Settle, at(10), id(1));
        assert_eq!(timers.pop_due(at(60)), Some((Timer::Settle, id(1))));
        assert_eq!(timers.pop_due(at(95)), Some((Timer::Settle, id(2))));
        assert_eq!(timers.next_due(), None);
    }

    #[test]
    fn progress_moves_a_deadline_and_silence_does_not() {
        let mut timers = timers();
        timers.set_second(3, 10);
        timers.set_second(1, 11);
        timers.set_second(3, 15);
        assert_eq!(timers.next_due(), Some(Moment::of_second(10)));
        assert_eq!(timers.expired(9), Vec::<u32>::new());
        assert_eq!(timers.expired(10), Vec::<u32>::new());
        assert_eq!(timers.next_due(), Some(Moment::of_second(11)));
        assert_eq!(timers.expired(20), vec![1, 3]);
        assert_eq!(timers.next_due(), None);
    }

    #[test]
    fn a_closed_slot_has_no_deadline() {
        let mut timers = timers();
        timers.set_second(0, 5);
        timers.clear(0);
        assert!(timers.expired(100).is_empty());
    }
}
