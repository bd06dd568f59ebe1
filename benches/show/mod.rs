//! What every show shares: a server of its own, a moment of rest, and figures beside idle ones.
//! Judges nothing: it prints, and the reader knows how quiet the machine was.

pub mod hostile;
pub mod idle;
pub mod stalls;

mod burden;
mod pulse;

use crate::measure::server::{Meter, Server};
use crate::measure::table::median;
use crate::measure::{Contender, Limit};
use pulse::Pulse;
use std::path::Path;
use std::time::Duration;

/// A run of which others took more than this is marked: a hundredth of the echoes makes the p99.
const DISTURBED: f64 = 0.003;

/// What the command line asked for.
pub struct Plan {
    pub runs: usize,
    pub seconds: f64,
    pub only: String,
}

/// p50, p99 and the longest of one run, in microseconds.
type Figures = [f64; 3];

/// A server with these flags and a root of its own.
fn start(scratch: &Path, name: &str, flags: &[&str]) -> Result<Server, String> {
    let root = scratch.join(name);
    std::fs::create_dir_all(&root).map_err(|e| format!("cannot make {}: {e}", root.display()))?;
    let log = scratch.join(format!("{name}.log"));
    std::fs::create_dir_all(&log).map_err(|e| format!("cannot make {}: {e}", log.display()))?;
    Server::start(&Contender::shown(&root, flags), &log)
}

/// Lines of the server's log in which it says that it served nobody for a while.
fn late_lines(scratch: &Path, name: &str) -> usize {
    let log = scratch.join(format!("{name}.log/loket.log"));
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.matches("nobody was served").count()
}

/// Waits until the server has nothing to do.
fn rest(server: &Server) -> Result<(), String> {
    let limit = Limit::new();
    loop {
        limit.check()?;
        let before = server.processes()?.cpu()?.0;
        std::thread::sleep(Duration::from_millis(200));
        if server.processes()?.cpu()?.0 - before < 0.002 {
            return Ok(());
        }
    }
}

/// The latencies of a pulse while something is done beside it, and whether others were in the way.
fn measured(
    server: &Server,
    act: impl FnOnce() -> Result<Vec<f64>, String>,
) -> Result<(Figures, bool), String> {
    let meter = Meter::start(server)?;
    let times = act()?;
    let disturbed = meter.stop(1.0)?.disturbed > DISTURBED;
    Ok((figures(times), disturbed))
}

fn figures(mut times: Vec<f64>) -> Figures {
    times.sort_by(f64::total_cmp);
    let part = |of: f64| times[((times.len() - 1) as f64 * of).round() as usize];
    [part(0.5), part(0.99), part(1.0)]
}

fn medians(runs: &[Figures]) -> Figures {
    [0, 1, 2].map(|part| median(runs.iter().map(|figures| figures[part]).collect()))
}

fn head() {
    println!(
        "{:>6}  {:<12} {:>10} {:>10} {:>10}",
        "run", "beside", "p50 us", "p99 us", "max us"
    );
}

fn line(head: &str, label: &str, [p50, p99, most]: Figures, note: &str) {
    println!("{head:>6}  {label:<12} {p50:>10.1} {p99:>10.1} {most:>10.1}{note}");
}

fn noise(disturbed: bool) -> &'static str {
    if disturbed { "   noisy" } else { "" }
}

/// A pulse alone, for so many seconds.
fn alone(server: &Server, pulse: &Pulse, seconds: f64) -> Result<(Figures, bool), String> {
    let nothing = || Ok(());
    measured(server, || {
        pulse.beat(Duration::from_secs_f64(seconds), nothing)
    })
}
