//! Shows what peers cost each other: many idle ones, hostile ones, and everybody behind a disk.
//!
//! `cargo bench --bench stress -- --help` tells the rest; `scripts/soak` starts it as well.

#[path = "stress/hostile.rs"]
mod hostile;
#[path = "stress/idle.rs"]
mod idle;
mod measure;
#[path = "stress/stalls.rs"]
mod stalls;

use measure::contender::{Contender, folder};
use measure::plan::{self, Plan};
use measure::scheduled_echo::{Figures, Pulse, Run, head, line, measured, medians};
use measure::server::Server;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

type Show = fn(&Plan, &Path) -> Result<(), String>;

/// By the name that it is asked for.
const SHOWS: [(&str, Show); 3] = [
    ("idle", idle::show),
    ("hostile", hostile::show),
    ("stalls", stalls::show),
];

fn main() -> ExitCode {
    plan::begin("stress", SHOWS.map(|show| show.0), run)
}

fn run(plan: Plan) -> Result<(), String> {
    println!("{}", measure::machine());
    for (name, show) in SHOWS {
        if plan.has(name) {
            let scratch = tempfile::Builder::new()
                .prefix("stress-")
                .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
                .map_err(|e| format!("cannot make a folder in the target folder: {e}"))?;
            show(&plan, scratch.path())?;
        }
    }
    Ok(())
}

/// A server with these flags and a root of its own.
fn start(scratch: &Path, name: &str, flags: &[&str]) -> Result<Server, String> {
    let root = folder(scratch, name)?;
    let log = folder(scratch, &format!("{name}.log"))?;
    Server::start(&Contender::shown(&root, flags), &log)
}

/// Lines of the server's log in which it says that it served nobody for a while.
fn late_lines(scratch: &Path, name: &str) -> usize {
    let log = scratch.join(format!("{name}.log/loket.log"));
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.matches("nobody was served").count()
}

/// A run of a pulse alone, shown as one beside `beside`.
fn pulse_alone(
    plan: &Plan,
    server: &Server,
    pulse: &Pulse,
    round: usize,
    beside: &str,
) -> Result<Run, String> {
    let time = Duration::from_secs_f64(plan.seconds);
    let run = measured(server, || pulse.beat(time, || Ok(())))?;
    line(&round.to_string(), beside, run.figures, &run.note());
    Ok(run)
}

/// Rounds of runs, one with each label, and their medians.
fn rounds<const N: usize>(
    plan: &Plan,
    labels: [&str; N],
    mut one: impl FnMut(usize) -> Result<[Run; N], String>,
) -> Result<[Figures; N], String> {
    head();
    let mut all = Vec::new();
    for round in 1..=plan.runs {
        all.push(one(round)?);
    }
    Ok(std::array::from_fn(|at| {
        let runs: Vec<Run> = all.iter().map(|runs| runs[at]).collect();
        let figures = medians(&runs);
        line("median", labels[at], figures, "");
        figures
    }))
}
