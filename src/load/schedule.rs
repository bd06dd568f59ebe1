//! Decides when requests are due: at a fixed rate, or as soon as a connection is free.
//!
//! At a fixed rate a request is due at its time, whether or not the one before is answered. If the
//! server stalls, requests are sent late, and their latency counts from when they were due: the
//! stall is visible in all of them (no coordinated omission).

use crate::reactor::clock::{Moment, SECOND};

/// When requests are due.
#[derive(Debug, Clone)]
pub struct Schedule {
    rate: Option<u32>,
    begin: Moment,
    end: Moment,
    taken: u64,
}

impl Schedule {
    /// `rate` requests per second between two moments; `None` for a closed loop.
    pub fn new(rate: Option<u32>, begin: Moment, end: Moment) -> Schedule {
        Schedule {
            rate,
            begin,
            end,
            taken: 0,
        }
    }

    /// Ends the schedule at this moment.
    pub fn stop(&mut self, now: Moment) {
        self.end = self.end.min(now);
    }

    /// Takes the next request if it is due; returns when it was due.
    pub fn take(&mut self, now: Moment) -> Option<Moment> {
        let due = match self.rate {
            None => now.max(self.begin),
            Some(rate) => self.due(rate)?,
        };
        if due > now || due >= self.end {
            return None;
        }
        self.taken += 1;
        Some(due)
    }

    /// When the next request is due; `None` after the last.
    pub fn next(&self, now: Moment) -> Option<Moment> {
        let next = match self.rate {
            None => now.max(self.begin),
            Some(rate) => self.due(rate)?,
        };
        (next < self.end).then_some(next)
    }

    /// Whether the time is up and every due request was taken.
    pub fn is_over(&self, now: Moment) -> bool {
        now >= self.end && self.next(now).is_none()
    }

    /// The end of the schedule.
    pub fn end(&self) -> Moment {
        self.end
    }

    /// Computed from the start each time: a sum of rounded intervals would drift.
    fn due(&self, rate: u32) -> Option<Moment> {
        let micros = u128::from(self.taken) * u128::from(SECOND) / u128::from(rate);
        Some(self.begin.after(u64::try_from(micros).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(schedule: &mut Schedule, now: u64) -> Vec<u64> {
        std::iter::from_fn(|| schedule.take(Moment(now)))
            .map(|due| due.0)
            .collect()
    }

    #[test]
    fn a_rate_gives_the_exact_number_of_requests_for_every_clock_step() {
        for (rate, step) in [(3, 1_000), (7, 333_331), (1_000, 10), (70_000, 999)] {
            let mut schedule = Schedule::new(Some(rate), Moment(50), Moment(2_000_050));
            let mut taken = 0;
            let mut now = 0;
            while !schedule.is_over(Moment(now)) {
                taken += take_all(&mut schedule, now).len();
                now += step;
            }
            assert_eq!(taken, 2 * rate as usize, "at {rate} a second");
        }
    }

    #[test]
    fn a_late_request_keeps_the_time_when_it_was_due() {
        let mut schedule = Schedule::new(Some(1_000), Moment(0), Moment(SECOND));
        assert_eq!(take_all(&mut schedule, 0), [0]);
        assert_eq!(schedule.next(Moment(500)), Some(Moment(1_000)));
        assert_eq!(take_all(&mut schedule, 3_500), [1_000, 2_000, 3_000]);
    }

    #[test]
    fn a_request_due_before_the_end_is_also_taken_after_it() {
        let mut schedule = Schedule::new(Some(2), Moment(0), Moment(SECOND));
        assert!(!schedule.is_over(Moment(SECOND)));
        assert_eq!(take_all(&mut schedule, 5 * SECOND), [0, 500_000]);
        assert!(schedule.is_over(Moment(SECOND)));
    }

    #[test]
    fn a_closed_loop_has_a_request_due_at_any_time_until_the_end() {
        let mut schedule = Schedule::new(None, Moment(0), Moment(SECOND));
        assert_eq!(schedule.take(Moment(7)), Some(Moment(7)));
        assert_eq!(schedule.take(Moment(7)), Some(Moment(7)));
        schedule.stop(Moment(9));
        assert_eq!(schedule.take(Moment(9)), None);
        assert!(schedule.is_over(Moment(9)));
    }
}
