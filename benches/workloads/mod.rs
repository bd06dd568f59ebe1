//! The workloads of the comparison: each starts its servers, and measures them in turn with the
//! same load generator.

pub mod report;
pub mod samples;

mod beside;
mod connections;
mod echoes;
mod files;

use crate::measure::check_stop;
use crate::measure::contender::{Contender, PortSource, folder};
use crate::measure::generator;
use crate::measure::plan::Plan;
use crate::measure::server::Server;
use loket::load::report::BodyCheck;
use report::Report;
use samples::{Goal, Runs, Sample, Unit, judge};
use std::path::PathBuf;
use std::time::{Duration, Instant};

type Workload = fn(&mut Suite) -> Result<(), String>;
type Prepare<'a> = &'a dyn Fn(&Server) -> Result<(), String>;

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

/// Rounds before a row may end early.
const FEWEST: usize = 3;
/// Seconds of load before a run is measured: caches are warm, and the kernel has sized its buffers.
const RAMP: u32 = 1;
/// With more repetitions, or more than the fewest rounds after `LATE`, a comparison on a busy
/// machine would take more than half an hour.
const REPETITIONS: Duration = Duration::from_mins(4);
const LATE: Duration = Duration::from_mins(22);

/// The options, a scratch directory and the report.
pub struct Suite {
    pub plan: Plan,
    pub scratch: PathBuf,
    pub report: Report,
    /// The time for which disturbed runs may still be repeated.
    repetitions: Duration,
    start: Instant,
}

const BARE_LOOP: &[&str] = &["bare loop"];

impl Suite {
    pub fn new(plan: Plan) -> Suite {
        Suite {
            report: Report::new(plan.quick),
            plan,
            scratch: PathBuf::new(),
            repetitions: REPETITIONS,
            start: Instant::now(),
        }
    }

    /// The most rounds of a row.
    fn rounds(&self) -> usize {
        match self.start.elapsed() > LATE {
            true => self.plan.runs.min(FEWEST),
            false => self.plan.runs,
        }
    }

    /// Whether a run that took this long may be repeated.
    fn repeats(&mut self, took: Duration) -> bool {
        let left = self.repetitions.checked_sub(took);
        self.repetitions = left.unwrap_or_default();
        left.is_some()
    }

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
    fn start(
        &mut self,
        load: &str,
        contenders: Vec<Result<Contender, String>>,
    ) -> Result<Vec<(Server, String)>, String> {
        let mut started = Vec::new();
        for contender in contenders {
            let server = contender.and_then(|contender| {
                let server = Server::start(&contender, &self.scratch);
                let is_rival = matches!(contender.port, PortSource::Fixed(_));
                let flags = contender.load.unwrap_or(load).to_string();
                match server {
                    Err(why) if is_rival => Err(why),
                    server => Ok((server, flags)),
                }
            });
            match server {
                Ok((server, flags)) => started.push((server?, flags)),
                Err(why) => self.report.skip(&why),
            }
        }
        Ok(started)
    }

    /// Starts all servers and measures them in turn; the goals are those of the first, loket.
    fn compare(
        &mut self,
        work: &str,
        unit: Unit,
        load: &str,
        contenders: Vec<Result<Contender, String>>,
        goals: &[Goal],
    ) -> Result<(), String> {
        self.compare_after(&|_| Ok(()), work, unit, load, contenders, goals)
    }

    /// Like `compare`; calls `prepare` before each run.
    fn compare_after(
        &mut self,
        prepare: Prepare,
        work: &str,
        unit: Unit,
        load: &str,
        contenders: Vec<Result<Contender, String>>,
        goals: &[Goal],
    ) -> Result<(), String> {
        if !self.wants(work) {
            return Ok(());
        }
        println!("\n{work}");
        let servers = self.start(load, contenders)?;
        let mut runs: Vec<Runs> = Vec::new();
        runs.extend(servers.iter().map(|(server, _)| Runs::new(server.label)));
        for round in 0..self.plan.runs {
            let is_clear = |goal| judge(work, goal, &runs).is_clear();
            if round >= self.rounds() || round >= FEWEST && goals.iter().all(is_clear) {
                break;
            }
            for position in 0..servers.len() {
                // Each round starts with another server: after-effects of a run hit all equally.
                let index = (position + round) % servers.len();
                self.measure(&servers[index], unit, &mut runs[index], prepare)?;
            }
        }
        self.tabulate(work, unit, &runs, &servers);
        for goal in goals {
            self.report.goal(judge(work, goal, &runs));
        }
        check_stop()
    }

    /// Adds a sample of one server. A disturbed run is repeated, but not too often: on a busy
    /// machine the report says that runs were disturbed.
    fn measure(
        &mut self,
        (server, flags): &(Server, String),
        unit: Unit,
        runs: &mut Runs,
        prepare: Prepare,
    ) -> Result<(), String> {
        let flags = format!("{flags} --ramp {RAMP} -d {}", self.plan.seconds);
        let mut best: Option<Sample> = None;
        loop {
            let began = Instant::now();
            prepare(server)?;
            let outcome = generator::run(&flags, server);
            let outcome = outcome.map_err(|e| format!("{}: {e}", server.label))?;
            if outcome.body_check == BodyCheck::Length {
                return Err(format!("{} sends another file", server.label));
            }
            let sample = Sample::of(&outcome, unit)?;
            print_sample(runs.samples.len() + 1, server.label, &sample, unit);
            runs.made += 1;
            runs.disturbed += usize::from(sample.is_disturbed());
            let disturbance = |sample: &Sample| (sample.lost, sample.waited);
            let kept = match best {
                Some(best) if disturbance(&best) <= disturbance(&sample) => best,
                _ => sample,
            };
            let repeated = runs.made - runs.samples.len() - 1;
            if !sample.is_disturbed()
                || repeated >= self.plan.runs / 2
                || !self.repeats(began.elapsed())
            {
                runs.samples.push(kept);
                return Ok(());
            }
            best = Some(kept);
        }
    }

    fn tabulate(&mut self, work: &str, unit: Unit, runs: &[Runs], servers: &[(Server, String)]) {
        let (rate, cpu) = match unit {
            Unit::Answer(name) => (format!("{name}/s"), format!("us CPU/{name}")),
            Unit::Gib => ("GiB/s".to_string(), "s CPU/GiB".to_string()),
        };
        let [first, last] = [
            ["server", &rate, &cpu, "busy"],
            ["p50 ms", "p99 ms", "disturbed", "load"],
        ];
        let header = [&first[..], &["client busy"], &last].concat();
        let rows: Vec<Vec<String>> = runs
            .iter()
            .zip(servers)
            .map(|(runs, (_, flags))| {
                let of = |part| runs.median(part);
                let bold = match runs.mostly(Sample::is_client_bound) {
                    true => "**",
                    false => "",
                };
                vec![
                    runs.label.to_string(),
                    significant(of(|sample| sample.rate)),
                    significant(of(|sample| sample.cpu)),
                    format!("{:.0} %", 100.0 * of(|sample| sample.busy)),
                    format!(
                        "{bold}{:.0} %{bold}",
                        100.0 * of(|sample| sample.client_busy)
                    ),
                    significant(of(|sample| sample.p50) / 1e3),
                    significant(of(|sample| sample.p99) / 1e3),
                    format!("{} of {}", runs.disturbed, runs.made),
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
        match (sample.is_disturbed(), sample.lost) {
            (false, _) => String::new(),
            (true, 0) => format!(", disturbed for {:.0} %", 100.0 * sample.waited),
            (true, lost) => format!(", disturbed: {lost} copies were lost"),
        }
    );
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
