//! Measures how long the longest turn takes and how late the loop polls, and logs when it is slow.

use super::clock::Moment;
use crate::session::log_limit::LogLimit;
use std::fmt::{self, Display};

/// The longest turns, and the limit above which a late poll is logged.
#[derive(Debug)]
pub struct LoopLag {
    /// Microseconds between two polls above which a line is logged.
    limit: u64,
    /// The longest turn since the last poll.
    longest: Longest,
    /// The longest turn since the start.
    record: Longest,
    /// Turns since the start, and their time in microseconds.
    turns: u64,
    micros: u64,
    logged: LogLimit,
}

#[derive(Debug, Clone, Copy, Default)]
struct Longest {
    service: &'static str,
    micros: u64,
}

impl LoopLag {
    /// Logs rounds of more than `limit` microseconds, at most one line a second.
    pub fn new(limit: u64) -> LoopLag {
        LoopLag {
            limit,
            longest: Longest::default(),
            record: Longest::default(),
            turns: 0,
            micros: 0,
            logged: LogLimit::new(1),
        }
    }

    /// Notes that a turn of this service took `micros` microseconds.
    pub fn record_turn(&mut self, service: &'static str, micros: u64) {
        self.turns += 1;
        self.micros += micros;
        if micros > self.longest.micros {
            self.longest = Longest { service, micros };
        }
    }

    /// Called before a poll, `late` microseconds after the last one returned.
    pub fn before_poll(&mut self, late: u64, now: Moment) {
        let longest = std::mem::take(&mut self.longest);
        if longest.micros > self.record.micros {
            self.record = longest;
        }
        if late <= self.limit || self.logged.pass(now.0).is_none() {
            return;
        }
        let late = millis(late);
        log::warn!("the loop did not poll for {late} ms; {longest}");
    }

    /// Since the start: turns, their time and that of the longest one, in microseconds.
    pub fn totals(&self) -> (u64, u64, u64) {
        (self.turns, self.micros, self.record.micros)
    }

    /// The longest turn since the start, as text.
    pub fn longest_turn(&self) -> String {
        self.record.to_string()
    }
}

impl Display for Longest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Longest { service, micros } = self;
        match micros {
            // The time went into accepting, or another process had the core.
            0 => write!(out, "no connection had a turn"),
            _ => write!(
                out,
                "the longest turn was one of {service}, {} ms",
                millis(*micros)
            ),
        }
    }
}

fn millis(micros: u64) -> String {
    format!("{}.{}", micros / 1_000, micros % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_turn_is_kept_and_each_round_begins_anew() {
        let mut lag = LoopLag::new(50_000);
        lag.record_turn("files", 1_234);
        lag.record_turn("echo", 70);
        lag.before_poll(1_400, Moment(0));
        assert_eq!(lag.longest.micros, 0);
        lag.record_turn("echo", 900);
        lag.before_poll(1_000, Moment(5));
        assert_eq!(
            lag.longest_turn(),
            "the longest turn was one of files, 1.2 ms"
        );
    }

    #[test]
    fn a_late_poll_without_a_turn_is_logged_without_a_service() {
        let lag = LoopLag::new(50_000);
        assert_eq!(lag.longest.to_string(), "no connection had a turn");
    }

    #[test]
    fn only_a_late_poll_is_logged() {
        let mut lag = LoopLag::new(50_000);
        lag.before_poll(50_000, Moment(0));
        assert_eq!(lag.logged.pass(0), Some(0));
        let mut lag = LoopLag::new(50_000);
        lag.before_poll(50_001, Moment(0));
        assert_eq!(lag.logged.pass(0), None);
    }
}
