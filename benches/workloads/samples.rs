//! The runs of each server in a row of the comparison, and the goals that are judged by them.

use super::report::GoalResult;
use crate::measure::spread::{Bound, Spread, Verdict};
use loket::config::load::LOAD;
use loket::load::report::Outcome;

/// What one unit of work is.
#[derive(Clone, Copy)]
pub enum Unit {
    /// An answer; with its name.
    Answer(&'static str),
    /// A GiB that was received or sent.
    Gib,
}

/// What a goal bounds.
#[derive(Clone, Copy)]
pub enum Figure {
    Cpu,
    Rate,
    P50,
}

/// A bound on the ratio of loket to the best of some other servers, round by round.
#[derive(Clone, Copy)]
pub struct Goal {
    pub figure: Figure,
    pub rivals: &'static [&'static str],
    pub bound: Bound,
}

impl Goal {
    pub fn cpu(rivals: &'static [&'static str], most: f64) -> Goal {
        Goal::new(Figure::Cpu, rivals, Bound::AtMost(most))
    }

    pub fn rate(rivals: &'static [&'static str], least: f64) -> Goal {
        Goal::new(Figure::Rate, rivals, Bound::AtLeast(least))
    }

    pub fn new(figure: Figure, rivals: &'static [&'static str], bound: Bound) -> Goal {
        Goal {
            figure,
            rivals,
            bound,
        }
    }
}

/// The result of one run.
#[derive(Clone, Copy, Default)]
pub struct Sample {
    /// Units a second.
    pub rate: f64,
    /// Microseconds of server CPU per answer, or seconds per GiB.
    pub cpu: f64,
    /// Share of a core that the server used.
    pub busy: f64,
    pub client_busy: f64,
    pub p50: f64,
    pub p99: f64,
    /// Share of the time in which the server or the client was runnable but had no core.
    pub waited: f64,
    /// Copies of a room's messages that did not arrive.
    pub lost: u64,
}

/// Above this, a run measures other programs more than the server.
const DISTURBED: f64 = 0.03;

impl Sample {
    pub fn of(outcome: &Outcome, unit: Unit) -> Result<Sample, String> {
        let server = outcome.server_cost().ok_or("the server was not measured")?;
        let client = outcome.client_cost().ok_or("the client was not measured")?;
        let recorder = &outcome.recorder;
        // The CPU time is that of all answers, the rate that of those before the end.
        let cpu = server.cpu as f64;
        let (in_time, all, cpu) = match unit {
            Unit::Answer(_) => (recorder.in_time as f64, recorder.answered as f64, cpu),
            Unit::Gib => {
                let in_time = recorder.bytes_in + recorder.bytes_out;
                let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
                (gib(in_time), gib(in_time + recorder.bytes_late), cpu / 1e6)
            }
        };
        let latencies = recorder.all_kinds();
        Ok(Sample {
            rate: in_time / outcome.seconds(),
            cpu: cpu / all,
            busy: server.busy,
            client_busy: client.busy,
            p50: latencies.value_at_quantile(0.5) as f64,
            p99: latencies.value_at_quantile(0.99) as f64,
            waited: server.kept_waiting.max(client.kept_waiting),
            lost: outcome.copies.map_or(0, |copies| copies.lost),
        })
    }

    fn get(&self, figure: Figure) -> f64 {
        match figure {
            Figure::Cpu => self.cpu,
            Figure::Rate => self.rate,
            Figure::P50 => self.p50,
        }
    }

    /// Whether other programs disturbed the run. A client that had no core loses copies.
    pub fn is_disturbed(&self) -> bool {
        self.waited > DISTURBED || self.lost > 0
    }

    /// Whether the server waited for the client, which could do no more.
    pub fn is_client_bound(&self) -> bool {
        let most = f64::from(LOAD.busy_percent) / 100.0;
        self.client_busy > most && self.busy < most
    }
}

/// The runs of one server.
pub struct Runs {
    pub label: &'static str,
    /// One of each round: the least disturbed one.
    pub samples: Vec<Sample>,
    /// All runs, also those that were repeated.
    pub made: usize,
    pub disturbed: usize,
}

impl Runs {
    pub fn new(label: &'static str) -> Runs {
        Runs {
            label,
            samples: Vec::new(),
            made: 0,
            disturbed: 0,
        }
    }

    /// Whether this is so in more than half of the rounds.
    pub fn mostly(&self, is: fn(&Sample) -> bool) -> bool {
        2 * self.samples.iter().filter(|sample| is(sample)).count() > self.samples.len()
    }

    pub fn median(&self, part: fn(&Sample) -> f64) -> f64 {
        let spread = Spread::of(self.samples.iter().map(part));
        spread.map_or(f64::NAN, |spread| spread.median)
    }
}

/// Compares loket, which is first, with the best of the rivals in each round.
pub fn judge(work: &str, goal: &Goal, runs: &[Runs]) -> GoalResult {
    let rivals: Vec<&Runs> = runs
        .iter()
        .skip(1)
        .filter(|runs| goal.rivals.contains(&runs.label))
        .collect();
    let ratio = |(round, sample): (usize, &Sample)| {
        let theirs = rivals
            .iter()
            .map(|runs| runs.samples[round].get(goal.figure));
        let best = match goal.figure {
            Figure::Rate => theirs.max_by(f64::total_cmp),
            Figure::Cpu | Figure::P50 => theirs.min_by(f64::total_cmp),
        };
        Some(sample.get(goal.figure) / best?)
    };
    let ours = runs.first().map_or(&[][..], |runs| &runs.samples);
    let spread = Spread::of(ours.iter().enumerate().filter_map(ratio));
    let name = match goal.figure {
        Figure::Cpu => "CPU",
        Figure::Rate => "throughput",
        Figure::P50 => "p50",
    };
    let against = match goal.rivals {
        [one] => (*one).to_string(),
        many => format!("the better of {}", many.join(" and ")),
    };
    let verdict = goal.bound.judge(spread);
    GoalResult {
        work: work.to_string(),
        figure: format!("{name} by {against}"),
        bound: goal.bound,
        spread,
        doubt: runs
            .first()
            .and_then(|ours| doubt(goal.figure, verdict, ours, &rivals)),
    }
}

/// Why the goal cannot be judged.
fn doubt(figure: Figure, verdict: Verdict, ours: &Runs, rivals: &[&Runs]) -> Option<String> {
    let all = || [ours].into_iter().chain(rivals.iter().copied());
    if let Some(runs) = all().find(|runs| runs.samples.iter().any(|sample| sample.lost > 0)) {
        return Some(format!("{} lost copies", runs.label));
    }
    if let Some(runs) = all().find(|runs| runs.mostly(Sample::is_disturbed)) {
        return Some(format!("the runs of {} were disturbed", runs.label));
    }
    let waits = |runs: &&Runs| runs.mostly(Sample::is_client_bound);
    let (ours, theirs) = (waits(&ours), rivals.iter().any(waits));
    // A server that waits for its client looks slower than it is, and its CPU time per answer is
    // larger, because it sleeps and wakes up more often.
    let looks_worse = match (figure, verdict) {
        (Figure::P50, _) => false,
        (Figure::Rate, _) if ours && theirs => true,
        (_, Verdict::Holds) => theirs && !ours,
        (_, Verdict::Missed) => ours && !theirs,
        _ => false,
    };
    looks_worse.then(|| "the client was the bottleneck".to_string())
}
