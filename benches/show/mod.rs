//! What every show shares: a server of its own, a moment of rest, and figures beside idle ones.

mod hostile;
mod idle;
mod stalls;

use crate::measure::contender::{Contender, folder};
use crate::measure::plan::Plan;
use crate::measure::pulse::{Figures, Pulse, Run, head, line, measured, medians};
use crate::measure::server::Server;
use std::path::Path;
use std::time::Duration;

type Show = fn(&Plan, &Path) -> Result<(), String>;

/// By the name that it is asked for.
pub const SHOWS: [(&str, Show); 3] = [
    ("idle", idle::show),
    ("hostile", hostile::show),
    ("stalls", stalls::show),
];

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
