//! The standard set of `loket load` against servers that it starts. `scripts/load` runs this.

mod measure;
mod standard;

use clap::Parser;
use standard::Plan;
use std::process::ExitCode;

fn main() -> ExitCode {
    // `cargo test --all-targets` runs this without `--bench` and must not start any load.
    if !std::env::args().any(|arg| arg == "--bench") {
        println!("nothing measured; usage: scripts/load");
        return ExitCode::SUCCESS;
    }
    let plan = Plan::parse();
    let ended = measure::stop_on_signals().and_then(|()| standard::run(&plan));
    measure::plan::exit_code("scripts/load", ended)
}
