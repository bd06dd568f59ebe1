//! Load generator: each connection downloads one file from the page cache.
//! It counts the bytes and discards them in the kernel; only `check` compares the content.

use super::contender::BIG_FILE;
use super::dialect::Dialect;
use super::poller::{Poller, connect};
use super::server::{Meter, Server};
use super::table::{Sample, Table};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::TcpStream;
use std::path::Path;

const GIB: f64 = (1u64 << 30) as f64;
const SINK: usize = 4 << 20;

/// The parameters of one run.
#[derive(Clone, Copy)]
pub struct Shape {
    pub connections: usize,
    pub size: u64,
    pub name: &'static str,
}

/// Many large files at the same time.
pub const MANY_BIG: Shape = Shape {
    connections: 64,
    size: 64 << 20,
    name: BIG_FILE,
};

impl Shape {
    pub fn table(&self) -> Table {
        Table::new(
            format!(
                "download: {} connections, one file of {} MiB each from the page cache",
                self.connections,
                self.size >> 20
            ),
            ("GiB/s", 2),
            "s CPU/GiB",
        )
    }

    fn gibibytes(&self) -> f64 {
        (self.connections as u64 * self.size) as f64 / GIB
    }
}

/// Writes and syncs the file, so that no writeback disturbs a run.
pub fn prepare(root: &Path, shape: &Shape) -> Result<(), String> {
    let path = root.join(shape.name);
    let write = || {
        let mut out = BufWriter::new(File::create(&path)?);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..shape.size / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            out.write_all(&state.to_le_bytes())?;
        }
        out.flush()?;
        out.get_ref().sync_all()
    };
    write().map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// Downloads the file once and compares every byte.
pub fn check(server: &Server, root: &Path, shape: &Shape) -> Result<(), String> {
    let path = root.join(shape.name);
    let tried = |e: std::io::Error| format!("cannot check {}: {e}", path.display());
    let mut file = File::open(&path).map_err(tried)?;
    let mut stream = TcpStream::connect(server.at).map_err(tried)?;
    let request = server.dialect.fetch(shape.name, false)?;
    stream.write_all(request.as_bytes()).map_err(tried)?;
    let mut buffer = vec![0; 1 << 20];
    let mut expected = vec![0; 1 << 20];
    let mut header = Vec::new();
    let start = loop {
        let got = stream.read(&mut buffer[..256]).map_err(tried)?;
        if got == 0 {
            return Err("the server closed the connection before its answer".to_string());
        }
        header.extend_from_slice(&buffer[..got]);
        if let Some(start) = server.dialect.body_at(&header, shape.size)? {
            break start;
        }
    };
    let mut piece = header.split_off(start);
    let mut left = shape.size;
    loop {
        let length = piece.len();
        file.read_exact(&mut expected[..length]).map_err(tried)?;
        if piece != expected[..length] {
            return Err(format!(
                "the download of {} has wrong content",
                path.display()
            ));
        }
        left -= length as u64;
        if left == 0 {
            return Ok(());
        }
        let most = buffer.len().min(usize::try_from(left).unwrap_or(SINK));
        let got = stream.read(&mut buffer[..most]).map_err(tried)?;
        if got == 0 {
            return Err(format!(
                "the download of {} ended {left} bytes early",
                path.display()
            ));
        }
        piece.clear();
        piece.extend_from_slice(&buffer[..got]);
    }
}

struct Peer {
    stream: TcpStream,
    header: Vec<u8>,
    left: Option<u64>,
}

pub fn run(server: &Server, shape: &Shape) -> Result<Sample, String> {
    let mut poller = Poller::new()?;
    let mut sink = vec![0; SINK];
    let mut peers = Vec::new();
    for slot in 0..shape.connections {
        let stream = connect(server.at)?;
        poller.watch(&stream, slot, EventFlags::IN)?;
        peers.push(Peer {
            stream,
            header: Vec::new(),
            left: None,
        });
    }
    let line = server.dialect.fetch(shape.name, false)?;
    let meter = Meter::start(server)?;
    for peer in &peers {
        send(&peer.stream, line.as_bytes(), SendFlags::NOSIGNAL)
            .map_err(|e| format!("cannot send {line:?}: {e}"))?;
    }
    let mut active = peers.len();
    while active > 0 {
        poller.wait()?;
        for index in 0..poller.events() {
            let peer = &mut peers[poller.slot(index)];
            read(peer, server.dialect, shape, &mut sink)?;
            active -= usize::from(peer.left == Some(0));
        }
    }
    meter.stop(shape.gibibytes())
}

fn read(peer: &mut Peer, dialect: Dialect, shape: &Shape, sink: &mut [u8]) -> Result<(), String> {
    let Some(left) = &mut peer.left else {
        return header(peer, dialect, shape);
    };
    // MSG_TRUNC discards the bytes in the kernel, see tcp(7): the client costs less CPU.
    let got = match recv(&peer.stream, &mut *sink, RecvFlags::TRUNC) {
        Ok((_, got)) => got as u64,
        Err(Errno::AGAIN) => return Ok(()),
        Err(e) => return Err(format!("download failed, {left} bytes missing: {e}")),
    };
    if got == 0 {
        return Err(format!("a download ended {left} bytes early"));
    }
    let rest = left.checked_sub(got);
    *left = rest.ok_or_else(|| format!("received {got} bytes, expected at most {left}"))?;
    Ok(())
}

/// Reads the header; the first bytes of the body may follow in the same read.
fn header(peer: &mut Peer, dialect: Dialect, shape: &Shape) -> Result<(), String> {
    let mut buffer = [0; 512];
    let got = match recv(&peer.stream, &mut buffer, RecvFlags::empty()) {
        Ok((0, _)) => return Err("the server closed a connection before its answer".to_string()),
        Ok((got, _)) => got,
        Err(Errno::AGAIN) => return Ok(()),
        Err(e) => return Err(format!("cannot read the answer to a download: {e}")),
    };
    peer.header.extend_from_slice(&buffer[..got]);
    if let Some(start) = dialect.body_at(&peer.header, shape.size)? {
        peer.left = Some(shape.size - (peer.header.len() - start) as u64);
    }
    Ok(())
}
