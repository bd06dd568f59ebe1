//! Bounds on the results of a run: beyond one of them, the run has failed.

use super::numbers::{PERCENTILES, micros, rate};
use crate::wire::text::grouped;
use hdrhistogram::Histogram;

/// What a run has measured, as far as it can be bounded.
pub struct BoundedFigures {
    /// The latencies of all requests, in microseconds.
    pub latencies: Histogram<u64>,
    /// Failed requests.
    pub errors: u64,
    /// Copies of a room's messages that did not arrive.
    pub lost: u64,
    /// Answers a second.
    pub rate: f64,
}

/// A bound on one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailLimit {
    figure: Figure,
    /// Microseconds, a number, or a number a second.
    bound: f64,
}

/// What is bounded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Figure {
    /// The latency at a percentile of all requests, at most; with its index in [`PERCENTILES`].
    Percentile(usize),
    /// The longest latency, at most.
    Max,
    /// Failed requests, at most.
    Errors,
    /// Copies of a room's messages that did not arrive, at most.
    Lost,
    /// Answers a second, at least.
    Rate,
}

/// How a bound is written, for error texts.
const USAGE: &str = "write p50, p90, p99, p99.9 or max as p99=5ms (us, ms or s), errors=0, lost=0, \
                     or the least rate as rate=1000, separated by commas";

impl FailLimit {
    /// Parses one bound, such as `p99=5ms`.
    ///
    /// # Errors
    ///
    /// What can be written.
    pub fn parse(text: &str) -> Result<FailLimit, String> {
        let (name, value) = text.split_once('=').ok_or(USAGE)?;
        let percentile = PERCENTILES.iter().position(|(known, _)| *known == name);
        let figure = match (name, percentile) {
            (_, Some(index)) => Figure::Percentile(index),
            ("max", _) => Figure::Max,
            ("errors", _) => Figure::Errors,
            ("lost", _) => Figure::Lost,
            ("rate", _) => Figure::Rate,
            _ => return Err(USAGE.to_owned()),
        };
        let bound = match figure {
            Figure::Percentile(_) | Figure::Max => parse_micros(value),
            Figure::Errors | Figure::Lost => whole(value),
            Figure::Rate => decimal(value),
        };
        let bound = bound.ok_or(USAGE)?;
        Ok(FailLimit { figure, bound })
    }

    /// Whether it bounds the number of errors.
    pub fn is_errors(&self) -> bool {
        self.figure == Figure::Errors
    }

    /// How the figures are beyond the bound; `None` if they are not.
    pub fn missed_by(&self, figures: &BoundedFigures) -> Option<String> {
        let all = &figures.latencies;
        let count = |name: &str, found: u64| {
            let (found, bound) = (found as f64, self.bound);
            let text = format!(
                "{name}: {}, more than {}",
                grouped(found as u64),
                grouped(bound as u64)
            );
            (found > bound).then_some(text)
        };
        let latency = |name: &str, found: u64| {
            if all.is_empty() {
                return Some(format!("{name} is unknown: no request was answered"));
            }
            let bound = micros(self.bound as u64);
            let text = format!("{name} is {}, more than {bound}", micros(found));
            (found as f64 > self.bound).then_some(text)
        };
        match self.figure {
            Figure::Percentile(index) => {
                let (name, quantile) = PERCENTILES[index];
                latency(name, all.value_at_quantile(quantile))
            }
            Figure::Max => latency("the longest latency", all.max()),
            Figure::Errors => count("errors", figures.errors),
            Figure::Lost => count("copies lost", figures.lost),
            Figure::Rate => {
                let found = figures.rate;
                let (is, least) = (rate(found), rate(self.bound));
                (found < self.bound).then(|| format!("{is} answers a second, fewer than {least}"))
            }
        }
    }
}

fn decimal(text: &str) -> Option<f64> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| is_plain)
}

fn whole(text: &str) -> Option<f64> {
    decimal(text).filter(|number| number.fract() == 0.0 && !text.contains('.'))
}

fn parse_micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let parse = |(unit, factor): &(&str, f64)| Some(decimal(text.strip_suffix(unit)?)? * factor);
    units.iter().find_map(parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_bounds_are_parsed() {
        let bound = |text| FailLimit::parse(text).map(|limit| limit.bound);
        assert_eq!(bound("p99=5ms"), Ok(5_000.0));
        assert_eq!(bound("p99.9=1.5s"), Ok(1_500_000.0));
        assert_eq!(bound("max=200us"), Ok(200.0));
        assert_eq!(bound("errors=0"), Ok(0.0));
        assert_eq!(bound("rate=0.5"), Ok(0.5));
        for wrong in [
            "",
            "p99",
            "p99=",
            "p99=5",
            "p99=5m",
            "p99=-5ms",
            "p98=5ms",
            "errors=1.5",
            "errors=-1",
            "rate=x",
            "rate=1e3",
            "=5ms",
            "p99=ms",
            "p99 =5ms",
            "lost=",
            "rate=inf",
            "p99=.ms",
        ] {
            assert!(bound(wrong).is_err(), "{wrong}");
        }
    }
}
