//! Does what the clock asks for: silences that mean something, cold files, deadlines.
//! Reads no clock and gives no turns; the dispatcher's other half does.
//!
//! ```text
//!   what a connection is watched for, and what its deadline says when it comes
//!
//!   Nobody    people may fall silent, or the peer waits for our disk
//!   Idle      moved by every progress        ──▶ closed
//!   Command   fixed when a command begins    ──▶ closed
//!   Rate      every so many seconds          ──▶ fast enough: once more;  too slow: closed
//! ```
//!
//! Whoever has one falls under the idle deadline as well: it comes first where it is shorter.

use super::clock::Moment;
use super::connection::{Watch, bit};
use super::dispatcher::{Dispatcher, who};
use super::io::Io;
use super::observer::Observer;
use super::token::Key;
use crate::session::close_reason::CloseReason;
use crate::session::protocol::Patience;
use crate::wire::pause::Delay;

impl<K: Io, O: Observer> Dispatcher<K, O> {
    /// Begins to measure the silence that the session waits for, unless it is being measured.
    pub(super) fn await_silence(&mut self, key: Key) {
        let connection = self.table.find(key).expect("it has just had its turn");
        if let Some(delay) = connection.awaited()
            && connection.armed & bit(delay) == 0
        {
            connection.armed |= bit(delay);
            let since = connection.progress;
            self.delays.arm(delay, since, key);
        }
    }

    /// Looks at the clock: silences that have lasted long enough get a turn, deadlines close.
    pub fn on_time(&mut self, now: Moment) {
        self.world.now = now.seconds();
        while let Some((delay, key)) = self.delays.pop_due(now) {
            self.on_delay(delay, key, now);
        }
        while let Some(&(due, key)) = self.cold.front()
            && due <= now
        {
            self.cold.pop_front();
            self.warm_up(key);
        }
        for slot in self.deadlines.expired(now.seconds()) {
            if let Some(key) = self.table.key_at(slot) {
                self.on_deadline(key, now);
            }
        }
        self.deliver();
    }

    fn on_delay(&mut self, delay: Delay, key: Key, now: Moment) {
        let Some(connection) = self.table.find(key) else {
            return;
        };
        connection.armed &= !bit(delay);
        if connection.awaited() != Some(delay) {
            return;
        }
        // Bytes void a silence, but not the time in which one `send()` arrives: keys can come more
        // closely, and then stop in the middle of a command.
        if delay != Delay::Interbyte && self.delays.due(delay, connection.progress) > now {
            // The peer has spoken since: the silence began later.
            return self.await_silence(key);
        }
        // Trap: bytes that came while the loop was busy have no event yet, and void the silence.
        connection.ready.readable = true;
        connection.passed |= bit(delay);
        connection.silence = Some(delay);
        self.observer
            .silence(who(&self.services, connection.service, key.serial), delay);
        self.enqueue(key);
    }

    /// When [`Dispatcher::on_time`] has something to do, if nobody speaks.
    pub fn next_due(&self) -> Option<Moment> {
        let deadline = self.deadlines.next().map(Moment::of_second);
        let cold = self.cold.front().map(|&(due, _)| due);
        [self.delays.next_due(), cold, deadline]
            .into_iter()
            .flatten()
            .min()
    }

    /// The file's next pages are on their way from the disk: nothing to do before they can be here.
    pub(super) fn cool_down(&mut self, key: Key, now: Moment) {
        if let Some(connection) = self.table.find(key) {
            connection.cold = true;
            self.cold
                .push_back((now.after(self.limits.cold_micros), key));
        }
    }

    fn warm_up(&mut self, key: Key) {
        if let Some(connection) = self.table.find(key) {
            connection.cold = false;
            self.enqueue_bulk(key);
        }
    }

    /// Sets the deadline that fits what the connection is doing now.
    pub(super) fn watch(&mut self, key: Key, now: Moment) {
        let Some(connection) = self.table.find(key) else {
            return;
        };
        let consumed = std::mem::take(&mut connection.consumed);
        let (watch, seconds) = match connection.session.patience() {
            Patience::Endless => (Watch::Nobody, None),
            Patience::Idle => (Watch::Idle, None),
            Patience::Command => (Watch::Command, Some(self.limits.command_seconds)),
            Patience::Transfer => (Watch::Rate, Some(self.limits.rate_seconds)),
        };
        let goes_on = match watch {
            Watch::Nobody | Watch::Idle => false,
            Watch::Command => connection.watch == Watch::Command && !consumed,
            Watch::Rate => connection.watch == Watch::Rate,
        };
        if goes_on {
            return;
        }
        connection.watch = watch;
        connection.moved = 0;
        connection.ends = seconds.map_or(u32::MAX, |seconds| second_after(now, seconds));
        self.set_deadline(key);
    }

    /// The next moment at which there may be something to do: progress does not move it, unless it
    /// is the idle deadline that is watched for.
    fn set_deadline(&mut self, key: Key) {
        let connection = self.table.find(key).expect("it is being watched");
        let idle = match (connection.watch, self.limits.idle_seconds) {
            (Watch::Nobody, _) | (_, None) => u32::MAX,
            (_, Some(idle)) => second_after(connection.progress, idle),
        };
        match idle.min(connection.ends) {
            u32::MAX => self.deadlines.clear(key.slot),
            second => self.deadlines.set(key.slot, second),
        }
    }

    fn on_deadline(&mut self, key: Key, now: Moment) {
        let connection = self.table.find(key).expect("its slot has a deadline");
        let quiet = connection.progress.until(now).as_secs();
        let idle = self.limits.idle_seconds.map(u64::from);
        if idle.is_some_and(|idle| quiet >= idle) {
            return self.close(key, CloseReason::Idle);
        }
        if now.seconds() < connection.ends {
            return self.set_deadline(key);
        }
        match connection.watch {
            Watch::Nobody | Watch::Idle => unreachable!("only silence ends it"),
            Watch::Command => self.close(key, CloseReason::Unfinished),
            Watch::Rate => self.judge_rate(key, now),
        }
    }

    /// Whether a body has moved fast enough since this was last asked.
    fn judge_rate(&mut self, key: Key, now: Moment) {
        let window = self.limits.rate_seconds;
        let wanted = self.limits.min_rate * u64::from(window);
        let connection = self.table.find(key).expect("its slot has a deadline");
        if connection.moved < wanted {
            return self.close(key, CloseReason::TooSlow);
        }
        // Trap: the kernel takes megabytes for a slow reader at once and then nothing for minutes.
        // So what was sent too much counts for later, as far as the kernel may hold it; the idle
        // deadline finds who reads nothing.
        connection.moved = if connection.session.body().is_some() {
            0
        } else {
            (connection.moved - wanted).min(self.limits.rate_surplus)
        };
        connection.ends = second_after(now, window);
        self.set_deadline(key);
    }
}

/// One second more: both ends of the wait are cut to whole seconds.
fn second_after(now: Moment, seconds: u32) -> u32 {
    now.seconds().saturating_add(seconds).saturating_add(1)
}
