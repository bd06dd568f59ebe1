//! Transfers that go on without end, a small step at a time: what an echo is measured beside.
//! Checks lengths and answers only; the loads of whole transfers look at the bytes.

use super::download::Shape;
use super::load::connect;
use super::schedule::Beside;
use super::server::Server;
use super::upload::piece;
use rustix::fs::{Advice, fadvise};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::fs::File;
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Instant;

const GIB: f64 = (1u64 << 30) as f64;
/// In one step, so that the echo is not kept waiting at our end.
const STEP: usize = 256 * 1024;
/// What lies in sockets cannot be evicted; this far behind all has been read.
const EVICT_BEHIND: u64 = 16 << 20;

/// How much was moved since when.
struct Progress {
    since: Instant,
    bytes: u64,
}

impl Progress {
    fn start() -> Progress {
        Progress {
            since: Instant::now(),
            bytes: 0,
        }
    }

    fn rate(&self) -> f64 {
        self.bytes as f64 / GIB / self.since.elapsed().as_secs_f64()
    }
}

/// The same file over and over on some connections.
pub struct Downloads {
    peers: Vec<(TcpStream, Vec<u8>, Option<u64>)>,
    next: usize,
    shape: Shape,
    request: String,
    /// The file, of which nothing may stay in memory behind the reader.
    cold: Option<File>,
    sink: Vec<u8>,
    progress: Progress,
}

impl Downloads {
    pub fn hot(server: &Server, shape: &Shape) -> Result<Downloads, String> {
        let mut peers = Vec::new();
        for _ in 0..shape.connections {
            peers.push((connect(server.at)?, Vec::new(), None));
        }
        let downloads = Downloads {
            peers,
            next: 0,
            shape: *shape,
            request: server.dialect.fetch(shape.name, false)?,
            cold: None,
            sink: vec![0; STEP],
            progress: Progress::start(),
        };
        let mut streams = downloads.peers.iter().map(|peer| &peer.0);
        streams.try_for_each(|stream| ask(stream, &downloads.request))?;
        Ok(downloads)
    }

    /// From the disk.
    pub fn cold(server: &Server, shape: &Shape, root: &Path) -> Result<Downloads, String> {
        let path = root.join(shape.name);
        let file = File::open(&path).map_err(|e| format!("cannot open {}: {e}", path.display()))?;
        evict(&file, 0, shape.size)?;
        let mut downloads = Downloads::hot(server, shape)?;
        downloads.cold = Some(file);
        Ok(downloads)
    }

    fn take(&mut self, slot: usize) -> Result<(), String> {
        let (stream, header, left) = &mut self.peers[slot];
        let flags = match left {
            // The kernel throws the bytes away.
            Some(_) => RecvFlags::TRUNC,
            None => RecvFlags::empty(),
        };
        let most = if left.is_some() { STEP } else { 256 };
        let got = match recv(&*stream, &mut self.sink[..most], flags) {
            Ok((_, 0)) => return Err("the server ended a download".to_string()),
            Ok((_, got)) => got,
            Err(Errno::AGAIN) => return Ok(()),
            Err(e) => return Err(format!("cannot read a download: {e}")),
        };
        self.progress.bytes += got as u64;
        let rest = match left {
            Some(left) => {
                let rest = left.checked_sub(got as u64);
                rest.ok_or("more bytes came than were announced")?
            }
            None => {
                header.extend_from_slice(&self.sink[..got]);
                let dialect = super::dialect::Dialect::Line;
                let Some(start) = dialect.body_at(header, self.shape.size)? else {
                    return Ok(());
                };
                self.shape.size - (header.len() - start) as u64
            }
        };
        if let Some(file) = &self.cold {
            let at = self.shape.size - rest;
            match rest {
                0 => evict(file, 0, self.shape.size)?,
                _ => evict(file, at.saturating_sub(EVICT_BEHIND), got as u64)?,
            }
        }
        *left = Some(rest);
        if rest == 0 {
            *left = None;
            header.clear();
            ask(stream, &self.request)?;
        }
        Ok(())
    }
}

fn ask(stream: &TcpStream, request: &str) -> Result<(), String> {
    send(stream, request.as_bytes(), SendFlags::NOSIGNAL)
        .map_err(|e| format!("cannot send {request:?}: {e}"))?;
    Ok(())
}

fn evict(file: &File, at: u64, length: u64) -> Result<(), String> {
    fadvise(file, at, NonZeroU64::new(length), Advice::DontNeed)
        .map_err(|e| format!("cannot evict a file from the page cache: {e}"))
}

impl Beside for Downloads {
    fn step(&mut self, _: bool) -> Result<bool, String> {
        self.next = (self.next + 1) % self.peers.len();
        self.take(self.next)?;
        Ok(false)
    }

    fn rate(&self) -> f64 {
        self.progress.rate()
    }
}

/// Files that are stored one after the other on some connections.
pub struct Uploads {
    peers: Vec<(TcpStream, Sending)>,
    next: usize,
    size: u64,
    piece: Vec<u8>,
    progress: Progress,
}

#[derive(Clone, Copy)]
enum Sending {
    Asked,
    Body { left: u64 },
    Sent,
}

impl Uploads {
    pub fn begin(server: &Server, connections: usize, size: u64) -> Result<Uploads, String> {
        let mut peers = Vec::new();
        for slot in 0..connections {
            let stream = connect(server.at)?;
            ask(&stream, &format!("upload beside-{slot} {size}\n"))?;
            peers.push((stream, Sending::Asked));
        }
        Ok(Uploads {
            peers,
            next: 0,
            size,
            piece: piece(),
            progress: Progress::start(),
        })
    }

    fn hear(&mut self, slot: usize, expected: &[u8], then: Sending) -> Result<(), String> {
        let (stream, stage) = &mut self.peers[slot];
        let mut buffer = [0; 128];
        match recv(&*stream, &mut buffer, RecvFlags::empty()) {
            Ok((got, _)) if &buffer[..got] == expected => *stage = then,
            Ok((got, _)) => {
                let said = String::from_utf8_lossy(&buffer[..got]);
                return Err(format!("the server says {said:?} to beside-{slot}"));
            }
            Err(Errno::AGAIN) => {}
            Err(e) => return Err(format!("cannot read the answer to beside-{slot}: {e}")),
        }
        Ok(())
    }

    fn feed(&mut self, slot: usize, left: u64) -> Result<(), String> {
        let (stream, stage) = &mut self.peers[slot];
        let most = self.piece.len().min(usize::try_from(left).unwrap_or(STEP));
        let left = match send(&*stream, &self.piece[..most], SendFlags::NOSIGNAL) {
            Ok(sent) => left - sent as u64,
            Err(Errno::AGAIN) => left,
            Err(e) => return Err(format!("cannot send beside-{slot}: {e}")),
        };
        *stage = match left {
            0 => Sending::Sent,
            _ => Sending::Body { left },
        };
        Ok(())
    }
}

impl Beside for Uploads {
    fn step(&mut self, _: bool) -> Result<bool, String> {
        let slot = (self.next + 1) % self.peers.len();
        self.next = slot;
        match self.peers[slot].1 {
            Sending::Asked => self.hear(slot, b"OK\n", Sending::Body { left: self.size })?,
            Sending::Body { left } => self.feed(slot, left)?,
            Sending::Sent => {
                self.hear(slot, b"OK File Berhasil Dibuat\n", Sending::Asked)?;
                if let (stream, Sending::Asked) = &self.peers[slot] {
                    self.progress.bytes += self.size;
                    ask(stream, &format!("upload beside-{slot} {}\n", self.size))?;
                }
            }
        }
        Ok(false)
    }

    fn rate(&self) -> f64 {
        self.progress.rate()
    }
}
