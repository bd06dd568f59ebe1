//! The lines of a report: each run, the medians, and the ratio of the first to each other.

/// What one run came to.
#[derive(Clone, Copy)]
pub struct Sample {
    pub rate: f64,
    pub cpu: f64,
    /// Server CPU by wall time: near 1 the server was the bottleneck, far below the client was.
    pub busy: f64,
    /// The part of the time that the server or the load stood ready while others had its core.
    pub disturbed: f64,
}

/// From here on a run tells more of its neighbours than of the server.
const DISTURBED: f64 = 0.03;

impl Sample {
    pub fn is_disturbed(&self) -> bool {
        self.disturbed > DISTURBED
    }
}

pub struct Table {
    pub title: String,
    pub rate_unit: &'static str,
    pub rate_digits: usize,
    pub cpu_unit: &'static str,
    pub rows: Vec<(&'static str, Sample)>,
}

impl Table {
    pub fn new(
        title: String,
        (rate_unit, rate_digits): (&'static str, usize),
        cpu_unit: &'static str,
    ) -> Table {
        Table {
            title,
            rate_unit,
            rate_digits,
            cpu_unit,
            rows: Vec::new(),
        }
    }

    pub fn begin(&self) {
        println!("\n{}", self.title);
        println!(
            "{:>6}  {:<12} {:>14} {:>18} {:>6}",
            "run", "server", self.rate_unit, self.cpu_unit, "busy"
        );
    }

    /// Shows a run that does not count.
    pub fn again(&self, label: &str, sample: Sample) {
        self.line("again", label, sample);
    }

    pub fn add(&mut self, round: usize, label: &'static str, sample: Sample) {
        self.line(&round.to_string(), label, sample);
        self.rows.push((label, sample));
    }

    fn line(&self, head: &str, label: &str, sample: Sample) {
        println!(
            "{head:>6}  {label:<12} {:>14.*} {:>18.3} {:>4.0} %{}",
            self.rate_digits,
            sample.rate,
            sample.cpu,
            sample.busy * 100.0,
            if sample.is_disturbed() {
                "   disturbed by other programs"
            } else {
                ""
            }
        );
    }

    /// Prints the medians, and how the first contender stands to every other one.
    pub fn end(&self) {
        let labels = self.labels();
        for label in &labels {
            self.line("median", label, self.median(label));
        }
        let Some((first, floors)) = labels.split_first() else {
            return;
        };
        for floor in floors {
            let (ours, theirs) = (self.median(first), self.median(floor));
            let (low, high) = self.spread(first, floor);
            println!(
                "  {first} / {floor}: {:.3} of the CPU (single rounds {low:.3} to {high:.3}), \
                 {:.3} of the throughput",
                ours.cpu / theirs.cpu,
                ours.rate / theirs.rate
            );
        }
    }

    /// Who takes part, in order.
    pub fn labels(&self) -> Vec<&'static str> {
        let mut labels: Vec<&'static str> = Vec::new();
        for (label, _) in &self.rows {
            if !labels.contains(label) {
                labels.push(label);
            }
        }
        labels
    }

    fn of(&self, label: &str) -> impl Iterator<Item = Sample> {
        self.rows
            .iter()
            .filter(move |row| row.0 == label)
            .map(|row| row.1)
    }

    /// How many of its runs were disturbed, of how many.
    pub fn disturbed(&self, label: &str) -> (usize, usize) {
        let disturbed = self.of(label).filter(Sample::is_disturbed).count();
        (disturbed, self.of(label).count())
    }

    pub fn median(&self, label: &str) -> Sample {
        let of = |part: fn(&Sample) -> f64| median(self.of(label).map(|s| part(&s)).collect());
        Sample {
            rate: of(|s| s.rate),
            cpu: of(|s| s.cpu),
            busy: of(|s| s.busy),
            disturbed: of(|s| s.disturbed),
        }
    }

    /// The smallest and the largest CPU ratio of the single rounds: how far to trust the median's.
    fn spread(&self, first: &str, floor: &str) -> (f64, f64) {
        let ratios = self
            .of(first)
            .zip(self.of(floor))
            .map(|(ours, theirs)| ours.cpu / theirs.cpu);
        ratios.fold((f64::INFINITY, 0.0), |(low, high), r| {
            (r.min(low), r.max(high))
        })
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
