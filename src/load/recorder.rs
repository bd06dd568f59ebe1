//! The counts of a run: latencies, requests, bytes, errors, and throughput over time.

use super::errors::RequestFailure;
use super::interval_log::IntervalLog;
use super::settings::LoadLimits;
use crate::reactor::clock::{Moment, SECOND};
use hdrhistogram::Histogram;

/// The counts of one time slice of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slice {
    /// Answered requests.
    pub answers: u64,
    /// Bytes received and sent.
    pub bytes: u64,
}

/// All counts of a run, from its start.
pub struct Recorder {
    /// The first counted moment, at the end of the ramp.
    begin: Option<Moment>,
    end: Moment,
    slice: u64,
    kinds: Vec<(&'static str, Histogram<u64>)>,
    slices: Vec<Slice>,
    errors: [u64; RequestFailure::ALL.len()],
    first_error: Option<String>,
    /// Latencies by time, if they are wanted.
    pub interval_log: Option<IntervalLog>,
    /// Requests sent.
    pub asked: u64,
    /// Requests sent during the ramp, which are not counted anywhere else.
    pub in_ramp: u64,
    /// Answered requests, including those after the end.
    pub answered: u64,
    /// Requests answered before the end.
    pub in_time: u64,
    /// Bytes received before the end.
    pub bytes_in: u64,
    /// Bytes sent before the end.
    pub bytes_out: u64,
    /// Bytes received and sent after the end, with the last answers.
    pub bytes_late: u64,
    /// Requests that were due and could not be sent in time.
    pub never_made: u64,
    /// Connections opened during the run.
    pub connections: u64,
}

impl Recorder {
    /// An empty recorder for these kinds of requests.
    pub fn new(kinds: &[&'static str], limits: &LoadLimits) -> Recorder {
        let histogram = || {
            Histogram::new_with_bounds(1, limits.longest_micros, limits.digits)
                .expect("valid bounds in config/load.rs")
        };
        Recorder {
            begin: None,
            end: Moment(0),
            slice: SECOND,
            kinds: kinds.iter().map(|kind| (*kind, histogram())).collect(),
            slices: Vec::new(),
            errors: [0; RequestFailure::ALL.len()],
            first_error: None,
            interval_log: None,
            asked: 0,
            in_ramp: 0,
            answered: 0,
            in_time: 0,
            bytes_in: 0,
            bytes_out: 0,
            bytes_late: 0,
            never_made: 0,
            connections: 0,
        }
    }

    /// Starts counting at `now`, which may be in the future; the time until `end` is divided into
    /// `slices` slices.
    pub fn begin(&mut self, now: Moment, end: Moment, slices: u64) {
        self.begin = Some(now);
        self.end = end;
        self.slice = ((end.0 - now.0) / slices).max(1);
    }

    /// The first moment that is counted.
    pub fn counted_from(&self) -> Moment {
        self.begin.unwrap_or(Moment(u64::MAX))
    }

    /// The counter of requests that were due at this moment.
    pub fn asked_at(&mut self, due: Moment) -> &mut u64 {
        match due < self.counted_from() {
            true => &mut self.in_ramp,
            false => &mut self.asked,
        }
    }

    /// Ends the run earlier than planned.
    pub fn end_at(&mut self, now: Moment) {
        self.end = self.end.min(now);
    }

    /// Counts an answer at `now` to a request that was due at `due`.
    pub fn answer(&mut self, kind: usize, due: Moment, now: Moment) {
        self.answered += u64::from(due >= self.counted_from());
        self.latency(kind, due, now);
    }

    /// Counts only the latency: one message to a room has several copies.
    pub fn latency(&mut self, kind: usize, due: Moment, now: Moment) {
        if due < self.counted_from() {
            return;
        }
        // The histogram starts at one microsecond.
        let micros = now.0.saturating_sub(due.0).max(1);
        self.kinds[kind].1.saturating_record(micros);
        if let Some(log) = &mut self.interval_log {
            log.record(kind, now, micros);
        }
        if now < self.end {
            self.in_time += 1;
        }
        if let Some(slice) = self.slice_at(now) {
            slice.answers += 1;
        }
    }

    /// Counts received and sent bytes.
    pub fn moved(&mut self, into: u64, out: u64, now: Moment) {
        if self.begin.is_none_or(|begin| now < begin) {
            return;
        }
        if now >= self.end {
            self.bytes_late += into + out;
            return;
        }
        self.bytes_in += into;
        self.bytes_out += out;
        if let Some(slice) = self.slice_at(now) {
            slice.bytes += into + out;
        }
    }

    /// Counts `count` failed requests; `text` describes the first error.
    pub fn record_error(
        &mut self,
        kind: RequestFailure,
        count: u64,
        text: impl FnOnce() -> String,
    ) {
        self.errors[kind as usize] += count;
        if self.first_error.is_none() {
            self.first_error = Some(text());
        }
    }

    /// The number of errors of this kind.
    pub fn errors_of(&self, kind: RequestFailure) -> u64 {
        self.errors[kind as usize]
    }

    /// The number of all errors.
    pub fn all_errors(&self) -> u64 {
        self.errors.iter().sum()
    }

    /// The text of the first error.
    pub fn first_error(&self) -> Option<&str> {
        self.first_error.as_deref()
    }

    /// Microseconds from the start to the end.
    pub fn micros(&self) -> u64 {
        self.begin
            .map_or(0, |begin| self.end.0.saturating_sub(begin.0))
    }

    /// The length of a slice in microseconds, and the slices.
    pub fn slices(&self) -> (u64, &[Slice]) {
        (self.slice, &self.slices)
    }

    /// The latencies of each kind of request that was answered, in microseconds.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &Histogram<u64>)> {
        let kinds = self
            .kinds
            .iter()
            .map(|(name, histogram)| (*name, histogram));
        kinds.filter(|(_, histogram)| !histogram.is_empty())
    }

    /// The latencies of all kinds together, in microseconds.
    pub fn all_kinds(&self) -> Histogram<u64> {
        let mut all = self.kinds[0].1.clone();
        for (_, histogram) in &self.kinds[1..] {
            all.add(histogram).expect("the same bounds");
        }
        all
    }

    fn slice_at(&mut self, now: Moment) -> Option<&mut Slice> {
        if now >= self.end {
            return None;
        }
        let position = (now.0.saturating_sub(self.begin?.0) / self.slice) as usize;
        if position >= self.slices.len() {
            self.slices.resize(position + 1, Slice::default());
        }
        self.slices.get_mut(position)
    }
}
