//! Downloads and uploads beside a pulse, one small step at a time, again and again.

use super::load::connect;
use super::scheduled_echo::Pulse;
use rustix::fs::{Advice, fadvise};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::cell::Cell;
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// What is moved in one step: it takes our end about as long as an echo.
const STEP: usize = 128 << 10;
/// Until all buffers are full and the first commits have begun.
const WARM_UP: Duration = Duration::from_secs(1);
/// What takes a disk once has its echoes counted so often at least.
const TIMES: u64 = 3;
const GIB: f64 = (1u64 << 30) as f64;

/// What went to and fro meanwhile.
#[derive(Clone, Copy, Default)]
pub struct Moved {
    bytes: u64,
    /// Whole bodies.
    pub rounds: u64,
    seconds: f64,
}

impl Moved {
    /// GiB a second.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / GIB / self.seconds
    }
}

/// The latencies of an echo beside burdens without end, and what these moved meanwhile.
pub fn beside(
    pulse: &Pulse,
    burdens: &mut [Burden],
    seconds: f64,
) -> Result<(Vec<f64>, Moved), String> {
    live(burdens, seconds, |time, step| pulse.beat(time, step))
}

/// What the burdens move for as long without the echo.
pub fn without_echo(pulse: &Pulse, burdens: &mut [Burden], seconds: f64) -> Result<Moved, String> {
    let still = live(burdens, seconds, |time, step| pulse.keep_still(time, step))?;
    Ok(still.1)
}

type Step<'a> = &'a mut dyn FnMut() -> Result<(), String>;

fn live<T>(
    burdens: &mut [Burden],
    seconds: f64,
    mut for_so_long: impl FnMut(Duration, Step<'_>) -> Result<T, String>,
) -> Result<(T, Moved), String> {
    for_so_long(WARM_UP, &mut || {
        burdens.iter_mut().try_for_each(Burden::step)
    })?;
    let (bytes, rounds) = sums(burdens);
    let begin = Instant::now();
    let result = for_so_long(Duration::from_secs_f64(seconds), &mut || {
        burdens.iter_mut().try_for_each(Burden::step)
    })?;
    let after = sums(burdens);
    let moved = Moved {
        bytes: after.0 - bytes,
        rounds: after.1 - rounds,
        seconds: begin.elapsed().as_secs_f64(),
    };
    Ok((result, moved))
}

fn sums(burdens: &[Burden]) -> (u64, u64) {
    let sum = |of: fn(&Burden) -> u64| burdens.iter().map(of).sum();
    (sum(|burden| burden.moved), sum(Burden::rounds))
}

/// Takes a file out of the page cache.
pub fn make_cold(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|e| format!("cannot open {}: {e}", path.display()))?;
    fadvise(&file, 0, None, Advice::DontNeed)
        .map_err(|e| format!("cannot make {} cold: {e}", path.display()))
}

/// The same beside a burden that `begin` gives, to its first end, again and again for so long;
/// between two of them nothing is counted.
pub fn beside_each(
    pulse: &Pulse,
    seconds: f64,
    mut begin: impl FnMut() -> Result<Burden, String>,
) -> Result<(Vec<f64>, Moved), String> {
    let mut times = Vec::new();
    let mut moved = Moved::default();
    while moved.rounds < TIMES || moved.seconds < seconds {
        let mut burden = begin()?;
        let since = Instant::now();
        let over = Cell::new(false);
        times.extend(pulse.beat_while(
            || !over.get(),
            || {
                if !over.get() {
                    burden.step()?;
                    over.set(burden.rounds() > 0);
                }
                Ok(())
            },
        )?);
        moved.bytes += burden.moved;
        moved.rounds += burden.rounds();
        moved.seconds += since.elapsed().as_secs_f64();
    }
    Ok((times, moved))
}

/// A conversation with the files service.
struct Peer {
    stream: TcpStream,
    command: String,
    /// Bytes of a body that we still have to send.
    to_send: u64,
    /// Bytes of a body that are still to come; `None` while its header is.
    to_come: Option<u64>,
    heard: Vec<u8>,
    rounds: u64,
}

/// Several of them, each given a step in turn.
pub struct Burden {
    peers: Vec<Peer>,
    buffer: Vec<u8>,
    next: usize,
    upload: Option<u64>,
    moved: u64,
}

impl Burden {
    /// Each peer asks for something of which `OK <length>` and then the bytes come.
    pub fn downloads(at: SocketAddr, count: usize, command: &str) -> Result<Burden, String> {
        Burden::new(at, count, None, |_| format!("{command}\n"))
    }

    /// Each peer stores a file of its own of so many bytes.
    pub fn uploads(at: SocketAddr, count: usize, bytes: u64) -> Result<Burden, String> {
        Burden::new(at, count, Some(bytes), |number| {
            format!("upload stored{number} {bytes}\n")
        })
    }

    fn new(
        at: SocketAddr,
        count: usize,
        upload: Option<u64>,
        command: impl Fn(usize) -> String,
    ) -> Result<Burden, String> {
        let mut peers = Vec::new();
        for number in 0..count {
            let mut peer = Peer {
                stream: connect(at)?,
                command: command(number),
                to_send: 0,
                to_come: None,
                heard: Vec::new(),
                rounds: 0,
            };
            peer.ask(upload)?;
            peers.push(peer);
        }
        Ok(Burden {
            peers,
            buffer: vec![7; STEP],
            next: 0,
            upload,
            moved: 0,
        })
    }

    /// How often something was moved from its first byte to its last answer.
    fn rounds(&self) -> u64 {
        self.peers.iter().map(|peer| peer.rounds).sum()
    }

    /// A step of one of them.
    fn step(&mut self) -> Result<(), String> {
        self.next = (self.next + 1) % self.peers.len();
        let peer = &mut self.peers[self.next];
        let done = match self.upload {
            Some(_) => peer.give(&self.buffer, &mut self.moved)?,
            None => peer.take(&mut self.buffer, &mut self.moved)?,
        };
        if done {
            peer.rounds += 1;
            peer.ask(self.upload)?;
        }
        Ok(())
    }
}

impl Peer {
    fn ask(&mut self, upload: Option<u64>) -> Result<(), String> {
        (self.to_send, self.to_come) = (upload.unwrap_or(0), None);
        self.heard.clear();
        let command = self.command.as_bytes();
        match send(&self.stream, command, SendFlags::NOSIGNAL) {
            Ok(count) if count == command.len() => Ok(()),
            other => Err(format!("{:?} was not taken: {other:?}", self.command)),
        }
    }

    fn give(&mut self, bytes: &[u8], moved: &mut u64) -> Result<bool, String> {
        if self.to_send == 0 {
            self.hear()?;
            return Ok(self.heard.iter().filter(|&&byte| byte == b'\n').count() == 2);
        }
        let most = self.to_send.min(bytes.len() as u64) as usize;
        match send(&self.stream, &bytes[..most], SendFlags::NOSIGNAL) {
            Ok(count) => {
                self.to_send -= count as u64;
                *moved += count as u64;
                Ok(false)
            }
            Err(Errno::AGAIN) => Ok(false),
            Err(e) => Err(format!("an upload broke: {e}; {}", self.told())),
        }
    }

    fn take(&mut self, into: &mut [u8], moved: &mut u64) -> Result<bool, String> {
        let Some(left) = &mut self.to_come else {
            self.hear()?;
            return self.header();
        };
        let most = (*left).min(into.len() as u64) as usize;
        // With TRUNC the bytes are dropped inside the kernel.
        let got = match recv(&self.stream, &mut into[..most], RecvFlags::TRUNC) {
            Ok((_, 0)) => return Err(format!("a download ended with {left} bytes to come")),
            Ok((_, got)) => got as u64,
            Err(Errno::AGAIN) => return Ok(false),
            Err(e) => return Err(format!("a download broke: {e}")),
        };
        *left -= got;
        *moved += got;
        Ok(*left == 0)
    }

    /// `OK <length>`, behind which the first bytes of the body may stand.
    fn header(&mut self) -> Result<bool, String> {
        let Some(end) = self.heard.iter().position(|&byte| byte == b'\n') else {
            return Ok(false);
        };
        let line = String::from_utf8_lossy(&self.heard[..end]);
        let length = line
            .strip_prefix("OK ")
            .and_then(|rest| rest.parse::<u64>().ok());
        let length = length.ok_or_else(|| format!("{line:?} is no length"))?;
        let left = length - (self.heard.len() - end - 1) as u64;
        self.to_come = Some(left);
        Ok(left == 0)
    }

    fn hear(&mut self) -> Result<(), String> {
        let mut bytes = [0; 256];
        match recv(&self.stream, &mut bytes, RecvFlags::empty()) {
            Ok((0, _)) => Err(format!("the server hung up; {}", self.told())),
            Ok((got, _)) => {
                self.heard.extend_from_slice(&bytes[..got]);
                if self.heard.starts_with(b"ERROR") || self.heard.starts_with(b"OK\nERROR") {
                    return Err(self.told());
                }
                Ok(())
            }
            Err(Errno::AGAIN) => Ok(()),
            Err(e) => Err(format!("no answer to {:?}: {e}", self.command)),
        }
    }

    fn told(&self) -> String {
        let heard = String::from_utf8_lossy(&self.heard);
        format!("{:?} was answered with {heard:?}", self.command)
    }
}
