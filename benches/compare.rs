//! Compares loket with other servers at the same work, in turn, and says which goals it reaches.
//! An answer that is wrong ends the work it belongs to.
//!
//! `scripts/compare` installs the others and runs this; `scripts/compare --help` tells the rest.

mod baseline;
mod measure;
mod rivals;
mod workloads;

use measure::plan::{self, Plan};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use workloads::report::Report;
use workloads::{Stage, WORKS};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.first().map(String::as_str) {
        Some("bare") => baseline::run(&words[1..]),
        _ => return plan::begin("compare", WORKS.map(|work| work.0), compare),
    };
    if let Err(trouble) = outcome {
        eprintln!("compare: {trouble}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn compare(plan: Plan) -> Result<(), String> {
    let machine = machine(&plan);
    println!("{machine}");
    let mut stage = Stage {
        plan,
        scratch: PathBuf::new(),
        report: Report::default(),
    };
    for (name, work) in WORKS {
        if !stage.plan.has(name) || measure::is_stopped() {
            continue;
        }
        // Gone with its files before the next work begins.
        let scratch = tempfile::Builder::new()
            .prefix("compare-")
            .tempdir()
            .map_err(|e| format!("cannot make a folder for temporary files: {e}"))?;
        stage.scratch = scratch.path().to_path_buf();
        if let Err(trouble) = work(&mut stage) {
            stage.report.failed(name, &trouble);
        }
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let path = target
        .unwrap_or(Path::new("target"))
        .join("compare/report.md");
    // A report of nothing would replace one of something.
    if !stage.report.is_empty() {
        stage.report.write(&path, &machine)?;
    }
    match stage.report.failures() {
        0 => Ok(()),
        count => Err(format!("{count} of the works failed; see above")),
    }
}

/// What a reader has to know to believe the figures.
fn machine(plan: &Plan) -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let versions = rivals::VERSIONS
        .map(|(name, command)| format!("- {name}: {}", rivals::version(command)))
        .join("\n");
    let quick = match plan.quick {
        true => "A quick look: small works, and no figures to quote.\n",
        false => "",
    };
    format!(
        "{quick}Processor: {}, {} cores\n\n{}\n\n\
         Medians of {} runs; {} s each where time ends them.\n\n\
         - loket: {}\n{versions}",
        model.map_or("unknown", |(_, name)| name),
        processor.matches("processor\t").count(),
        measure::machine(),
        plan.runs,
        plan.seconds,
        env!("CARGO_PKG_VERSION"),
    )
}
