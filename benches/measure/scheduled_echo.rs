//! An echo on schedule, a thousand times a second, with other work of this thread between beats.
//! Counts from the scheduled moment: an echo that keeps the next one waiting counts twice.
//!
//! The host of a virtual machine takes both cores away for milliseconds, and tells nobody. While
//! our own end stands still it sees no answer either: such echoes are not a number, and counted.

use super::Limit;
use super::load::connect;
use super::server::{Meter, Server};
use super::table::median;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const SIZE: usize = 64;
const EVERY: Duration = Duration::from_millis(1);
/// Between two looks of ours at the connection; a step of other work takes a sixth of it.
const STANDSTILL: Duration = Duration::from_micros(300);

pub struct Pulse(TcpStream);

impl Pulse {
    pub fn connect(at: SocketAddr) -> Result<Pulse, String> {
        connect(at).map(Pulse)
    }

    /// Beats for so long; between two looks at it, `step` does a short piece of something else.
    pub fn beat(
        &self,
        time: Duration,
        step: impl FnMut() -> Result<(), String>,
    ) -> Result<Vec<f64>, String> {
        let until = Instant::now() + time;
        self.beat_while(|| Instant::now() < until, step)
    }

    /// The same, until something is over. Latencies are in microseconds, those that were not seen
    /// are not a number. A step longer than 50 us would show in the latencies.
    pub fn beat_while(
        &self,
        goes_on: impl Fn() -> bool,
        mut step: impl FnMut() -> Result<(), String>,
    ) -> Result<Vec<f64>, String> {
        let limit = Limit::new();
        let start = Instant::now() + EVERY;
        let (mut sent, mut got) = (0, 0);
        let mut times = Vec::new();
        let (mut looked, mut stood_until) = (Instant::now(), None);
        loop {
            limit.check()?;
            let more = goes_on();
            let now = Instant::now();
            if now - looked > STANDSTILL {
                stood_until = Some(now);
            }
            looked = now;
            if more && now >= start + EVERY * sent {
                self.speak()?;
                sent += 1;
            }
            got += self.hear()?;
            while times.len() < got / SIZE {
                let scheduled = start + EVERY * times.len() as u32;
                let unseen = stood_until.is_some_and(|until| scheduled <= until);
                let time = scheduled.elapsed().as_secs_f64() * 1e6;
                times.push(if unseen { f64::NAN } else { time });
            }
            if !more && times.len() == sent as usize && sent > 0 {
                return Ok(times);
            }
            step()?;
        }
    }

    /// For so long nothing but `step`; our end is as slow as when it beats.
    pub fn keep_still(
        &self,
        time: Duration,
        mut step: impl FnMut() -> Result<(), String>,
    ) -> Result<(), String> {
        let limit = Limit::new();
        let until = Instant::now() + time;
        while Instant::now() < until {
            limit.check()?;
            self.hear()?;
            step()?;
        }
        Ok(())
    }

    fn speak(&self) -> Result<(), String> {
        match send(&self.0, &[b'x'; SIZE], SendFlags::NOSIGNAL) {
            Ok(SIZE) => Ok(()),
            other => Err(format!("an echo of {SIZE} bytes was not taken: {other:?}")),
        }
    }

    fn hear(&self) -> Result<usize, String> {
        match recv(&self.0, &mut [0; 4096][..], RecvFlags::empty()) {
            Ok((0, _)) => Err("the server ended the echo connection".to_string()),
            Ok((got, _)) => Ok(got),
            Err(Errno::AGAIN) => Ok(0),
            Err(e) => Err(format!("cannot read an echo: {e}")),
        }
    }
}

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
        std::thread::sleep(Duration::from_millis(200));
        if server.processes()?.spent()?.since(&before).0 < 0.002 {
            return Ok(());
        }
    }
}
