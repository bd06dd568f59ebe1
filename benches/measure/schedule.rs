//! The latency of an echo on a schedule as figures of single runs, and how quiet the machine was.

use super::Limit;
use super::server::{Meter, Server};
use super::table::median;

/// A hundredth of the echoes makes the p99: what others take of the cores must be much less.
const DISTURBED: f64 = 0.003;
/// A machine that is never quiet is told of, and not waited for.
const REPEATS: usize = 3;

/// p50, p99 and the longest of one run, in microseconds.
pub type Figures = [f64; 3];

/// One run.
#[derive(Clone, Copy)]
pub struct Run {
    pub figures: Figures,
    /// The part of it in which others had a core that it stood ready for.
    pub held_up: f64,
    /// The part of its echoes that came while our end stood still; the figures are without them.
    pub unseen: f64,
}

impl Run {
    pub fn is_disturbed(&self) -> bool {
        self.held_up > DISTURBED
    }

    pub fn note(&self) -> String {
        let noisy = if self.is_disturbed() { "   noisy" } else { "" };
        format!("   {:.1} % unseen{noisy}", self.unseen * 100.0)
    }
}

pub fn head() {
    println!(
        "{:>6}  {:<18} {:>10} {:>10} {:>10}",
        "run", "beside", "p50 us", "p99 us", "max us"
    );
}

pub fn line(head: &str, label: &str, [p50, p99, most]: Figures, note: &str) {
    println!("{head:>6}  {label:<18} {p50:>10.1} {p99:>10.1} {most:>10.1}{note}");
}

/// The latencies of a pulse while something is done beside it.
pub fn measured(
    server: &Server,
    act: impl FnOnce() -> Result<Vec<f64>, String>,
) -> Result<Run, String> {
    let meter = Meter::start(server)?;
    let times = act()?;
    let held_up = meter.stop(1.0)?.disturbed;
    let unseen = times.iter().filter(|time| time.is_nan()).count() as f64 / times.len() as f64;
    Ok(Run {
        figures: figures(times),
        held_up,
        unseen,
    })
}

/// A run that was not disturbed, or the last of some.
pub fn undisturbed(
    server: &Server,
    round: usize,
    label: &str,
    mut act: impl FnMut() -> Result<Vec<f64>, String>,
) -> Result<Run, String> {
    let mut repeats = REPEATS;
    let mut run = measured(server, &mut act)?;
    while run.is_disturbed() && repeats > 0 {
        repeats -= 1;
        line("again", label, run.figures, &run.note());
        rest(server)?;
        run = measured(server, &mut act)?;
    }
    line(&round.to_string(), label, run.figures, &run.note());
    Ok(run)
}

pub fn figures(mut times: Vec<f64>) -> Figures {
    times.retain(|time| !time.is_nan());
    times.sort_by(f64::total_cmp);
    let part = |of: f64| times[((times.len() - 1) as f64 * of).round() as usize];
    [part(0.5), part(0.99), part(1.0)]
}

pub fn medians(runs: &[Run]) -> Figures {
    [0, 1, 2].map(|part| median(runs.iter().map(|run| run.figures[part]).collect()))
}

/// Waits until the server has nothing to do.
pub fn rest(server: &Server) -> Result<(), String> {
    let limit = Limit::new();
    loop {
        limit.check()?;
        let before = server.processes()?.spent()?;
        std::thread::sleep(std::time::Duration::from_millis(200));
        if server.processes()?.spent()?.since(&before).0 < 0.002 {
            return Ok(());
        }
    }
}
