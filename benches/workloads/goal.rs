//! The goals of the comparison, relative to other servers, and whether they are met.
//! A goal that was not measured counts as missed.

use crate::measure::table::{Sample, Table};

/// A bound on the ratio of two medians: loket's to that of the best of some other servers.
pub struct Goal {
    metric: Metric,
    rivals: &'static [&'static str],
    bound: f64,
}

enum Metric {
    Cpu,
    Rate,
}

impl Goal {
    /// loket's CPU is at most `max` times that of the most efficient of these.
    pub fn cpu(rivals: &'static [&'static str], max: f64) -> Goal {
        Goal {
            metric: Metric::Cpu,
            rivals,
            bound: max,
        }
    }

    /// loket's throughput is at least `min` times that of the fastest of these.
    pub fn rate(rivals: &'static [&'static str], min: f64) -> Goal {
        Goal {
            metric: Metric::Rate,
            rivals,
            bound: min,
        }
    }

    pub fn judge(&self, workload: &str, table: &Table) -> GoalResult {
        let of = |sample: Sample| match self.metric {
            Metric::Cpu => sample.cpu,
            Metric::Rate => sample.rate,
        };
        let labels = table.labels();
        let present = self.rivals.iter().filter(|rival| labels.contains(rival));
        let theirs = present.map(|rival| of(table.median(rival)));
        let best = match self.metric {
            Metric::Cpu => theirs.min_by(f64::total_cmp),
            Metric::Rate => theirs.max_by(f64::total_cmp),
        };
        let ours = labels.first().map(|label| of(table.median(label)));
        let ratio = ours.zip(best).map(|(ours, best)| ours / best);
        let bound = self.bound;
        let (goal, holds) = match self.metric {
            Metric::Cpu => (
                format!("CPU ≤ {bound} ×"),
                ratio.map(|ratio| ratio <= bound),
            ),
            Metric::Rate => (
                format!("throughput ≥ {bound} ×"),
                ratio.map(|ratio| ratio >= bound),
            ),
        };
        GoalResult {
            workload: workload.to_string(),
            against: match self.rivals {
                [one] => (*one).to_string(),
                many => format!("the better of {}", many.join(" and ")),
            },
            goal,
            found: ratio.map_or("not measured".to_string(), |ratio| format!("{ratio:.3}")),
            holds,
        }
    }
}

/// A goal and the measured value: a row of the report.
pub struct GoalResult {
    pub workload: String,
    pub against: String,
    pub goal: String,
    pub found: String,
    /// `None` when a server was missing.
    pub holds: Option<bool>,
}

impl GoalResult {
    pub fn verdict(&self) -> &'static str {
        match self.holds {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "not measured",
        }
    }
}
