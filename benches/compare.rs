//! Compares loket with other servers under the same workloads and reports which goals it meets.
//! A wrong answer fails its workload.
//!
//! `scripts/compare` installs the other servers and runs this; see `scripts/compare --help`.

mod baseline;
mod measure;
mod rivals;
mod workloads;

use measure::plan::{self, Plan};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use workloads::report::Report;
use workloads::{Suite, WORKLOADS};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("baseline") => plan::exit_code("compare", baseline::run(&args[1..])),
        _ => plan::begin("compare", WORKLOADS.map(|workload| workload.0), compare),
    }
}

fn compare(plan: Plan) -> Result<(), String> {
    let machine = machine(&plan);
    println!("{machine}");
    let mut suite = Suite {
        plan,
        scratch: PathBuf::new(),
        report: Report::default(),
    };
    for (name, workload) in WORKLOADS {
        if !suite.plan.has(name) || measure::is_stopped() {
            continue;
        }
        // Dropped, with its files, before the next workload starts.
        let scratch = tempfile::Builder::new()
            .prefix("compare-")
            .tempdir()
            .map_err(|e| format!("cannot create a temporary directory: {e}"))?;
        suite.scratch = scratch.path().to_path_buf();
        if let Err(error) = workload(&mut suite) {
            suite.report.failed(name, &error);
        }
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let path = target
        .unwrap_or(Path::new("target"))
        .join("compare/report.md");
    // An empty report must not replace an earlier one.
    if !suite.report.is_empty() {
        suite.report.write(&path, &machine)?;
    }
    match suite.report.failures() {
        0 => Ok(()),
        count => Err(format!("{count} workloads failed; see the messages above")),
    }
}

/// The machine, the versions of the servers and the number of runs, for the head of the report.
fn machine(plan: &Plan) -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let versions = rivals::VERSIONS
        .map(|(name, command)| format!("- {name}: {}", rivals::version(command)))
        .join("\n");
    let quick = match plan.quick {
        true => "A quick run with small workloads: do not quote these numbers.\n",
        false => "",
    };
    format!(
        "{quick}Processor: {}, {} cores\n\n{}\n\n\
         Medians of {} runs; timed runs last {} s.\n\n\
         - loket: {}\n{versions}",
        model.map_or("unknown", |(_, name)| name),
        processor.matches("processor\t").count(),
        measure::machine(),
        plan.runs,
        plan.seconds,
        env!("CARGO_PKG_VERSION"),
    )
}
