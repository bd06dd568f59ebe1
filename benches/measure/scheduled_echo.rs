//! An echo client that sends 1000 messages/s on a schedule, with other work between the messages.
//! Latency counts from the scheduled time: an echo that delays the next one counts in both.
//!
//! The host of a virtual machine may stop both cores for milliseconds. While this client is
//! stopped it sees no answer, so these echoes are NaN and reported as unobserved.

use super::Limit;
use super::server::{Meter, Server};
use super::spread::Spread;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const SIZE: usize = 64;
const EVERY: Duration = Duration::from_millis(1);
/// A longer time between two polls means that the client was stopped; a step takes a sixth of it.
const STALL: Duration = Duration::from_micros(300);

const CONNECT_LIMIT: Duration = Duration::from_secs(5);

pub struct ScheduledEcho(TcpStream);

impl ScheduledEcho {
    pub fn connect(at: SocketAddr) -> Result<ScheduledEcho, String> {
        connect(at).map(ScheduledEcho)
    }

    /// Runs for `time`. Between two polls, `step` does a short piece of other work; one longer than
    /// 50 us would be visible in the latencies, which are in microseconds, NaN if unobserved.
    pub fn run(
        &self,
        time: Duration,
        mut step: impl FnMut() -> Result<(), String>,
    ) -> Result<Vec<f64>, String> {
        let until = Instant::now() + time;
        let limit = Limit::new();
        let start = Instant::now() + EVERY;
        let (mut sent, mut got, mut is_over) = (0, 0, false);
        let mut times = Vec::new();
        let (mut last_poll, mut stalled_until) = (Instant::now(), None);
        loop {
            limit.check()?;
            let now = Instant::now();
            if now - last_poll > STALL {
                stalled_until = Some(now);
            }
            last_poll = now;
            if !is_over && now >= start + EVERY * sent {
                self.send_echo()?;
                sent += 1;
            }
            got += self.receive()?;
            while times.len() < got / SIZE {
                let scheduled = start + EVERY * times.len() as u32;
                let unobserved = stalled_until.is_some_and(|until| scheduled <= until);
                let time = scheduled.elapsed().as_secs_f64() * 1e6;
                times.push(if unobserved { f64::NAN } else { time });
            }
            if is_over && times.len() == sent as usize {
                return Ok(times);
            }
            if !is_over {
                step()?;
                is_over = Instant::now() >= until && sent > 0;
            }
        }
    }

    fn send_echo(&self) -> Result<(), String> {
        match send(&self.0, &[b'x'; SIZE], SendFlags::NOSIGNAL) {
            Ok(SIZE) => Ok(()),
            other => Err(format!("cannot send an echo of {SIZE} bytes: {other:?}")),
        }
    }

    fn receive(&self) -> Result<usize, String> {
        match recv(&self.0, &mut [0; 4096][..], RecvFlags::empty()) {
            Ok((0, _)) => Err("the server closed the echo connection".to_string()),
            Ok((got, _)) => Ok(got),
            Err(Errno::AGAIN) => Ok(0),
            Err(e) => Err(format!("cannot read an echo: {e}")),
        }
    }
}

/// Opens a non-blocking connection with TCP_NODELAY.
pub fn connect(at: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&at, CONNECT_LIMIT)
        .map_err(|e| format!("cannot connect to {at}: {e}"))?;
    let ready = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_nonblocking(true));
    ready.map_err(|e| format!("cannot set options of a connection to {at}: {e}"))?;
    Ok(stream)
}

/// The p99 depends on 1 % of the echoes: other programs must take much less time than that.
const DISTURBED: f64 = 0.003;
/// p50, p99 and maximum in microseconds.
pub type Percentiles = [f64; 3];

/// One run.
#[derive(Clone, Copy)]
pub struct Run {
    pub percentiles: Percentiles,
    /// Share of the time in which the server or the client was runnable but had no core.
    pub core_wait: f64,
    /// Share of the echoes that are not in the percentiles, because the client was stopped.
    pub unobserved: f64,
}

impl Run {
    pub fn is_disturbed(&self) -> bool {
        self.core_wait > DISTURBED
    }

    pub fn note(&self) -> String {
        let disturbed = if self.is_disturbed() {
            "   disturbed"
        } else {
            ""
        };
        format!("   {:.1} % unobserved{disturbed}", self.unobserved * 100.0)
    }
}

pub fn print_header() {
    println!(
        "{:>6}  {:<18} {:>10} {:>10} {:>10}",
        "run", "load", "p50 us", "p99 us", "max us"
    );
}

pub fn print_row(head: &str, label: &str, [p50, p99, most]: Percentiles, note: &str) {
    println!("{head:>6}  {label:<18} {p50:>10.1} {p99:>10.1} {most:>10.1}{note}");
}

/// Measures one run; `measure` returns its latencies.
pub fn measured(
    server: &Server,
    measure: impl FnOnce() -> Result<Vec<f64>, String>,
) -> Result<Run, String> {
    let meter = Meter::start(server)?;
    let times = measure()?;
    let core_wait = meter.stop()?;
    let unobserved = times.iter().filter(|time| time.is_nan()).count() as f64 / times.len() as f64;
    Ok(Run {
        percentiles: percentiles(times),
        core_wait,
        unobserved,
    })
}

fn percentiles(mut times: Vec<f64>) -> Percentiles {
    times.retain(|time| !time.is_nan());
    times.sort_by(f64::total_cmp);
    let part = |of: f64| times[((times.len() - 1) as f64 * of).round() as usize];
    [part(0.5), part(0.99), part(1.0)]
}

pub fn medians(runs: &[Run]) -> Percentiles {
    [0, 1, 2].map(|part| {
        let spread = Spread::of(runs.iter().map(|run| run.percentiles[part]));
        spread.map_or(f64::NAN, |spread| spread.median)
    })
}

/// Waits until the server uses no CPU.
pub fn wait_until_idle(server: &Server) -> Result<(), String> {
    let limit = Limit::new();
    loop {
        limit.check()?;
        let before = server.sample()?;
        std::thread::sleep(Duration::from_millis(200));
        if server.sample()?.since(&before).cpu < 2_000 {
            return Ok(());
        }
    }
}
