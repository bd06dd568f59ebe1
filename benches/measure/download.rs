//! The download load: 64 connections, each one 64 MiB file from page cache, line dialect.
//! Counts the bytes and lets the kernel throw them away; their content is never looked at.

use super::load::{Load, connect};
use super::server::{Meter, Server};
use super::table::{Sample, Table};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::TcpStream;
use std::path::Path;

pub const NAME: &str = "big.bin";
const CONNECTIONS: usize = 64;
const SIZE: u64 = 64 << 20;
const GIB: f64 = (1u64 << 30) as f64;
const SINK: usize = 4 << 20;

pub fn table() -> Table {
    Table {
        title: format!(
            "download: {CONNECTIONS} connections, each one file of {} MiB from the page cache",
            SIZE >> 20
        ),
        rate_unit: "GiB/s",
        rate_digits: 2,
        cpu_unit: "s CPU/GiB",
        rows: Vec::new(),
    }
}

/// Writes the file and waits for the disk, so that no writeback falls into a run.
pub fn prepare(root: &Path) -> Result<(), String> {
    let path = root.join(NAME);
    let write = || {
        let mut out = BufWriter::new(File::create(&path)?);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..SIZE / 8 {
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

struct Peer {
    stream: TcpStream,
    header: Vec<u8>,
    left: Option<u64>,
}

pub fn run(server: &Server) -> Result<Sample, String> {
    let mut load = Load::new()?;
    let mut sink = vec![0; SINK];
    let mut peers = Vec::new();
    for slot in 0..CONNECTIONS {
        let stream = connect(server.at)?;
        load.watch(&stream, slot, EventFlags::IN)?;
        peers.push(Peer {
            stream,
            header: Vec::new(),
            left: None,
        });
    }
    let meter = Meter::start(server)?;
    for peer in &peers {
        let line = format!("download {NAME}\n");
        send(&peer.stream, line.as_bytes(), SendFlags::NOSIGNAL)
            .map_err(|e| format!("cannot send {line:?}: {e}"))?;
    }
    let mut going = peers.len();
    while going > 0 {
        load.wait()?;
        for index in 0..load.events() {
            let peer = &mut peers[load.slot(index)];
            take(peer, &mut sink)?;
            going -= usize::from(peer.left == Some(0));
        }
    }
    let sample = meter.stop((CONNECTIONS as u64 * SIZE) as f64 / GIB)?;
    Ok(sample)
}

fn take(peer: &mut Peer, sink: &mut [u8]) -> Result<(), String> {
    let Some(left) = &mut peer.left else {
        return header(peer);
    };
    // With TRUNC the bytes are dropped inside the kernel, and the client stays out of the way.
    let got = match recv(&peer.stream, &mut *sink, RecvFlags::TRUNC) {
        Ok((_, got)) => got as u64,
        Err(Errno::AGAIN) => return Ok(()),
        Err(e) => {
            return Err(format!(
                "cannot read a download with {left} bytes to come: {e}"
            ));
        }
    };
    if got == 0 {
        return Err(format!("a download ended with {left} bytes to come"));
    }
    let rest = left.checked_sub(got);
    *left = rest.ok_or_else(|| format!("{got} bytes came where {left} were left"))?;
    Ok(())
}

/// `OK <size>`, after which the first bytes of the body may already stand.
fn header(peer: &mut Peer) -> Result<(), String> {
    let mut buffer = [0; 256];
    let got = match recv(&peer.stream, &mut buffer, RecvFlags::empty()) {
        Ok((0, _)) => return Err("the server ended a connection before its answer".to_string()),
        Ok((got, _)) => got,
        Err(Errno::AGAIN) => return Ok(()),
        Err(e) => return Err(format!("cannot read the answer to a download: {e}")),
    };
    peer.header.extend_from_slice(&buffer[..got]);
    let Some(end) = peer.header.iter().position(|&byte| byte == b'\n') else {
        return Ok(());
    };
    let line = String::from_utf8_lossy(&peer.header[..end]);
    if line != format!("OK {SIZE}") {
        return Err(format!(
            "asked for {NAME} of {SIZE} bytes, answered {line:?}"
        ));
    }
    peer.left = Some(SIZE - (peer.header.len() - end - 1) as u64);
    Ok(())
}
