//! The time of a loop, in microseconds since its start.
//! The loop reads the clock once a round and passes the moment to what it calls.

use rustix::time::ClockId;
use std::time::Duration;

/// Microseconds in a second.
pub const SECOND: u64 = 1_000_000;

/// A point in time, in microseconds since the start of the loop.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `micros` microseconds later.
    pub fn after(self, micros: u64) -> Moment {
        Moment(self.0.saturating_add(micros))
    }

    /// The time from here to `later`; zero if that is past.
    pub fn until(self, later: Moment) -> Duration {
        Duration::from_micros(later.0.saturating_sub(self.0))
    }

    /// The same in microseconds.
    pub fn micros_until(self, later: Moment) -> u64 {
        later.0.saturating_sub(self.0)
    }

    /// Whole seconds since the start.
    pub fn seconds(self) -> u32 {
        u32::try_from(self.0 / SECOND).unwrap_or(u32::MAX - 1)
    }

    /// The beginning of a second.
    pub fn of_second(second: u32) -> Moment {
        Moment(u64::from(second) * SECOND)
    }
}

/// The clock of one loop. It is monotonic, so setting the system clock changes nothing.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The start, by CLOCK_MONOTONIC in microseconds.
    start: u64,
}

impl Clock {
    /// Starts at zero.
    pub fn start() -> Clock {
        Clock { start: monotonic() }
    }

    /// Reads the time.
    pub fn now(&self) -> Moment {
        Moment(monotonic().saturating_sub(self.start))
    }
}

/// Without the checks and the 128-bit numbers of `Instant`: the clock is read in each turn.
fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * SECOND + now.tv_nsec as u64 / 1_000
}

/// The date, in seconds since 1970. The coarse clock is the one that stamps files, so that no file
/// is newer than this.
pub fn unix_seconds() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::RealtimeCoarse);
    u64::try_from(now.tv_sec).unwrap_or(0)
}
