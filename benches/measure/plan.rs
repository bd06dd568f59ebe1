//! The command line that `compare` and `shows` share, and what they do before they measure.

use super::{pinning, stop_on_signals};
use clap::{CommandFactory, FromArgMatches, Parser};
use std::process::ExitCode;

/// What the command line asked for.
#[derive(Parser)]
#[command(about = "Measures on two cores, the server on one and the load on the other")]
pub struct Plan {
    /// What is measured [default: everything]
    names: Vec<String>,
    /// Rounds of each measurement [default: 5]
    #[arg(long, default_value = "5", default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100))]
    #[arg(hide_default_value = true)]
    pub runs: usize,
    /// Seconds of each run whose time is fixed [default: 3]
    #[arg(long, default_value = "3", default_value_if("quick", "true", "0.5"))]
    #[arg(value_parser = seconds, hide_default_value = true)]
    pub seconds: f64,
    /// Measure only what has this in its title
    #[arg(long, default_value = "")]
    #[arg(hide_default_value = true)]
    pub only: String,
    /// One short round with a tenth of the work, to see that everything works
    #[arg(long)]
    pub quick: bool,
    /// The congestion control of the network namespace in which all of it runs; `system`: run
    /// outside of a namespace. bbr paces even loopback
    #[arg(long, default_value = "reno")]
    congestion: String,
    /// The most descriptors that a process may have
    #[arg(skip)]
    pub descriptors: u64,
    /// From `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
    /// This process runs in the namespace already
    #[arg(long, hide = true)]
    entered: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|n| (0.1..=60.0).contains(n));
    seconds.ok_or_else(|| "a number from 0.1 to 60 is needed".to_string())
}

impl Plan {
    pub fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|known| known == name)
    }
}

/// Parses the command line, enters the namespace and runs on the core of the load.
pub fn begin(
    program: &'static str,
    names: impl IntoIterator<Item = &'static str>,
    run: impl FnOnce(Plan) -> Result<(), String>,
) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` comes without `--bench` and must not start any load.
    if !words
        .iter()
        .any(|word| word == "--bench" || word == "pinned")
    {
        println!("nothing measured: run this by `cargo bench --bench {program}`");
        return ExitCode::SUCCESS;
    }
    let outcome = match words.first().map(String::as_str) {
        Some("pinned") => pinning::pinned(&words[1..]),
        _ => {
            let names = clap::builder::PossibleValuesParser::new(names);
            let command = Plan::command().bin_name(program);
            let command = command.mut_arg("names", |names_of| names_of.value_parser(names));
            let plan = Plan::from_arg_matches(&command.get_matches());
            measure(plan.unwrap_or_else(|error| error.exit()), &words, run)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("{program}: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn measure(
    mut plan: Plan,
    words: &[String],
    run: impl FnOnce(Plan) -> Result<(), String>,
) -> Result<(), String> {
    if plan.entered {
        pinning::prepare(&plan.congestion)?;
    } else if plan.congestion != "system" {
        return pinning::enter(words);
    }
    pinning::pin_to(pinning::LOAD_CORE)?;
    stop_on_signals()?;
    plan.descriptors = pinning::raise_descriptors()?.min(1 << 20);
    run(plan)
}
