//! The median of several rounds and its spread, and a bound that is judged by it.

/// The median of the values of all rounds, and the values without the lowest and the highest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    /// `None` without values. From five values on, the lowest and the highest do not count.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values
            .into_iter()
            .filter(|value| value.is_finite())
            .collect();
        values.sort_by(f64::total_cmp);
        let left_out = usize::from(values.len() >= 5);
        let last = values.len().checked_sub(1)?;
        Some(Spread {
            median: (values[last / 2] + values[values.len() / 2]) / 2.0,
            low: values[left_out],
            high: values[last - left_out],
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The whole spread is within the bound.
    Holds,
    /// The whole spread is beyond it.
    Missed,
    /// The bound lies within the spread, or the spread tells nothing.
    CannotBeTold,
    /// A server was missing, or the row failed.
    NotMeasured,
    /// The work was smaller than that of the goal.
    NotJudged,
}

impl Bound {
    pub fn judge(self, spread: Option<Spread>) -> Verdict {
        let Some(Spread { low, high, .. }) = spread else {
            return Verdict::NotMeasured;
        };
        match self {
            Bound::AtMost(most) if high <= most => Verdict::Holds,
            Bound::AtMost(most) if low > most => Verdict::Missed,
            Bound::AtLeast(least) if low >= least => Verdict::Holds,
            Bound::AtLeast(least) if high < least => Verdict::Missed,
            _ => Verdict::CannotBeTold,
        }
    }

    pub fn value(self) -> f64 {
        match self {
            Bound::AtMost(value) | Bound::AtLeast(value) => value,
        }
    }

    pub fn text(self) -> String {
        match self {
            Bound::AtMost(value) => format!("≤ {value}"),
            Bound::AtLeast(value) => format!("≥ {value}"),
        }
    }
}

impl Verdict {
    pub fn text(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Missed => "**missed**",
            Verdict::CannotBeTold => "cannot be told",
            Verdict::NotMeasured => "not measured",
            Verdict::NotJudged => "not judged",
        }
    }
}
