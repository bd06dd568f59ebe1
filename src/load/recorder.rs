//! Counts what happens in a run: latencies, requests, bytes, faults, and all of it over time.

use super::errors::Fault;
use super::settings::LoadLimits;
use crate::reactor::clock::{Moment, SECOND};
use hdrhistogram::Histogram;

/// What happened in one slice of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slice {
    /// Requests answered.
    pub answers: u64,
    /// Bytes that came and left.
    pub bytes: u64,
}

/// All counts of a run. Nothing is counted before it begins.
pub struct Recorder {
    begin: Option<Moment>,
    end: Moment,
    slice: u64,
    kinds: Vec<(&'static str, Histogram<u64>)>,
    slices: Vec<Slice>,
    faults: [u64; Fault::ALL.len()],
    first_fault: Option<String>,
    /// Requests made.
    pub asked: u64,
    /// Requests answered, the late ones included.
    pub answered: u64,
    /// Those that were answered before the end.
    pub in_time: u64,
    /// Bytes that came before the end.
    pub bytes_in: u64,
    /// Bytes that left before the end.
    pub bytes_out: u64,
    /// Requests that were due and could not be made in time.
    pub unmade: u64,
    /// Connections that were opened in the run.
    pub connections: u64,
}

impl Recorder {
    /// An empty recorder for these kinds of requests.
    pub fn new(kinds: &[&'static str], limits: &LoadLimits) -> Recorder {
        let histogram = || {
            Histogram::new_with_bounds(1, limits.longest_micros, limits.digits)
                .expect("bounds that config/load.rs chose")
        };
        Recorder {
            begin: None,
            end: Moment(0),
            slice: SECOND,
            kinds: kinds.iter().map(|kind| (*kind, histogram())).collect(),
            slices: Vec::new(),
            faults: [0; Fault::ALL.len()],
            first_fault: None,
            asked: 0,
            answered: 0,
            in_time: 0,
            bytes_in: 0,
            bytes_out: 0,
            unmade: 0,
            connections: 0,
        }
    }

    /// Counting begins; so long is a slice.
    pub fn begin(&mut self, now: Moment, end: Moment, slices: u64) {
        self.begin = Some(now);
        self.end = end;
        self.slice = ((end.0 - now.0) / slices).max(1);
    }

    /// The run ends earlier than was planned.
    pub fn end_at(&mut self, now: Moment) {
        self.end = self.end.min(now);
    }

    /// A request that was due at one moment has been answered at another.
    pub fn answer(&mut self, kind: usize, due: Moment, now: Moment) {
        self.answered += 1;
        self.latency(kind, due, now);
    }

    /// The latency alone: what a request caused may come more than once.
    pub fn latency(&mut self, kind: usize, due: Moment, now: Moment) {
        // A microsecond is the smallest latency told apart.
        let micros = now.0.saturating_sub(due.0).max(1);
        self.kinds[kind].1.saturating_record(micros);
        if now < self.end {
            self.in_time += 1;
        }
        if let Some(slice) = self.slice_at(now) {
            slice.answers += 1;
        }
    }

    /// Bytes have moved.
    pub fn moved(&mut self, into: u64, out: u64, now: Moment) {
        if self.begin.is_none() || now >= self.end {
            return;
        }
        self.bytes_in += into;
        self.bytes_out += out;
        if let Some(slice) = self.slice_at(now) {
            slice.bytes += into + out;
        }
    }

    /// So many requests came to a bad end.
    pub fn fault(&mut self, fault: Fault, count: u64, text: impl FnOnce() -> String) {
        self.faults[fault as usize] += count;
        if self.first_fault.is_none() {
            self.first_fault = Some(text());
        }
    }

    /// How many came to an end of this kind.
    pub fn faults(&self, fault: Fault) -> u64 {
        self.faults[fault as usize]
    }

    /// How many came to any bad end.
    pub fn all_faults(&self) -> u64 {
        self.faults.iter().sum()
    }

    /// What was said of the first of them.
    pub fn first_fault(&self) -> Option<&str> {
        self.first_fault.as_deref()
    }

    /// Microseconds from the beginning to the end.
    pub fn micros(&self) -> u64 {
        self.begin
            .map_or(0, |begin| self.end.0.saturating_sub(begin.0))
    }

    /// Microseconds of a slice, and what happened in each.
    pub fn slices(&self) -> (u64, &[Slice]) {
        (self.slice, &self.slices)
    }

    /// The latencies of each kind of which there are any.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &Histogram<u64>)> {
        let kinds = self
            .kinds
            .iter()
            .map(|(name, histogram)| (*name, histogram));
        kinds.filter(|(_, histogram)| !histogram.is_empty())
    }

    /// The latencies of all kinds together.
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
        let place = (now.0.saturating_sub(self.begin?.0) / self.slice) as usize;
        if place >= self.slices.len() {
            self.slices.resize(place + 1, Slice::default());
        }
        self.slices.get_mut(place)
    }
}
