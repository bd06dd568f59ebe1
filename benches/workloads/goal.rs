//! What loket is meant to reach against whom, and whether a comparison shows that it does.
//! Excuses nothing: what was not measured does not hold.

use crate::measure::table::{Sample, Table};

/// A bound on the ratio of two medians, the first contender's to the best of some rivals'.
pub struct Goal {
    part: Part,
    rivals: &'static [&'static str],
    bound: f64,
}

enum Part {
    Cpu,
    Rate,
}

impl Goal {
    /// At most so much of the CPU of the most sparing of these.
    pub fn cpu(rivals: &'static [&'static str], most: f64) -> Goal {
        let part = Part::Cpu;
        Goal {
            part,
            rivals,
            bound: most,
        }
    }

    /// At least so much of the throughput of the fastest of these.
    pub fn rate(rivals: &'static [&'static str], least: f64) -> Goal {
        let part = Part::Rate;
        Goal {
            part,
            rivals,
            bound: least,
        }
    }

    pub fn judge(&self, work: &str, table: &Table) -> Finding {
        let of = |sample: Sample| match self.part {
            Part::Cpu => sample.cpu,
            Part::Rate => sample.rate,
        };
        let labels = table.labels();
        let present = self.rivals.iter().filter(|rival| labels.contains(rival));
        let theirs = present.map(|rival| of(table.median(rival)));
        let best = match self.part {
            Part::Cpu => theirs.min_by(f64::total_cmp),
            Part::Rate => theirs.max_by(f64::total_cmp),
        };
        let ours = labels.first().map(|label| of(table.median(label)));
        let ratio = ours.zip(best).map(|(ours, best)| ours / best);
        let bound = self.bound;
        let (goal, holds) = match self.part {
            Part::Cpu => (format!("CPU ≤ {bound}"), ratio.map(|ratio| ratio <= bound)),
            Part::Rate => (
                format!("throughput ≥ {bound}"),
                ratio.map(|ratio| ratio >= bound),
            ),
        };
        Finding {
            work: work.to_string(),
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

/// A goal with what was found: a row of the report.
pub struct Finding {
    pub work: String,
    pub against: String,
    pub goal: String,
    pub found: String,
    /// Unknown when somebody was missing.
    pub holds: Option<bool>,
}

impl Finding {
    pub fn verdict(&self) -> &'static str {
        match self.holds {
            Some(true) => "holds",
            Some(false) => "MISSED",
            None => "unknown",
        }
    }
}
