//! Decides when requests are due: at a fixed rate, or as soon as a connection is free.
//!
//! At a fixed rate a request is due at its time, whether or not the one before is answered. If the
//! server stalls, requests are sent late, and their latency counts from when they were due: the
//! stall is visible in all of them (no coordinated omission).

use crate::reactor::clock::{Moment, SECOND};

/// How fast requests become due.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Requests a second; `None` for a closed loop.
    pub rate: Option<u32>,
    /// Microseconds at the beginning in which the rate rises from 0, or in which one connection
    /// after another joins the closed loop.
    pub ramp: u64,
    /// Requests that all connections together can have in flight.
    pub slots: u64,
}

/// When requests are due.
#[derive(Debug, Clone)]
pub struct Schedule {
    pace: Pace,
    begin: Moment,
    end: Moment,
    taken: u64,
}

impl Schedule {
    /// A schedule between two moments.
    pub fn new(pace: Pace, begin: Moment, end: Moment) -> Schedule {
        Schedule {
            pace,
            begin,
            end,
            taken: 0,
        }
    }

    /// No request at all.
    pub fn empty() -> Schedule {
        let pace = Pace {
            rate: None,
            ramp: 0,
            slots: 0,
        };
        Schedule::new(pace, Moment(0), Moment(0))
    }

    /// Ends the schedule at this moment.
    pub fn stop(&mut self, now: Moment) {
        self.end = self.end.min(now);
    }

    /// Moves the end of the schedule.
    pub fn set_end(&mut self, end: Moment) {
        self.end = end;
    }

    /// Whether a request is due whenever a connection is free.
    pub fn is_closed_loop(&self) -> bool {
        self.pace.rate.is_none()
    }

    /// Takes the next request if it is due; returns when it was due.
    pub fn take(&mut self, now: Moment, in_flight: u64) -> Option<Moment> {
        let due = self.next(now, in_flight).filter(|due| *due <= now)?;
        self.taken += 1;
        Some(due)
    }

    /// When the next request is due, while this number is in flight; `None` after the last.
    pub fn next(&self, now: Moment, in_flight: u64) -> Option<Moment> {
        let next = match self.pace.rate {
            None => now.max(self.closed_loop_begins(in_flight)),
            Some(rate) => self.due(rate)?,
        };
        (next < self.end).then_some(next)
    }

    /// Whether the time is up and every due request was taken.
    pub fn is_over(&self, now: Moment) -> bool {
        now >= self.end && self.next(now, 0).is_none()
    }

    /// When one more request than this number may be in flight.
    fn closed_loop_begins(&self, in_flight: u64) -> Moment {
        let Pace { ramp, slots, .. } = self.pace;
        if ramp == 0 {
            return self.begin;
        }
        let part = u128::from(ramp) * u128::from(in_flight.min(slots)) / u128::from(slots.max(1));
        self.begin.after(u64::try_from(part).unwrap_or(ramp))
    }

    /// The end of the schedule.
    pub fn end(&self) -> Moment {
        self.end
    }

    /// Computed from the start each time: a sum of rounded intervals would drift.
    ///
    /// In the ramp of length R, r * t * t / (2 * R) requests are due in the time t.
    fn due(&self, rate: u32) -> Option<Moment> {
        let (rate, ramp) = (u128::from(rate), u128::from(self.pace.ramp));
        let (taken, second) = (u128::from(self.taken), u128::from(SECOND));
        let in_ramp = rate * ramp / (2 * second);
        let micros = match taken.checked_sub(in_ramp) {
            Some(behind) => ramp + behind * second / rate,
            None => (2 * taken * ramp * second / rate).isqrt(),
        };
        Some(self.begin.after(u64::try_from(micros).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paced(rate: Option<u32>, ramp: u64, begin: u64, end: u64) -> Schedule {
        let pace = Pace {
            rate,
            ramp,
            slots: 4,
        };
        Schedule::new(pace, Moment(begin), Moment(end))
    }

    fn take_all(schedule: &mut Schedule, now: u64) -> Vec<u64> {
        std::iter::from_fn(|| schedule.take(Moment(now), 0))
            .map(|due| due.0)
            .collect()
    }

    #[test]
    fn a_rate_gives_the_exact_number_of_requests_for_every_clock_step() {
        for (rate, step) in [(3, 1_000), (7, 333_331), (1_000, 10), (70_000, 999)] {
            let mut schedule = paced(Some(rate), 0, 50, 2_000_050);
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
        let mut schedule = paced(Some(1_000), 0, 0, SECOND);
        assert_eq!(take_all(&mut schedule, 0), [0]);
        assert_eq!(schedule.next(Moment(500), 0), Some(Moment(1_000)));
        assert_eq!(take_all(&mut schedule, 3_500), [1_000, 2_000, 3_000]);
    }

    #[test]
    fn a_request_due_before_the_end_is_also_taken_after_it() {
        let mut schedule = paced(Some(2), 0, 0, SECOND);
        assert!(!schedule.is_over(Moment(SECOND)));
        assert_eq!(take_all(&mut schedule, 5 * SECOND), [0, 500_000]);
        assert!(schedule.is_over(Moment(SECOND)));
    }

    #[test]
    fn a_closed_loop_has_a_request_due_at_any_time_until_the_end() {
        let mut schedule = paced(None, 0, 0, SECOND);
        assert_eq!(schedule.take(Moment(7), 0), Some(Moment(7)));
        assert_eq!(schedule.take(Moment(7), 0), Some(Moment(7)));
        schedule.stop(Moment(9));
        assert_eq!(schedule.take(Moment(9), 0), None);
        assert!(schedule.is_over(Moment(9)));
    }

    #[test]
    fn a_ramp_rises_from_nothing_and_is_followed_by_the_exact_rate() {
        let mut schedule = paced(Some(1_000), 2 * SECOND, 0, 5 * SECOND);
        let dues = take_all(&mut schedule, 5 * SECOND);
        let within = |from: u64, to: u64| {
            let is_within = |due: &&u64| (from * SECOND..to * SECOND).contains(due);
            dues.iter().filter(is_within).count()
        };
        // The first half of the ramp has a quarter of its requests.
        assert_eq!((within(0, 1), within(1, 2)), (250, 750));
        assert_eq!((within(2, 3), within(2, 5)), (1_000, 3_000));
        assert!(dues.is_sorted());
    }

    #[test]
    fn a_closed_loop_grows_by_one_connection_after_another() {
        let mut schedule = paced(None, 4 * SECOND, 0, 9 * SECOND);
        assert_eq!(schedule.take(Moment(1), 0), Some(Moment(1)));
        assert_eq!(schedule.take(Moment(1), 1), None);
        assert_eq!(schedule.next(Moment(1), 1), Some(Moment(SECOND)));
        assert_eq!(
            schedule.take(Moment(3 * SECOND), 3),
            Some(Moment(3 * SECOND))
        );
        assert_eq!(
            schedule.take(Moment(5 * SECOND), 4),
            Some(Moment(5 * SECOND))
        );
    }
}
