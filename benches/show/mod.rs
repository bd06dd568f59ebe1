//! What every show shares: a server of its own, a moment of rest, and figures beside idle ones.
//! Judges nothing: it prints, and the reader knows how quiet the machine was.

mod hostile;
mod idle;
mod stalls;

use crate::measure::contender::{Contender, folder};
use crate::measure::plan::Plan;
use crate::measure::pulse::Pulse;
use crate::measure::schedule::{self, Figures, line};
use crate::measure::server::Server;
use std::path::Path;

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

/// Runs of a pulse alone, and their medians.
fn pulses(plan: &Plan, server: &Server, pulse: &Pulse, beside: &str) -> Result<Figures, String> {
    let mut all = Vec::new();
    for round in 1..=plan.runs {
        let run = schedule::alone(server, pulse, plan.seconds)?;
        line(&round.to_string(), beside, run.figures, &run.note());
        all.push(run);
    }
    let medians = schedule::medians(&all);
    line("median", beside, medians, "");
    Ok(medians)
}
