//! Compares loket with other servers at the same work, in turn, and says which goals it reaches.
//! Proves nothing about correctness, but an answer that is wrong ends the work it belongs to.
//!
//! `scripts/compare [WORK]... [--only WORDS] [--runs 5] [--seconds 3] [--quick]
//! [--congestion NAME|system]` installs the others and runs this; `--only` picks the rows of the
//! goals table whose first column holds the words. Without `--congestion system` all of it takes
//! place in a network namespace of its own, with reno: bbr paces even loopback.

mod bare;
mod measure;
mod rivals;
mod works;

use measure::{Plan, place};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use works::report::Report;
use works::{Stage, WORKS};

const USAGE: &str = "usage: scripts/compare [WORK]... [--only WORDS] [--runs N] [--seconds S] \
                     [--quick] [--congestion NAME|system]";

/// What the command line asked for.
struct Options {
    works: Vec<&'static str>,
    runs: usize,
    seconds: f64,
    quick: bool,
    only: String,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.first().map(String::as_str) {
        Some("bare") => bare::run(&words[1..]),
        Some(rivals::tokio_echo::WORD) => rivals::tokio_echo::run(),
        Some("pinned") => place::pinned(&words[1..]),
        Some("entered") => place::entered(&words[1..])
            .and_then(parse)
            .and_then(compare),
        _ if words.iter().any(|word| word == "--help" || word == "-h") => {
            println!("{USAGE}\n\n{}", names());
            Ok(())
        }
        // `cargo test --all-targets` comes without `--bench` and must not start any load.
        _ if !words.iter().any(|word| word == "--bench") => {
            println!("nothing compared; {USAGE}");
            Ok(())
        }
        _ => begin(words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("compare: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn begin(words: Vec<String>) -> Result<(), String> {
    let (name, words) = place::take_congestion(&words).unwrap_or(("reno".to_string(), words));
    let options = parse(&words)?;
    match name.as_str() {
        "system" => compare(options),
        _ => place::enter(&name, &words),
    }
}

fn names() -> String {
    let names: Vec<&str> = WORKS.iter().map(|work| work.0).collect();
    format!("WORK is one of {}; without any, all", names.join(", "))
}

fn parse(words: &[String]) -> Result<Options, String> {
    let (mut runs, mut seconds) = (None, None);
    let mut options = Options {
        works: Vec::new(),
        runs: 5,
        seconds: 3.0,
        quick: false,
        only: String::new(),
    };
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        let mut text = || {
            let value = rest.next().map(String::from);
            value.ok_or(format!("{word} needs a value\n{USAGE}"))
        };
        match word {
            "--bench" => {}
            "--quick" => options.quick = true,
            "--only" => options.only = text()?,
            "--runs" => runs = Some(measure::number(word, &text()?, 1.0, 100.0)? as usize),
            "--seconds" => seconds = Some(measure::number(word, &text()?, 0.1, 60.0)?),
            _ => match WORKS.iter().find(|work| work.0 == word) {
                Some(work) => options.works.push(work.0),
                None => return Err(format!("cannot make out {word:?}\n{USAGE}\n{}", names())),
            },
        }
    }
    if options.works.is_empty() {
        options.works = WORKS.iter().map(|work| work.0).collect();
    }
    let (few, short) = if options.quick { (1, 0.5) } else { (5, 3.0) };
    options.runs = runs.unwrap_or(few);
    options.seconds = seconds.unwrap_or(short);
    Ok(options)
}

fn compare(options: Options) -> Result<(), String> {
    place::pin_to(place::LOAD_CORE)?;
    measure::stop_on_signals()?;
    let descriptors = place::raise_descriptors()?.min(1 << 20);
    let machine = machine(&options);
    println!("{machine}");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_loket"));
    let mut stage = Stage {
        plan: Plan {
            runs: options.runs,
            seconds: options.seconds,
        },
        program,
        quick: options.quick,
        only: options.only.clone(),
        descriptors,
        scratch: PathBuf::new(),
        report: Report::default(),
    };
    for (name, work) in WORKS {
        if !options.works.contains(&name) || measure::is_stopped() {
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
fn machine(options: &Options) -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let versions = rivals::VERSIONS
        .map(|(name, command)| format!("- {name}: {}", rivals::version(command)))
        .join("\n");
    let quick = match options.quick {
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
        options.runs,
        options.seconds,
        env!("CARGO_PKG_VERSION"),
    )
}
