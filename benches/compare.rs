//! Compares loket with other servers under the same loads, and judges its goals.
//! A wrong answer fails its workload.
//!
//! `scripts/compare` installs the other servers and runs this; see `scripts/compare --help`.

mod bare_loop;
mod measure;
#[path = "../tests/support/mount.rs"]
mod mount;
mod rivals;
mod workloads;

use measure::plan::{self, Plan};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use workloads::{EXTRA, Suite, WORKLOADS};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("bare-loop") => plan::exit_code("compare", bare_loop::run(&args[1..])),
        _ => plan::begin("compare", WORKLOADS.map(|workload| workload.0), compare),
    }
}

fn compare(plan: Plan) -> Result<(), String> {
    let start = Instant::now();
    let mut machine = measure::machine();
    let versions = rivals::VERSIONS.map(|(name, command)| (name, rivals::version(command)));
    machine.extend(versions);
    let mut suite = Suite::new(plan);
    for (name, workload) in WORKLOADS {
        let is_extra = name == EXTRA && suite.plan.names.is_empty();
        if is_extra || !suite.plan.has(name) || measure::check_stop().is_err() {
            continue;
        }
        // Dropped, with its files, before the next workload starts.
        let scratch = measure::scratch("compare-")?;
        suite.scratch = scratch.path().to_path_buf();
        if let Err(error) = workload(&mut suite) {
            suite.report.failed(name, &error);
        }
    }
    // An empty report must not replace an earlier one.
    if !suite.report.is_empty() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("compare");
        let head = head(&suite.plan, start.elapsed());
        suite.report.write(&folder, &head, &machine)?;
    }
    match suite.report.failed {
        0 => Ok(()),
        count => Err(format!("{count} workloads failed; see the messages above")),
    }
}

/// What a reader must know about the figures.
fn head(plan: &Plan, took: Duration) -> String {
    let quick = match plan.quick {
        true => "A quick run with small workloads: do not quote these numbers. ",
        false => "",
    };
    format!(
        "{quick}It took {:.0} min. At most {} rounds, with runs of {} s after a second of ramp, \
         the servers in turn; a row with clear goals ends after three. The same generator, `loket \
         load`, is the client of all; a ratio is loket's figure by the other's of the same round. \
         Some of the runs that other programs disturbed are repeated. Trust CPU more than \
         throughput, which also depends on the client.",
        took.as_secs_f64() / 60.0,
        plan.runs,
        plan.seconds
    )
}
