//! Shows what peers cost each other: many idle ones, hostile ones, and everybody behind a disk.
//!
//! `cargo bench --bench shows -- --help` tells the rest; `scripts/soak` starts it as well.

mod measure;
mod show;

use measure::plan::{self, Plan};
use std::process::ExitCode;

fn main() -> ExitCode {
    plan::begin("shows", show::SHOWS.map(|show| show.0), run)
}

fn run(plan: Plan) -> Result<(), String> {
    println!("{}", measure::machine());
    for (name, show) in show::SHOWS {
        if plan.has(name) {
            let scratch = tempfile::Builder::new()
                .prefix("shows-")
                .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
                .map_err(|e| format!("cannot make a folder in the target folder: {e}"))?;
            show(&plan, scratch.path())?;
        }
    }
    Ok(())
}
