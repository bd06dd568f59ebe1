//! Echo latency and server memory with hostile clients.
//!
//! See `cargo bench --bench stress -- --help`; `scripts/soak` runs it too.

#[path = "stress/hostile.rs"]
mod hostile;
mod measure;

use measure::contender::{Contender, folder};
use measure::plan::{self, Plan};
use measure::scheduled_echo::{
    Percentiles, Run, ScheduledEcho, measured, medians, print_header, print_row,
};
use measure::server::Server;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

type Test = fn(&Plan, &Path) -> Result<(), String>;

/// Each test with its name on the command line.
const TESTS: [(&str, Test); 1] = [("hostile", hostile::run)];

fn main() -> ExitCode {
    plan::begin("stress", TESTS.map(|test| test.0), run)
}

fn run(plan: Plan) -> Result<(), String> {
    for (name, value) in measure::machine() {
        println!("{name}: {value}");
    }
    for (name, test) in TESTS {
        if plan.has(name) {
            let scratch = tempfile::Builder::new()
                .prefix("stress-")
                .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
                .map_err(|e| format!("cannot create a directory below target: {e}"))?;
            test(&plan, scratch.path())?;
        }
    }
    Ok(())
}

/// Starts a server with these flags and its own root directory.
fn start(scratch: &Path, name: &str, flags: &[&str]) -> Result<Server, String> {
    let contender = Contender::all_services(&folder(scratch, name)?, flags);
    Server::start(&contender, &folder(scratch, "log")?)
}

/// One run of the echo without other load; its row has the label `label`.
fn echo_alone(
    plan: &Plan,
    server: &Server,
    echo: &ScheduledEcho,
    round: usize,
    label: &str,
) -> Result<Run, String> {
    let time = Duration::from_secs(plan.seconds.into());
    let run = measured(server, || echo.run(time, || Ok(())))?;
    print_row(&round.to_string(), label, run.percentiles, &run.note());
    Ok(run)
}

/// Repeats `one`, which makes one run for each label, and prints and returns the medians.
fn rounds<const N: usize>(
    plan: &Plan,
    labels: [&str; N],
    mut one: impl FnMut(usize) -> Result<[Run; N], String>,
) -> Result<[Percentiles; N], String> {
    print_header();
    let mut all = Vec::new();
    for round in 1..=plan.runs {
        all.push(one(round)?);
    }
    Ok(std::array::from_fn(|at| {
        let runs: Vec<Run> = all.iter().map(|runs| runs[at]).collect();
        let percentiles = medians(&runs);
        print_row("median", labels[at], percentiles, "");
        percentiles
    }))
}
