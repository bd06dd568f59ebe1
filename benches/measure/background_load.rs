//! Downloads and uploads during a scheduled echo, in small steps of the same client thread.

use super::poller::connect;
use super::scheduled_echo::ScheduledEcho;
use rustix::fs::{Advice, fadvise};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::cell::Cell;
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes per step: a step costs the client about as much time as an echo.
const STEP: usize = 128 << 10;
/// Fills all buffers, and the first commits start.
const WARM_UP: Duration = Duration::from_secs(1);
/// A load that ends by itself is repeated at least this many times.
const MIN_ROUNDS: u64 = 3;
const GIB: f64 = (1u64 << 30) as f64;

/// The data that the load transferred during the measurement.
#[derive(Clone, Copy, Default)]
pub struct Transferred {
    bytes: u64,
    /// Complete transfers.
    pub rounds: u64,
    seconds: f64,
}

impl Transferred {
    /// Throughput in GiB/s.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / GIB / self.seconds
    }
}

/// Echo latencies in microseconds during continuous loads, and the data that these transferred.
pub fn echo_during(
    echo: &ScheduledEcho,
    loads: &mut [Load],
    seconds: f64,
) -> Result<(Vec<f64>, Transferred), String> {
    run_for(loads, seconds, |time, step| echo.run(time, step))
}

/// The data that the loads transfer in the same time without the echo.
pub fn without_echo(
    echo: &ScheduledEcho,
    loads: &mut [Load],
    seconds: f64,
) -> Result<Transferred, String> {
    let still = run_for(loads, seconds, |time, step| {
        echo.run_without_echo(time, step)
    })?;
    Ok(still.1)
}

type Step<'a> = &'a mut dyn FnMut() -> Result<(), String>;

fn run_for<T>(
    loads: &mut [Load],
    seconds: f64,
    mut run: impl FnMut(Duration, Step<'_>) -> Result<T, String>,
) -> Result<(T, Transferred), String> {
    run(WARM_UP, &mut || loads.iter_mut().try_for_each(Load::step))?;
    let (bytes, rounds) = totals(loads);
    let begin = Instant::now();
    let result = run(Duration::from_secs_f64(seconds), &mut || {
        loads.iter_mut().try_for_each(Load::step)
    })?;
    let after = totals(loads);
    let moved = Transferred {
        bytes: after.0 - bytes,
        rounds: after.1 - rounds,
        seconds: begin.elapsed().as_secs_f64(),
    };
    Ok((result, moved))
}

fn totals(loads: &[Load]) -> (u64, u64) {
    let sum = |of: fn(&Load) -> u64| loads.iter().map(of).sum();
    (sum(|load| load.moved), sum(Load::rounds))
}

/// Drops a file from the page cache.
pub fn make_cold(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|e| format!("cannot open {}: {e}", path.display()))?;
    fadvise(&file, 0, None, Advice::DontNeed)
        .map_err(|e| format!("cannot drop {} from the page cache: {e}", path.display()))
}

/// Like `echo_during`, with a load that `begin` makes anew whenever it has completed. Time between
/// two loads is not measured.
pub fn echo_during_each(
    echo: &ScheduledEcho,
    seconds: f64,
    mut begin: impl FnMut() -> Result<Load, String>,
) -> Result<(Vec<f64>, Transferred), String> {
    let mut times = Vec::new();
    let mut moved = Transferred::default();
    while moved.rounds < MIN_ROUNDS || moved.seconds < seconds {
        let mut load = begin()?;
        let since = Instant::now();
        let over = Cell::new(false);
        times.extend(echo.run_while(
            || !over.get(),
            || {
                if !over.get() {
                    load.step()?;
                    over.set(load.rounds() > 0);
                }
                Ok(())
            },
        )?);
        moved.bytes += load.moved;
        moved.rounds += load.rounds();
        moved.seconds += since.elapsed().as_secs_f64();
    }
    Ok((times, moved))
}

/// A connection to the files service.
struct Peer {
    stream: TcpStream,
    command: String,
    /// Bytes of the body that are not sent yet.
    to_send: u64,
    /// Bytes of the body that are not received yet; `None` before the header.
    to_receive: Option<u64>,
    received: Vec<u8>,
    rounds: u64,
}

/// Several connections; each step advances one, round robin.
pub struct Load {
    peers: Vec<Peer>,
    buffer: Vec<u8>,
    next: usize,
    upload: Option<u64>,
    moved: u64,
}

impl Load {
    /// Each peer sends the command, which is answered with `OK <length>` and the bytes, repeatedly.
    pub fn downloads(at: SocketAddr, count: usize, command: &str) -> Result<Load, String> {
        Load::new(at, count, None, |_| format!("{command}\n"))
    }

    /// Each peer stores its own file of this size, repeatedly.
    pub fn uploads(at: SocketAddr, count: usize, bytes: u64) -> Result<Load, String> {
        Load::new(at, count, Some(bytes), |number| {
            format!("upload stored{number} {bytes}\n")
        })
    }

    fn new(
        at: SocketAddr,
        count: usize,
        upload: Option<u64>,
        command: impl Fn(usize) -> String,
    ) -> Result<Load, String> {
        let mut peers = Vec::new();
        for number in 0..count {
            let mut peer = Peer {
                stream: connect(at)?,
                command: command(number),
                to_send: 0,
                to_receive: None,
                received: Vec::new(),
                rounds: 0,
            };
            peer.send_command(upload)?;
            peers.push(peer);
        }
        Ok(Load {
            peers,
            buffer: vec![7; STEP],
            next: 0,
            upload,
            moved: 0,
        })
    }

    /// Completed transfers.
    fn rounds(&self) -> u64 {
        self.peers.iter().map(|peer| peer.rounds).sum()
    }

    /// One step of the next connection.
    fn step(&mut self) -> Result<(), String> {
        self.next = (self.next + 1) % self.peers.len();
        let peer = &mut self.peers[self.next];
        let done = match self.upload {
            Some(_) => peer.upload_step(&self.buffer, &mut self.moved)?,
            None => peer.download_step(&mut self.buffer, &mut self.moved)?,
        };
        if done {
            peer.rounds += 1;
            peer.send_command(self.upload)?;
        }
        Ok(())
    }
}

impl Peer {
    fn send_command(&mut self, upload: Option<u64>) -> Result<(), String> {
        (self.to_send, self.to_receive) = (upload.unwrap_or(0), None);
        self.received.clear();
        let command = self.command.as_bytes();
        match send(&self.stream, command, SendFlags::NOSIGNAL) {
            Ok(count) if count == command.len() => Ok(()),
            other => Err(format!("cannot send {:?}: {other:?}", self.command)),
        }
    }

    fn upload_step(&mut self, bytes: &[u8], moved: &mut u64) -> Result<bool, String> {
        if self.to_send == 0 {
            self.receive()?;
            return Ok(self.received.iter().filter(|&&byte| byte == b'\n').count() == 2);
        }
        let most = self.to_send.min(bytes.len() as u64) as usize;
        match send(&self.stream, &bytes[..most], SendFlags::NOSIGNAL) {
            Ok(count) => {
                self.to_send -= count as u64;
                *moved += count as u64;
                Ok(false)
            }
            Err(Errno::AGAIN) => Ok(false),
            Err(e) => Err(format!("upload failed: {e}; {}", self.describe_answer())),
        }
    }

    fn download_step(&mut self, into: &mut [u8], moved: &mut u64) -> Result<bool, String> {
        let Some(left) = &mut self.to_receive else {
            self.receive()?;
            return self.header();
        };
        let most = (*left).min(into.len() as u64) as usize;
        // MSG_TRUNC discards the bytes in the kernel, see tcp(7).
        let got = match recv(&self.stream, &mut into[..most], RecvFlags::TRUNC) {
            Ok((_, 0)) => return Err(format!("download ended {left} bytes early")),
            Ok((_, got)) => got as u64,
            Err(Errno::AGAIN) => return Ok(false),
            Err(e) => return Err(format!("download failed: {e}")),
        };
        *left -= got;
        *moved += got;
        Ok(*left == 0)
    }

    /// Parses `OK <length>`; the first bytes of the body may follow in the same read.
    fn header(&mut self) -> Result<bool, String> {
        let Some(end) = self.received.iter().position(|&byte| byte == b'\n') else {
            return Ok(false);
        };
        let line = String::from_utf8_lossy(&self.received[..end]);
        let length = line
            .strip_prefix("OK ")
            .and_then(|rest| rest.parse::<u64>().ok());
        let length = length.ok_or_else(|| format!("{line:?} contains no length"))?;
        let left = length - (self.received.len() - end - 1) as u64;
        self.to_receive = Some(left);
        Ok(left == 0)
    }

    fn receive(&mut self) -> Result<(), String> {
        let mut bytes = [0; 256];
        match recv(&self.stream, &mut bytes, RecvFlags::empty()) {
            Ok((0, _)) => Err(format!(
                "the server closed the connection; {}",
                self.describe_answer()
            )),
            Ok((got, _)) => {
                self.received.extend_from_slice(&bytes[..got]);
                if self.received.starts_with(b"ERROR") || self.received.starts_with(b"OK\nERROR") {
                    return Err(self.describe_answer());
                }
                Ok(())
            }
            Err(Errno::AGAIN) => Ok(()),
            Err(e) => Err(format!("no answer to {:?}: {e}", self.command)),
        }
    }

    fn describe_answer(&self) -> String {
        let received = String::from_utf8_lossy(&self.received);
        format!("the answer to {:?} was {received:?}", self.command)
    }
}
