//! The workloads of the comparison: each starts its servers, and measures them in turn with the
//! same load generator.

pub mod report;

mod beside;
mod connections;
mod echoes;
mod files;

use crate::measure::check_stop;
use crate::measure::contender::{Contender, PortSource, folder};
use crate::measure::generator;
use crate::measure::plan::Plan;
use crate::measure::server::Server;
use crate::measure::spread::{Bound, Spread};
use loket::load::report::{BodyCheck, Outcome};
use report::{GoalResult, Report};
use std::path::PathBuf;

type Workload = fn(&mut Suite) -> Result<(), String>;

/// Each workload with its name on the command line.
pub const WORKLOADS: [(&str, Workload); 11] = [
    ("echo", echoes::compare),
    ("ping", echoes::pings),
    ("http", files::small),
    ("download", files::downloads),
    ("upload", files::uploads),
    ("connect", connections::compare_short),
    ("room", echoes::room),
    ("spin", echoes::spin),
    ("beside", beside::compare),
    ("idle", connections::compare_idle),
    (EXTRA, beside::stalls),
];

/// This workload is measured only if it is named.
pub const EXTRA: &str = "stalls";

/// The options, a scratch directory and the report.
pub struct Suite {
    pub plan: Plan,
    pub scratch: PathBuf,
    pub report: Report,
}

/// A server and the flags of the generator against it.
type Entry = (Result<Contender, String>, String);

/// What one unit of work is.
#[derive(Clone, Copy)]
enum Unit {
    /// An answer; with its name.
    Answer(&'static str),
    /// A GiB that was received or sent.
    Gib,
}

/// What a goal bounds.
#[derive(Clone, Copy)]
enum Figure {
    Cpu,
    Rate,
    P50,
}

/// A bound on the ratio of loket to the best of some other servers, round by round.
struct Goal {
    figure: Figure,
    rivals: &'static [&'static str],
    bound: Bound,
}

impl Goal {
    fn cpu(rivals: &'static [&'static str], most: f64) -> Goal {
        Goal::new(Figure::Cpu, rivals, Bound::AtMost(most))
    }

    fn rate(rivals: &'static [&'static str], least: f64) -> Goal {
        Goal::new(Figure::Rate, rivals, Bound::AtLeast(least))
    }

    fn new(figure: Figure, rivals: &'static [&'static str], bound: Bound) -> Goal {
        Goal {
            figure,
            rivals,
            bound,
        }
    }
}

/// The result of one run.
#[derive(Clone, Copy)]
struct Sample {
    /// Units a second.
    rate: f64,
    /// Microseconds of server CPU per answer, or seconds per GiB.
    cpu: f64,
    /// Share of a core that the server used: near 1 it was the bottleneck.
    busy: f64,
    client_busy: f64,
    p50: f64,
    p99: f64,
    /// Share of the time in which the server or the client was runnable but had no core.
    disturbed: f64,
}

/// Above this, a run measures other programs more than the server.
const DISTURBED: f64 = 0.03;

impl Sample {
    fn of(outcome: &Outcome, unit: Unit) -> Result<Sample, String> {
        let server = outcome.server_cost().ok_or("the server was not measured")?;
        let client = outcome.client_cost().ok_or("the client was not measured")?;
        let recorder = &outcome.recorder;
        let (units, cpu) = match unit {
            Unit::Answer(_) => (recorder.in_time as f64, server.cpu as f64),
            Unit::Gib => {
                let bytes = (recorder.bytes_in + recorder.bytes_out) as f64;
                (bytes / (1u64 << 30) as f64, server.cpu as f64 / 1e6)
            }
        };
        let all = recorder.all_kinds();
        Ok(Sample {
            rate: units / outcome.seconds(),
            cpu: cpu / units,
            busy: server.busy,
            client_busy: client.busy,
            p50: all.value_at_quantile(0.5) as f64,
            p99: all.value_at_quantile(0.99) as f64,
            disturbed: server.kept_waiting.max(client.kept_waiting),
        })
    }

    fn get(&self, figure: Figure) -> f64 {
        match figure {
            Figure::Cpu => self.cpu,
            Figure::Rate => self.rate,
            Figure::P50 => self.p50,
        }
    }
}

/// The runs of one server.
struct Runs {
    label: &'static str,
    samples: Vec<Sample>,
    repeated: usize,
}

impl Suite {
    fn folder(&self, name: &str) -> Result<PathBuf, String> {
        folder(&self.scratch, name)
    }

    fn wants(&self, work: &str) -> bool {
        work.contains(&self.plan.only)
    }

    /// `count`, or a tenth of it with `--quick`.
    fn scaled(&self, count: u64) -> u64 {
        match self.plan.quick {
            true => (count / 10).max(1),
            false => count,
        }
    }

    /// Starts all servers; another server that does not start is skipped, loket or a bare loop
    /// must.
    fn start(&mut self, entries: Vec<Entry>) -> Result<Vec<(Server, String)>, String> {
        let mut started = Vec::new();
        for (contender, flags) in entries {
            let server = contender.and_then(|contender| {
                let is_rival = matches!(contender.port, PortSource::Fixed(_));
                Server::start(&contender, &self.scratch).map_err(|why| match is_rival {
                    true => why,
                    false => format!("!{why}"),
                })
            });
            match server {
                Ok(server) => started.push((server, flags)),
                Err(why) => match why.strip_prefix('!') {
                    Some(why) => return Err(why.to_string()),
                    None => self.report.skip(&why),
                },
            }
        }
        Ok(started)
    }

    /// Starts all servers and measures them in turn; the goals are those of the first, loket.
    fn compare(
        &mut self,
        work: &str,
        unit: Unit,
        entries: Vec<Entry>,
        goals: &[Goal],
    ) -> Result<(), String> {
        if !self.wants(work) {
            return Ok(());
        }
        println!("\n{work}");
        let servers = self.start(entries)?;
        let mut runs: Vec<Runs> = Vec::new();
        for (server, _) in &servers {
            runs.push(Runs {
                label: server.label,
                samples: Vec::new(),
                repeated: 0,
            });
        }
        for round in 0..self.plan.runs {
            for position in 0..servers.len() {
                // Each round starts with another server: after-effects of a run hit all equally.
                let index = (position + round) % servers.len();
                let (server, flags) = &servers[index];
                let flags = format!("{flags} -d {}", self.plan.whole_seconds());
                let of = &mut runs[index];
                let sample = loop {
                    let outcome = generator::run(&flags, server);
                    let outcome = outcome.map_err(|e| format!("{}: {e}", server.label))?;
                    if outcome.body_check == BodyCheck::Length {
                        return Err(format!("{} sends another file", server.label));
                    }
                    let sample = Sample::of(&outcome, unit)?;
                    print_sample(round + 1, server.label, &sample, unit);
                    // Bounded: on a busy machine the report says that runs were disturbed.
                    if sample.disturbed <= DISTURBED || of.repeated >= self.plan.runs / 2 {
                        break sample;
                    }
                    of.repeated += 1;
                };
                of.samples.push(sample);
            }
        }
        self.tabulate(work, unit, &runs, &servers);
        for goal in goals {
            self.report.goal(judge(work, goal, &runs));
        }
        check_stop()
    }

    fn tabulate(&mut self, work: &str, unit: Unit, runs: &[Runs], servers: &[(Server, String)]) {
        let (rate, cpu) = match unit {
            Unit::Answer(name) => (format!("{name}/s"), format!("us CPU/{name}")),
            Unit::Gib => ("GiB/s".to_string(), "s CPU/GiB".to_string()),
        };
        let header = [
            "server",
            &rate,
            &cpu,
            "busy",
            "client busy",
            "p50 ms",
            "p99 ms",
            "repeated",
            "load",
        ];
        let rows: Vec<Vec<String>> = runs
            .iter()
            .zip(servers)
            .map(|(runs, (_, flags))| {
                let of = |part: fn(&Sample) -> f64| {
                    let spread = Spread::of(runs.samples.iter().map(part));
                    spread.map_or(f64::NAN, |spread| spread.median)
                };
                vec![
                    runs.label.to_string(),
                    significant(of(|sample| sample.rate)),
                    significant(of(|sample| sample.cpu)),
                    format!("{:.0} %", 100.0 * of(|sample| sample.busy)),
                    format!("{:.0} %", 100.0 * of(|sample| sample.client_busy)),
                    significant(of(|sample| sample.p50) / 1e3),
                    significant(of(|sample| sample.p99) / 1e3),
                    runs.repeated.to_string(),
                    format!("`{flags}`"),
                ]
            })
            .collect();
        self.report.section(work, &header, &rows);
    }
}

fn print_sample(round: usize, label: &str, sample: &Sample, unit: Unit) {
    let (rate, cpu) = match unit {
        Unit::Answer(_) => ("/s", "us CPU"),
        Unit::Gib => ("GiB/s", "s CPU/GiB"),
    };
    println!(
        "{round:>4}  {label:<12} {:>12} {rate:<6} {:>8} {cpu}, busy {:.0} %, client {:.0} %{}",
        significant(sample.rate),
        significant(sample.cpu),
        100.0 * sample.busy,
        100.0 * sample.client_busy,
        match sample.disturbed > DISTURBED {
            true => format!(", disturbed for {:.0} %", 100.0 * sample.disturbed),
            false => String::new(),
        }
    );
}

/// Compares loket, which is first, with the best of the rivals in each round.
fn judge(work: &str, goal: &Goal, runs: &[Runs]) -> GoalResult {
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
    let name = match goal.figure {
        Figure::Cpu => "CPU",
        Figure::Rate => "throughput",
        Figure::P50 => "p50",
    };
    let against = match goal.rivals {
        [one] => (*one).to_string(),
        many => format!("the better of {}", many.join(" and ")),
    };
    GoalResult {
        work: work.to_string(),
        figure: format!("{name} by {against}"),
        bound: goal.bound,
        spread: Spread::of(ours.iter().enumerate().filter_map(ratio)),
    }
}

/// Three significant digits, with thousands separated.
fn significant(value: f64) -> String {
    match value {
        _ if value >= 1_000.0 => loket::wire::text::grouped(value.round() as u64),
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
