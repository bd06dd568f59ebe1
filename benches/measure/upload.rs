//! The upload load: some connections, each of which stores one file.
//! Compares one stored file a run byte by byte, of the others only the size.

use super::dialect::Dialect;
use super::ftp::Ftp;
use super::load::{Load, connect};
use super::server::{Meter, Server};
use super::table::{Sample, Table};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;

const GIB: f64 = (1u64 << 30) as f64;
/// Sent over and over; a prime length, so that a shifted or swapped piece shows.
const PIECE: usize = 262_139;

/// What one run consists of.
#[derive(Clone, Copy)]
pub struct Shape {
    pub connections: usize,
    pub size: u64,
}

/// Some large files at once.
pub const SIXTEEN_BIG: Shape = Shape {
    connections: 16,
    size: 64 << 20,
};

impl Shape {
    pub fn table(&self) -> Table {
        Table::new(
            format!(
                "upload: {} connections, each one file of {} MiB",
                self.connections,
                self.size >> 20
            ),
            ("GiB/s", 2),
            "s CPU/GiB",
        )
    }

    fn bytes(&self) -> u64 {
        self.connections as u64 * self.size
    }
}

enum Stage {
    /// Waits for `OK`.
    Asked,
    Body {
        left: u64,
    },
    /// Waits for the word that the file is there.
    Sent,
    Over,
}

struct Peer {
    /// Carries the body; gone when its end is the end of the body.
    stream: Option<TcpStream>,
    /// Carries the words where they have a connection of their own.
    control: Option<Ftp>,
    inbox: Vec<u8>,
    stage: Stage,
}

impl Peer {
    fn connect(server: &Server) -> Result<Peer, String> {
        let (stream, control) = match server.dialect {
            Dialect::Ftp => {
                let mut ftp = Ftp::login(server.at)?;
                (ftp.passive()?, Some(ftp))
            }
            _ => (connect(server.at)?, None),
        };
        Ok(Peer {
            stream: Some(stream),
            control,
            inbox: Vec::new(),
            stage: Stage::Asked,
        })
    }

    fn stream(&self) -> Result<&TcpStream, String> {
        let stream = self.stream.as_ref();
        stream.ok_or_else(|| "the connection of a body is closed already".to_string())
    }

    fn words(&self) -> Result<&TcpStream, String> {
        match &self.control {
            Some(ftp) => Ok(ftp.control()),
            None => self.stream(),
        }
    }

    /// Asks for the upload; the body may follow at once where nobody says `OK` to it.
    fn ask(&mut self, slot: usize, shape: &Shape, load: &Load, how: Dialect) -> Result<(), String> {
        let line = how.store(&format!("up-{slot}"), shape.size)?;
        if let Some(ftp) = &mut self.control {
            ftp.begin(&line)?;
            load.watch(ftp.control(), slot, EventFlags::IN)?;
        } else {
            send(self.stream()?, line.as_bytes(), SendFlags::NOSIGNAL)
                .map_err(|e| format!("cannot send {line:?}: {e}"))?;
        }
        if how != Dialect::Line {
            self.begin(slot, shape, load)?;
        }
        Ok(())
    }

    fn begin(&mut self, slot: usize, shape: &Shape, load: &Load) -> Result<(), String> {
        self.stage = Stage::Body { left: shape.size };
        // Readable too: a refusal in the middle of a body shall be told, not found as a reset.
        let flags = match self.control {
            Some(_) => EventFlags::OUT,
            None => EventFlags::IN | EventFlags::OUT,
        };
        load.rewatch(self.stream()?, slot, flags)
    }
}

pub fn run(server: &Server, root: &Path, shape: &Shape) -> Result<Sample, String> {
    warm_memory(shape)?;
    let piece = piece();
    let mut load = Load::new()?;
    let mut peers = Vec::new();
    for slot in 0..shape.connections {
        let peer = Peer::connect(server)?;
        load.watch(peer.stream()?, slot, EventFlags::IN)?;
        peers.push(peer);
    }
    let meter = Meter::start(server)?;
    for (slot, peer) in peers.iter_mut().enumerate() {
        peer.ask(slot, shape, &load, server.dialect)?;
    }
    let mut going = peers.len();
    while going > 0 {
        load.wait()?;
        for index in 0..load.events() {
            let slot = load.slot(index);
            let peer = &mut peers[slot];
            if load.readable(index) {
                hear(peer, slot, shape, &load, server.dialect)?;
                going -= usize::from(matches!(peer.stage, Stage::Over));
            } else {
                feed(peer, slot, shape, &load, &piece)?;
            }
        }
    }
    let sample = meter.stop(shape.bytes() as f64 / GIB)?;
    clear(root, shape, &piece)?;
    Ok(sample)
}

/// What bodies consist of.
pub fn piece() -> Vec<u8> {
    (0..PIECE as u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect()
}

/// Sends the next bytes of the body, as much as one call takes.
fn feed(
    peer: &mut Peer,
    slot: usize,
    shape: &Shape,
    load: &Load,
    piece: &[u8],
) -> Result<(), String> {
    let Stage::Body { left } = peer.stage else {
        return Ok(());
    };
    let from = ((shape.size - left) % PIECE as u64) as usize;
    let rest = &piece[from..];
    let asked = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
    let left = match send(peer.stream()?, &rest[..asked], SendFlags::NOSIGNAL) {
        Ok(sent) => left - sent as u64,
        Err(Errno::AGAIN) => left,
        Err(e) => return Err(format!("cannot send up-{slot} with {left} bytes left: {e}")),
    };
    peer.stage = Stage::Body { left };
    if left == 0 {
        peer.stage = Stage::Sent;
        if peer.control.is_some() {
            peer.stream = None;
        } else {
            load.rewatch(peer.stream()?, slot, EventFlags::IN)?;
        }
    }
    Ok(())
}

fn hear(
    peer: &mut Peer,
    slot: usize,
    shape: &Shape,
    load: &Load,
    how: Dialect,
) -> Result<(), String> {
    let mut buffer = [0; 512];
    match recv(peer.words()?, &mut buffer, RecvFlags::empty()) {
        Ok((0, _)) => return Err(format!("the server ended the connection of up-{slot}")),
        Ok((got, _)) => peer.inbox.extend_from_slice(&buffer[..got]),
        Err(Errno::AGAIN) => return Ok(()),
        Err(e) => return Err(format!("cannot read the answer to up-{slot}: {e}")),
    }
    match peer.stage {
        Stage::Asked if peer.inbox == b"OK\n" => {
            peer.inbox.clear();
            peer.begin(slot, shape, load)
        }
        Stage::Sent => {
            if how.is_stored(&peer.inbox)? {
                peer.stage = Stage::Over;
            }
            Ok(())
        }
        _ => {
            let said = String::from_utf8_lossy(&peer.inbox);
            Err(format!("the server says {said:?} to up-{slot}"))
        }
    }
}

/// Checks what was stored and takes it away.
fn clear(root: &Path, shape: &Shape, piece: &[u8]) -> Result<(), String> {
    for slot in 0..shape.connections {
        let path = root.join(format!("up-{slot}"));
        let tried = |e: std::io::Error| format!("upload left no good {}: {e}", path.display());
        let size = std::fs::metadata(&path).map_err(tried)?.len();
        if size != shape.size {
            let whole = shape.size;
            return Err(format!("{} has {size} bytes, not {whole}", path.display()));
        }
        if slot == 0 {
            compare(&path, shape, piece)?;
        }
        std::fs::remove_file(&path).map_err(tried)?;
    }
    Ok(())
}

fn compare(path: &Path, shape: &Shape, piece: &[u8]) -> Result<(), String> {
    let tried = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
    let mut file = File::open(path).map_err(tried)?;
    let mut stored = vec![0; PIECE];
    let mut left = shape.size as usize;
    while left > 0 {
        let length = left.min(PIECE);
        file.read_exact(&mut stored[..length]).map_err(tried)?;
        if stored[..length] != piece[..length] {
            return Err(format!(
                "{} differs in its last {left} bytes",
                path.display()
            ));
        }
        left -= length;
    }
    Ok(())
}

/// Touches more memory than a run fills, and gives it back to the kernel at once.
fn warm_memory(shape: &Shape) -> Result<(), String> {
    // In a virtual machine with free page reporting, the memory of deleted files goes back to the
    // host after some seconds, and the server that writes next pays 0.5 s a GiB for its return.
    // Once over is not enough: the next run need not get the same pages.
    let text = std::fs::read_to_string("/proc/meminfo")
        .map_err(|e| format!("cannot read /proc/meminfo: {e}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    let four_times = shape.bytes() as usize * 4;
    let mut memory = vec![0u8; four_times.min(kib.unwrap_or(0) * 1024 / 2)];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    black_box(&memory);
    Ok(())
}
