//! Prints the runs, the medians, and the ratios of loket to the other servers.

/// The result of one run.
#[derive(Clone, Copy)]
pub struct Sample {
    pub rate: f64,
    pub cpu: f64,
    /// Server CPU / wall time: near 1 the server was the bottleneck, far below 1 the client was.
    pub busy: f64,
    /// Share of the time in which the server or the client was runnable but had no core.
    pub disturbed: f64,
}

/// Above this, a run measures other programs more than the server.
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

    pub fn print_header(&self) {
        println!("\n{}", self.title);
        println!(
            "{:>6}  {:<12} {:>14} {:>18} {:>6}",
            "run", "server", self.rate_unit, self.cpu_unit, "busy"
        );
    }

    /// Prints a run that does not count.
    pub fn print_discarded(&self, label: &str, sample: Sample) {
        self.print_row("again", label, sample);
    }

    pub fn add(&mut self, round: usize, label: &'static str, sample: Sample) {
        self.print_row(&round.to_string(), label, sample);
        self.rows.push((label, sample));
    }

    fn print_row(&self, head: &str, label: &str, sample: Sample) {
        println!(
            "{head:>6}  {label:<12} {:>14.*} {:>18.3} {:>4.0} %{}",
            self.rate_digits,
            sample.rate,
            sample.cpu,
            sample.busy * 100.0,
            if sample.is_disturbed() {
                "   disturbed"
            } else {
                ""
            }
        );
    }

    /// Prints the medians, and the ratios of the first server to each other one.
    pub fn print_summary(&self) {
        let labels = self.labels();
        for label in &labels {
            self.print_row("median", label, self.median(label));
        }
        let Some((first, others)) = labels.split_first() else {
            return;
        };
        for other in others {
            let (ours, theirs) = (self.median(first), self.median(other));
            let (low, high) = self.spread(first, other);
            println!(
                "  {first} / {other}: CPU {:.3} (single rounds {low:.3} to {high:.3}), \
                 throughput {:.3}",
                ours.cpu / theirs.cpu,
                ours.rate / theirs.rate
            );
        }
    }

    /// The servers, in order.
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

    /// Number of disturbed runs, and of all runs.
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

    /// Smallest and largest CPU ratio of the single rounds: the uncertainty of the median.
    fn spread(&self, first: &str, other: &str) -> (f64, f64) {
        let ratios = self
            .of(first)
            .zip(self.of(other))
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
