//! Latencies by time, in the log format of HdrHistogram: a histogram for each interval and each
//! kind of request, for tools such as HistogramLogAnalyzer. Times are in microseconds.

use super::settings::LoadLimits;
use crate::reactor::clock::{Moment, SECOND};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// The latencies of one kind of request in one interval.
struct Interval {
    number: u64,
    kind: usize,
    latencies: Histogram<u64>,
}

/// All intervals of a run, in order.
pub struct IntervalLog {
    kinds: &'static [&'static str],
    begin: Moment,
    /// The date of the beginning, in seconds since 1970.
    unix: u64,
    length: u64,
    intervals: Vec<Interval>,
    limits: LoadLimits,
}

impl IntervalLog {
    /// The log of a run between these moments, which begins at this date.
    pub fn new(
        kinds: &'static [&'static str],
        (begin, end): (Moment, Moment),
        unix: u64,
        limits: &LoadLimits,
    ) -> IntervalLog {
        IntervalLog {
            kinds,
            begin,
            unix,
            // The number of intervals is limited, and with it the memory.
            length: (begin.micros_until(end) / limits.slices).max(SECOND),
            intervals: Vec::new(),
            limits: *limits,
        }
    }

    /// Records a latency that was known at `now`.
    pub fn record(&mut self, kind: usize, now: Moment, micros: u64) {
        let number = self.begin.micros_until(now) / self.length;
        let latest = self.intervals.iter().rev().take(self.kinds.len());
        let found = latest
            .take_while(|interval| interval.number == number)
            .position(|interval| interval.kind == kind);
        let at = match found {
            Some(behind) => self.intervals.len() - 1 - behind,
            None => {
                let mut latencies = Histogram::new(self.limits.digits).expect("valid digits");
                latencies.auto(true);
                self.intervals.push(Interval {
                    number,
                    kind,
                    latencies,
                });
                self.intervals.len() - 1
            }
        };
        let latencies = &mut self.intervals[at].latencies;
        // Trap: `saturating_record` does not grow the histogram.
        let recorded = latencies.record(micros.min(self.limits.longest_micros));
        recorded.expect("it grows");
    }

    /// The log as text.
    ///
    /// # Errors
    ///
    /// What the serializer says.
    pub fn text(&self) -> Result<String, String> {
        let mut log = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let begin = UNIX_EPOCH + Duration::from_secs(self.unix);
        let mut title = format!("[loket load, {}", env!("CARGO_PKG_VERSION"));
        let _ = write!(title, "; latencies in microseconds]");
        let mut builder = IntervalLogWriterBuilder::new();
        builder.add_comment(&title);
        builder.with_start_time(begin).with_base_time(begin);
        builder.with_max_value_divisor(SECOND as f64);
        let mut writer = builder
            .begin_log_with(&mut log, &mut serializer)
            .map_err(|error| error.to_string())?;
        let length = Duration::from_micros(self.length);
        for interval in &self.intervals {
            let start = Duration::from_micros(self.length * interval.number);
            let tag = Tag::new(self.kinds[interval.kind]).filter(|_| self.kinds.len() > 1);
            writer
                .write_histogram(&interval.latencies, start, length, tag)
                .map_err(|error| error.to_string())?;
        }
        String::from_utf8(log).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn a_reader_finds_every_latency_in_its_interval() {
        let times = (Moment(SECOND), Moment(11 * SECOND));
        let mut log = IntervalLog::new(&["GET", "PUT"], times, 1_700_000_000, &config::load::LOAD);
        for (kind, second, micros) in [(0, 1, 10), (1, 1, 70_000), (0, 1, 20), (0, 9, 5_000_000)] {
            log.record(kind, Moment(SECOND * second + 5), micros);
        }
        let text = log.text().expect("memory");
        let mut found = Vec::new();
        for entry in IntervalLogIterator::new(text.as_bytes()) {
            match entry.expect("valid lines") {
                LogEntry::BaseTime(time) => assert_eq!(time.as_secs(), 1_700_000_000),
                LogEntry::Interval(interval) => {
                    let bytes = <base64ct::Base64 as base64ct::Encoding>::decode_vec;
                    let bytes = bytes(interval.encoded_histogram()).expect("base64");
                    let histogram: Histogram<u64> = Deserializer::new()
                        .deserialize(&mut &bytes[..])
                        .expect("a histogram");
                    let tag = interval.tag().map(|tag| tag.as_str().to_owned());
                    let start = interval.start_timestamp().as_secs();
                    found.push((tag.expect("a tag"), start, histogram.len(), histogram.max()));
                }
                LogEntry::StartTime(_) => {}
            }
        }
        let is_near = |found: u64, wanted: u64| found.abs_diff(wanted) <= wanted / 1_000;
        assert_eq!(found.len(), 3, "{text}");
        for (found, wanted) in found.iter().zip([
            ("GET", 0, 2, 20),
            ("PUT", 0, 1, 70_000),
            ("GET", 8, 1, 5_000_000),
        ]) {
            assert_eq!(
                (found.0.as_str(), found.1, found.2),
                (wanted.0, wanted.1, wanted.2)
            );
            assert!(is_near(found.3, wanted.3), "{found:?}");
        }
    }
}
