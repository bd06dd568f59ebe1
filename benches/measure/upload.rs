//! Load generator: each connection uploads one file.
//! After a run it compares one stored file byte by byte, and the sizes of the others.

use super::dialect::Dialect;
use super::ftp::Ftp;
use super::poller::{Poller, connect};
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
/// Bodies repeat one piece. Its length is prime, so that a shifted or swapped part is detected.
const PIECE: usize = 262_139;

/// The parameters of one run.
#[derive(Clone, Copy)]
pub struct Shape {
    pub connections: usize,
    pub size: u64,
}

/// Some large files at the same time.
pub const SIXTEEN_BIG: Shape = Shape {
    connections: 16,
    size: 64 << 20,
};

impl Shape {
    pub fn table(&self) -> Table {
        Table::new(
            format!(
                "upload: {} connections, one file of {} MiB each",
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

enum State {
    /// Waiting for `OK`.
    AwaitOk,
    Body {
        left: u64,
    },
    /// Waiting for the confirmation that the file is stored.
    AwaitResult,
    Done,
}

struct Peer {
    /// The data connection; `None` once it was closed to end the body (FTP).
    stream: Option<TcpStream>,
    /// The control connection, if the protocol has one.
    ftp: Option<Ftp>,
    inbox: Vec<u8>,
    state: State,
}

impl Peer {
    fn connect(server: &Server) -> Result<Peer, String> {
        let (stream, ftp) = match server.dialect {
            Dialect::Ftp => {
                let mut ftp = Ftp::login(server.at)?;
                (ftp.passive()?, Some(ftp))
            }
            _ => (connect(server.at)?, None),
        };
        Ok(Peer {
            stream: Some(stream),
            ftp,
            inbox: Vec::new(),
            state: State::AwaitOk,
        })
    }

    fn stream(&self) -> Result<&TcpStream, String> {
        let stream = self.stream.as_ref();
        stream.ok_or_else(|| "the data connection is already closed".to_string())
    }

    fn control(&self) -> Result<&TcpStream, String> {
        match &self.ftp {
            Some(ftp) => Ok(ftp.control()),
            None => self.stream(),
        }
    }

    /// Sends the request; without an `OK` in the protocol, the body starts at once.
    fn request(
        &mut self,
        slot: usize,
        shape: &Shape,
        poller: &Poller,
        dialect: Dialect,
    ) -> Result<(), String> {
        let line = dialect.store(&format!("up-{slot}"), shape.size)?;
        if let Some(ftp) = &mut self.ftp {
            ftp.begin(&line)?;
            poller.watch(ftp.control(), slot, EventFlags::IN)?;
        } else {
            send(self.stream()?, line.as_bytes(), SendFlags::NOSIGNAL)
                .map_err(|e| format!("cannot send {line:?}: {e}"))?;
        }
        if dialect != Dialect::Line {
            self.begin_body(slot, shape, poller)?;
        }
        Ok(())
    }

    fn begin_body(&mut self, slot: usize, shape: &Shape, poller: &Poller) -> Result<(), String> {
        self.state = State::Body { left: shape.size };
        // Readable too: report an error answer during the body, not the reset that follows.
        let flags = match self.ftp {
            Some(_) => EventFlags::OUT,
            None => EventFlags::IN | EventFlags::OUT,
        };
        poller.rewatch(self.stream()?, slot, flags)
    }
}

pub fn run(server: &Server, root: &Path, shape: &Shape) -> Result<Sample, String> {
    warm_memory(shape)?;
    let piece = piece();
    let mut poller = Poller::new()?;
    let mut peers = Vec::new();
    for slot in 0..shape.connections {
        let peer = Peer::connect(server)?;
        poller.watch(peer.stream()?, slot, EventFlags::IN)?;
        peers.push(peer);
    }
    let meter = Meter::start(server)?;
    for (slot, peer) in peers.iter_mut().enumerate() {
        peer.request(slot, shape, &poller, server.dialect)?;
    }
    let mut active = peers.len();
    while active > 0 {
        poller.wait()?;
        for index in 0..poller.events() {
            let slot = poller.slot(index);
            let peer = &mut peers[slot];
            if poller.readable(index) {
                receive(peer, slot, shape, &poller, server.dialect)?;
                active -= usize::from(matches!(peer.state, State::Done));
            } else {
                send_body(peer, slot, shape, &poller, &piece)?;
            }
        }
    }
    let sample = meter.stop(shape.bytes() as f64 / GIB)?;
    check_and_remove(root, shape, &piece)?;
    Ok(sample)
}

/// The piece that bodies repeat.
pub fn piece() -> Vec<u8> {
    (0..PIECE as u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect()
}

/// Sends the next bytes of the body with one call.
fn send_body(
    peer: &mut Peer,
    slot: usize,
    shape: &Shape,
    poller: &Poller,
    piece: &[u8],
) -> Result<(), String> {
    let State::Body { left } = peer.state else {
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
    peer.state = State::Body { left };
    if left == 0 {
        peer.state = State::AwaitResult;
        if peer.ftp.is_some() {
            peer.stream = None;
        } else {
            poller.rewatch(peer.stream()?, slot, EventFlags::IN)?;
        }
    }
    Ok(())
}

fn receive(
    peer: &mut Peer,
    slot: usize,
    shape: &Shape,
    poller: &Poller,
    dialect: Dialect,
) -> Result<(), String> {
    let mut buffer = [0; 512];
    match recv(peer.control()?, &mut buffer, RecvFlags::empty()) {
        Ok((0, _)) => return Err(format!("the server closed the connection of up-{slot}")),
        Ok((got, _)) => peer.inbox.extend_from_slice(&buffer[..got]),
        Err(Errno::AGAIN) => return Ok(()),
        Err(e) => return Err(format!("cannot read the answer to up-{slot}: {e}")),
    }
    match peer.state {
        State::AwaitOk if peer.inbox == b"OK\n" => {
            peer.inbox.clear();
            peer.begin_body(slot, shape, poller)
        }
        State::AwaitResult => {
            if dialect.is_stored(&peer.inbox)? {
                peer.state = State::Done;
            }
            Ok(())
        }
        _ => {
            let text = String::from_utf8_lossy(&peer.inbox);
            Err(format!("the answer to up-{slot} was {text:?}"))
        }
    }
}

/// Checks and removes the stored files.
fn check_and_remove(root: &Path, shape: &Shape, piece: &[u8]) -> Result<(), String> {
    for slot in 0..shape.connections {
        let path = root.join(format!("up-{slot}"));
        let tried =
            |e: std::io::Error| format!("cannot check the uploaded {}: {e}", path.display());
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

/// Touches more memory than a run needs, and frees it.
fn warm_memory(shape: &Shape) -> Result<(), String> {
    // In a virtual machine with free page reporting, memory of deleted files returns to the host
    // after some seconds, and the next server that writes pays 0.5 s per GiB to get it back.
    // Four times the need, because the next run may get other pages.
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
