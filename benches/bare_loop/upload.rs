//! Bare loop for HTTP uploads: splice(2) through one 1 MiB pipe, one step per event.
//! It accepts no pipelined requests and leaves a temporary file behind when it is killed.

use super::{EpollServer, Event, answer, take_head};
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
        status(&peer.fd, "201 Created")?;
    }
    Ok(())
}

fn splice_step(fd: &OwnedFd, body: &mut Body, pipe: &Pipe) -> Result<usize, Errno> {
    let asked = body.left.min(PIPE as u64) as usize;
    let got = splice(fd, None, &pipe.into, None, asked, SpliceFlags::NONBLOCK)?;
    let mut held = got;
    while held > 0 {
        let none = SpliceFlags::empty();
        let moved = splice(&pipe.from, None, &body.file, None, held, none)?;
        if moved == 0 {
            return Err(Errno::IO);
        }
        held -= moved;
    }
    Ok(got)
}

/// Sends an answer without a body.
fn status(fd: &OwnedFd, status: &str) -> Result<(), Errno> {
    answer(
        fd,
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes(),
    )
}

fn request(peer: &mut Peer, dir: &Path) -> Result<(), Errno> {
    let mut buffer = [0; 4096];
    let (got, _) = net::recv(&peer.fd, &mut buffer, RecvFlags::empty())?;
    if got == 0 || peer.inbox.len() > 4096 {
        return Err(Errno::CONNRESET);
    }
    peer.inbox.extend_from_slice(&buffer[..got]);
    let Some(head) = take_head(&mut peer.inbox) else {
        return Ok(());
    };
    let Some((path, size)) = parse(&head) else {
        status(&peer.fd, "400 Bad Request")?;
        return Err(Errno::PROTO);
    };
    let name = dir.join(path);
    match head.split(' ').next() {
        Some("PUT") => {}
        Some("DELETE") => {
            std::fs::remove_file(&name).map_err(|_| Errno::IO)?;
            return answer(&peer.fd, b"HTTP/1.1 204 No Content\r\n\r\n");
        }
        _ => return status(&peer.fd, "404 Not Found"),
    }
    let temporary = dir.join(format!(".bare-loop-{}", peer.fd.as_raw_fd()));
    let mut file = File::create(&temporary).map_err(|_| Errno::IO)?;
    // Bytes behind the head in the same read are the start of the body.
    let glued = peer.inbox.len().min(size as usize);
    file.write_all(&peer.inbox[..glued])
        .map_err(|_| Errno::IO)?;
    peer.inbox.drain(..glued);
    peer.body = Some(Body {
        file,
        left: size - glued as u64,
        temporary,
        name,
    });
    Ok(())
}

/// The path without its slash, and the length of the body.
fn parse(head: &str) -> Option<(&str, u64)> {
    let path = head.split(' ').nth(1)?.strip_prefix('/')?;
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("Content-Length: "));
    let size = length.map_or(Some(0), |length| length.parse().ok())?;
    (!path.is_empty() && !path.contains('/')).then_some((path, size))
}
