//! The upload load: 16 connections, each one file of 64 MiB, in the line dialect.
//! Compares one stored file a run byte by byte, of the others only the size.

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
use std::path::{Path, PathBuf};

const CONNECTIONS: usize = 16;
const SIZE: u64 = 64 << 20;
const GIB: f64 = (1u64 << 30) as f64;
/// Sent over and over; a prime length, so that a shifted or swapped piece shows.
const PIECE: usize = 262_139;

pub fn table() -> Table {
    Table {
        title: format!(
            "upload: {CONNECTIONS} connections, each one file of {} MiB",
            SIZE >> 20
        ),
        rate_unit: "GiB/s",
        rate_digits: 2,
        cpu_unit: "s CPU/GiB",
        rows: Vec::new(),
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
    stream: TcpStream,
    inbox: Vec<u8>,
    stage: Stage,
}

pub fn run(server: &Server, root: &Path) -> Result<Sample, String> {
    warm_memory()?;
    let piece: Vec<u8> = (0..PIECE as u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let mut load = Load::new()?;
    let mut peers = Vec::new();
    for slot in 0..CONNECTIONS {
        let stream = connect(server.at)?;
        load.watch(&stream, slot, EventFlags::IN)?;
        peers.push(Peer {
            stream,
            inbox: Vec::new(),
            stage: Stage::Asked,
        });
    }
    let meter = Meter::start(server)?;
    for (slot, peer) in peers.iter().enumerate() {
        let line = format!("upload up-{slot} {SIZE}\n");
        send(&peer.stream, line.as_bytes(), SendFlags::NOSIGNAL)
            .map_err(|e| format!("cannot send {line:?}: {e}"))?;
    }
    let mut going = peers.len();
    while going > 0 {
        load.wait()?;
        for index in 0..load.events() {
            let slot = load.slot(index);
            let peer = &mut peers[slot];
            if load.readable(index) {
                hear(peer, slot, &load)?;
                going -= usize::from(matches!(peer.stage, Stage::Over));
            } else {
                feed(peer, slot, &load, &piece)?;
            }
        }
    }
    let sample = meter.stop((CONNECTIONS as u64 * SIZE) as f64 / GIB)?;
    clear(root, &piece)?;
    Ok(sample)
}

/// Sends the next bytes of the body, as much as one call takes.
fn feed(peer: &mut Peer, slot: usize, load: &Load, piece: &[u8]) -> Result<(), String> {
    let Stage::Body { left } = &mut peer.stage else {
        return Ok(());
    };
    let from = ((SIZE - *left) % PIECE as u64) as usize;
    let rest = &piece[from..];
    let asked = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    match send(&peer.stream, &rest[..asked], SendFlags::NOSIGNAL) {
        Ok(sent) => *left -= sent as u64,
        Err(Errno::AGAIN) => {}
        Err(e) => return Err(format!("cannot send up-{slot} with {left} bytes left: {e}")),
    }
    if *left == 0 {
        peer.stage = Stage::Sent;
        load.rewatch(&peer.stream, slot, EventFlags::IN)?;
    }
    Ok(())
}

fn hear(peer: &mut Peer, slot: usize, load: &Load) -> Result<(), String> {
    let mut buffer = [0; 512];
    match recv(&peer.stream, &mut buffer, RecvFlags::empty()) {
        Ok((0, _)) => return Err(format!("the server ended the connection of up-{slot}")),
        Ok((got, _)) => peer.inbox.extend_from_slice(&buffer[..got]),
        Err(Errno::AGAIN) => return Ok(()),
        Err(e) => return Err(format!("cannot read the answer to up-{slot}: {e}")),
    }
    if peer.inbox.last() != Some(&b'\n') {
        return Ok(());
    }
    let line = String::from_utf8_lossy(&std::mem::take(&mut peer.inbox)).into_owned();
    match (&peer.stage, line.as_str()) {
        (Stage::Asked, "OK\n") => {
            peer.stage = Stage::Body { left: SIZE };
            // Readable too: a refusal in the middle of a body shall be told, not found as a reset.
            load.rewatch(&peer.stream, slot, EventFlags::IN | EventFlags::OUT)
        }
        (Stage::Sent, "OK File Berhasil Dibuat\n") => {
            peer.stage = Stage::Over;
            Ok(())
        }
        _ => Err(format!("the server says {line:?} to up-{slot}")),
    }
}

/// Checks what was stored and takes it away.
fn clear(root: &Path, piece: &[u8]) -> Result<(), String> {
    for slot in 0..CONNECTIONS {
        let path = root.join(format!("up-{slot}"));
        let tried = |e: std::io::Error| format!("upload left no good {}: {e}", path.display());
        let size = std::fs::metadata(&path).map_err(tried)?.len();
        if size != SIZE {
            return Err(format!("{} has {size} bytes, not {SIZE}", path.display()));
        }
        if slot == 0 {
            compare(&path, piece)?;
        }
        std::fs::remove_file(&path).map_err(tried)?;
    }
    Ok(())
}

fn compare(path: &PathBuf, piece: &[u8]) -> Result<(), String> {
    let tried = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
    let mut file = File::open(path).map_err(tried)?;
    let mut stored = vec![0; PIECE];
    let mut left = SIZE as usize;
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
fn warm_memory() -> Result<(), String> {
    // In a virtual machine with free page reporting, the memory of deleted files goes back to the
    // host after some seconds, and the server that writes next pays 0.5 s a GiB for its return.
    // Once over is not enough: the next run need not get the same pages.
    let text = std::fs::read_to_string("/proc/meminfo")
        .map_err(|e| format!("cannot read /proc/meminfo: {e}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    let four_times = (CONNECTIONS as u64 * SIZE) as usize * 4;
    let mut memory = vec![0u8; four_times.min(kib.unwrap_or(0) * 1024 / 2)];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    black_box(&memory);
    Ok(())
}
