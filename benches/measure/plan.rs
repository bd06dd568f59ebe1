//! The command line of `compare` and `stress`, and their setup.

use super::{pinning, stop_on_signals};
use clap::{CommandFactory, FromArgMatches, Parser};
use std::process::ExitCode;

/// The command line.
#[derive(Parser)]
#[command(about = "Measures servers on one core, with the load on another")]
pub struct Plan {
    /// What to measure [default: everything but `stalls`]
    pub names: Vec<String>,
    /// Most rounds of a row; it ends after three if its goals are clear [default: 5]
    #[arg(long, default_value = "5", default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100))]
    #[arg(hide_default_value = true)]
    pub runs: usize,
    /// Seconds per timed run, a whole number [default: 3]
    #[arg(long, default_value = "3", default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=60), hide_default_value = true)]
    pub seconds: u32,
    /// Measure only rows whose title contains this text
    #[arg(long, default_value = "")]
    #[arg(hide_default_value = true)]
    pub only: String,
    /// One short round with a tenth of the work, to check that everything runs; judges no goal
    #[arg(long)]
    pub quick: bool,
    /// Congestion control in the network namespace of the measurement; `system` uses no namespace.
    /// bbr paces even on loopback
    #[arg(long, default_value = "reno")]
    congestion: String,
    /// Descriptor limit of a process
    #[arg(skip)]
    pub descriptors: u64,
    /// Added by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
    /// This process already runs in the namespace
    #[arg(long, hide = true)]
    entered: bool,
}

impl Plan {
    pub fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|known| known == name)
    }
}

/// Parses the command line, enters the namespace, pins this process and calls `run`.
pub fn begin(
    program: &'static str,
    names: impl IntoIterator<Item = &'static str>,
    run: impl FnOnce(Plan) -> Result<(), String>,
) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs this without `--bench` and must not start any load.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("nothing measured; usage: cargo bench --bench {program}");
        return ExitCode::SUCCESS;
    }
    let names = clap::builder::PossibleValuesParser::new(names);
    let command = Plan::command().bin_name(program);
    let command = command.mut_arg("names", |arg| arg.value_parser(names));
    let plan = Plan::from_arg_matches(&command.get_matches());
    let plan = plan.unwrap_or_else(|error| error.exit());
    exit_code(program, measure(plan, &args, run))
}

/// Reports an error.
pub fn exit_code(program: &str, outcome: Result<(), String>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(
    mut plan: Plan,
    args: &[String],
    run: impl FnOnce(Plan) -> Result<(), String>,
) -> Result<(), String> {
    if plan.entered {
        pinning::prepare_namespace(&plan.congestion)?;
    } else if plan.congestion != "system" {
        return pinning::enter_namespace(args);
    }
    pinning::pin_load()?;
    stop_on_signals()?;
    plan.descriptors = pinning::raise_fd_limit()?.min(1 << 20);
    run(plan)
}
