//! Baseline for uploads: splice(2) through one 1 MiB pipe, one step per event.
//! It accepts no pipelined commands and leaves a temporary file behind when it is killed.

use super::{EpollServer, Event, answer, take_line};
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

const PIPE: usize = 1024 * 1024;

/// The pipe that all bodies share.
struct Pipe {
    from: OwnedFd,
    into: OwnedFd,
}

struct Peer {
    fd: OwnedFd,
    inbox: Vec<u8>,
    body: Option<Body>,
}

struct Body {
    file: File,
    left: u64,
    temporary: PathBuf,
    name: PathBuf,
}

pub fn run(mut server: EpollServer, dir: &str) -> Result<(), String> {
    let dir = Path::new(dir);
    if !dir.is_dir() {
        return Err(format!("{} is not a directory for uploads", dir.display()));
    }
    let pipe = pipe().map_err(|e| format!("cannot create a pipe of {PIPE} bytes: {e}"))?;
    let mut peers: Vec<Option<Peer>> = Vec::new();
    loop {
        server.wait(false)?;
        for index in 0..server.events.len() {
            match server.event(index) {
                Event::Listener => server.accept(&mut peers, EventFlags::IN, |fd| Peer {
                    fd,
                    inbox: Vec::new(),
                    body: None,
                })?,
                Event::Slot(slot, _) => {
                    let Some(peer) = &mut peers[slot] else {
                        continue;
                    };
                    match step(peer, &pipe, dir) {
                        Ok(()) | Err(Errno::AGAIN) => {}
                        Err(_) => peers[slot] = None,
                    }
                }
            }
        }
    }
}

fn pipe() -> Result<Pipe, Errno> {
    let (from, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    fcntl_setpipe_size(&into, PIPE)?;
    Ok(Pipe { from, into })
}

/// Moves one step of a body, or reads a part of the command line. Epoll is level-triggered here:
/// unread data is reported again.
fn step(peer: &mut Peer, pipe: &Pipe, dir: &Path) -> Result<(), Errno> {
    match &mut peer.body {
        None => request(peer, dir)?,
        Some(body) => {
            let moved = splice_step(&peer.fd, body, pipe)?;
            if moved == 0 {
                return Err(Errno::CONNRESET);
            }
            body.left -= moved as u64;
        }
    }
    if let Some(body) = peer.body.take_if(|body| body.left == 0) {
        std::fs::rename(&body.temporary, &body.name).map_err(|_| Errno::IO)?;
        answer(&peer.fd, b"OK File Berhasil Dibuat\n")?;
    }
    Ok(())
}

fn splice_step(fd: &OwnedFd, body: &mut Body, pipe: &Pipe) -> Result<usize, Errno> {
    let asked = body.left.min(PIPE as u64) as usize;
    let got = splice(fd, None, &pipe.into, None, asked, SpliceFlags::NONBLOCK)?;
    let mut held = got;
    while held > 0 {
        let moved = splice(
            &pipe.from,
            None,
            &body.file,
            None,
            held,
            SpliceFlags::empty(),
        )?;
        if moved == 0 {
            return Err(Errno::IO);
        }
        held -= moved;
    }
    Ok(got)
}

fn request(peer: &mut Peer, dir: &Path) -> Result<(), Errno> {
    let mut buffer = [0; 4096];
    let (got, _) = net::recv(&peer.fd, &mut buffer, RecvFlags::empty())?;
    if got == 0 || peer.inbox.len() > 4096 {
        return Err(Errno::CONNRESET);
    }
    peer.inbox.extend_from_slice(&buffer[..got]);
    let Some(line) = take_line(&mut peer.inbox) else {
        return Ok(());
    };
    let Some((name, size)) = parse_upload(&line) else {
        answer(&peer.fd, b"ERROR only upload NAME SIZE is supported\n")?;
        return Err(Errno::PROTO);
    };
    let temporary = dir.join(format!(".baseline-{}", peer.fd.as_raw_fd()));
    let mut file = File::create(&temporary).map_err(|_| Errno::IO)?;
    answer(&peer.fd, b"OK\n")?;
    // Bytes behind the line in the same read are the start of the body.
    let glued = peer.inbox.len().min(size as usize);
    file.write_all(&peer.inbox[..glued])
        .map_err(|_| Errno::IO)?;
    peer.inbox.drain(..glued);
    peer.body = Some(Body {
        file,
        left: size - glued as u64,
        temporary,
        name: dir.join(name),
    });
    Ok(())
}

fn parse_upload(line: &str) -> Option<(&str, u64)> {
    let (name, size) = line.strip_prefix("upload ")?.rsplit_once(' ')?;
    (!name.is_empty() && !name.contains('/')).then_some((name, size.parse().ok()?))
}
