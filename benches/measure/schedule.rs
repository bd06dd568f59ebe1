//! The latency of an echo on a schedule, alone and beside other work of the same server.
//! Is counted from the scheduled moment: an echo that keeps the next one waiting counts twice.

use super::Limit;
use super::server::{Meter, Server};
use super::table::median;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const SIZE: usize = 64;
const EVERY: Duration = Duration::from_millis(1);

/// A hundredth of the echoes makes the p99: what keeps both programs waiting for their cores must
/// be much less. A run that had more is taken again.
const DISTURBED: f64 = 0.003;
/// A machine that is never quiet is told of, and not waited for.
const REPEATS: usize = 3;

/// p50, p99 and the longest of one run, in microseconds.
pub type Figures = [f64; 3];

/// Work of the load beside the echo.
pub trait Beside {
    /// A little of it, so that it does not keep the echo waiting at our end. With `ending` nothing
    /// new is begun. Says whether something is under way that has to be waited for.
    fn step(&mut self, ending: bool) -> Result<bool, String>;

    /// GiB a second since it began.
    fn rate(&self) -> f64 {
        0.0
    }
}

/// Nothing at all.
pub struct Alone;

impl Beside for Alone {
    fn step(&mut self, _: bool) -> Result<bool, String> {
        Ok(false)
    }
}

pub fn begin(title: &str) {
    println!("\n{title}");
    println!(
        "{:>6}  {:<18} {:>12} {:>10} {:>10}",
        "run", "beside", "p50 us", "p99 us", "max us"
    );
}

/// A run that was not disturbed, or the last of some.
pub fn undisturbed(
    server: &Server,
    round: usize,
    label: &str,
    mut run: impl FnMut() -> Result<Figures, String>,
) -> Result<Figures, String> {
    let mut once = || {
        let meter = Meter::start(server)?;
        let figures = run()?;
        Ok::<_, String>((figures, meter.stop(1.0)?.disturbed > DISTURBED))
    };
    let mut repeats = REPEATS;
    let (mut figures, mut disturbed) = once()?;
    while disturbed && repeats > 0 {
        repeats -= 1;
        line("again", label, figures);
        (figures, disturbed) = once()?;
    }
    let head = round.to_string();
    line(if disturbed { "noisy" } else { &head }, label, figures);
    Ok(figures)
}

pub fn medians(runs: &[Figures]) -> Figures {
    [0, 1, 2].map(|part| median(runs.iter().map(|figures| figures[part]).collect()))
}

pub fn line(head: &str, label: &str, [p50, p99, most]: Figures) {
    println!("{head:>6}  {label:<18} {p50:>12.1} {p99:>10.1} {most:>10.1}");
}

/// An echo a millisecond, and the work beside it in every moment between.
pub fn run(stream: &TcpStream, beside: &mut dyn Beside, seconds: f64) -> Result<Figures, String> {
    let limit = Limit::new();
    let count = (seconds / EVERY.as_secs_f64()) as u32;
    let start = Instant::now() + EVERY;
    let (mut sent, mut got) = (0, 0);
    let mut is_busy = false;
    let mut times = Vec::with_capacity(count as usize);
    while times.len() < count as usize || is_busy {
        limit.check()?;
        if sent < count && Instant::now() >= start + EVERY * sent {
            speak(stream)?;
            sent += 1;
        }
        got += hear(stream)?;
        while times.len() < got / SIZE {
            let scheduled = start + EVERY * times.len() as u32;
            times.push(scheduled.elapsed().as_secs_f64() * 1e6);
        }
        is_busy = beside.step(sent == count)?;
    }
    times.sort_by(f64::total_cmp);
    let part = |of: f64| times[((times.len() - 1) as f64 * of).round() as usize];
    Ok([part(0.5), part(0.99), part(1.0)])
}

/// The same work without the echo, for as long; says how fast it was.
pub fn alone(stream: &TcpStream, beside: &mut dyn Beside, seconds: f64) -> Result<f64, String> {
    let limit = Limit::new();
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < until {
        limit.check()?;
        // Asked as often as beside the echo, so that our end is as slow.
        hear(stream)?;
        beside.step(false)?;
    }
    Ok(beside.rate())
}

fn speak(stream: &TcpStream) -> Result<(), String> {
    match send(stream, &[b'x'; SIZE], SendFlags::NOSIGNAL) {
        Ok(SIZE) => Ok(()),
        other => Err(format!("an echo of {SIZE} bytes was not taken: {other:?}")),
    }
}

fn hear(stream: &TcpStream) -> Result<usize, String> {
    match recv(stream, &mut [0; 4096][..], RecvFlags::empty()) {
        Ok((0, _)) => Err("the server ended the echo connection".to_string()),
        Ok((got, _)) => Ok(got),
        Err(Errno::AGAIN) => Ok(0),
        Err(e) => Err(format!("cannot read an echo: {e}")),
    }
}
