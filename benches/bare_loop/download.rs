//! Bare loop for HTTP downloads: TCP_CORK around head and body, sendfile(2) steps of 256 KiB.
//! It sends the same file for every path and ignores whether the file is in the page cache.

use super::{EpollServer, Event, answer, take_head};
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, sockopt};
use std::collections::VecDeque;
use std::fs::File;

const STEP: u64 = 256 * 1024;

struct Peer {
    fd: OwnedFd,
    inbox: Vec<u8>,
    /// File offset of the next byte to send; `None` between two bodies.
    offset: Option<u64>,
    queued: bool,
}

enum Step {
    Again,
    Parked,
}

pub fn run(mut server: EpollServer, path: &str) -> Result<(), String> {
    let file = File::open(path).map_err(|e| format!("cannot open {path}: {e}"))?;
    let size = file
        .metadata()
        .map_err(|e| format!("cannot stat {path}: {e}"))?
        .len();
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut ready: VecDeque<usize> = VecDeque::new();
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    loop {
        server.wait(!ready.is_empty())?;
        for index in 0..server.events.len() {
            match server.event(index) {
                Event::Listener => server.accept(&mut peers, flags, |fd| Peer {
                    fd,
                    inbox: Vec::new(),
                    offset: None,
                    queued: false,
                })?,
                Event::Slot(slot, _) => {
                    if let Some(peer) = &mut peers[slot]
                        && !peer.queued
                    {
                        peer.queued = true;
                        ready.push_back(slot);
                    }
                }
            }
        }
        for _ in 0..ready.len() {
            let Some(slot) = ready.pop_front() else { break };
            let Some(peer) = &mut peers[slot] else {
                continue;
            };
            match step(peer, &file, size) {
                Ok(Step::Again) => ready.push_back(slot),
                Ok(Step::Parked) | Err(Errno::AGAIN) => peer.queued = false,
                Err(_) => peers[slot] = None,
            }
        }
    }
}

/// Sends one step of a body, or reads the next request.
fn step(peer: &mut Peer, file: &File, size: u64) -> Result<Step, Errno> {
    let Some(offset) = &mut peer.offset else {
        return request(peer, size);
    };
    if *offset < size {
        let asked = STEP.min(size - *offset);
        let sent = sendfile(&peer.fd, file, Some(offset), asked as usize)?;
        if sent == 0 {
            return Err(Errno::IO);
        }
        if *offset < size {
            return Ok(if (sent as u64) < asked {
                Step::Parked
            } else {
                Step::Again
            });
        }
    }
    sockopt::set_tcp_cork(&peer.fd, false)?;
    peer.offset = None;
    Ok(Step::Again)
}

fn request(peer: &mut Peer, size: u64) -> Result<Step, Errno> {
    loop {
        if let Some(head) = take_head(&mut peer.inbox) {
            let answered = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            if !head.starts_with("GET ") {
                answer(&peer.fd, answered.as_bytes())?;
                return Ok(Step::Again);
            }
            sockopt::set_tcp_cork(&peer.fd, true)?;
            answer(&peer.fd, answered.as_bytes())?;
            peer.offset = Some(0);
            return Ok(Step::Again);
        }
        let mut buffer = [0; 4096];
        let (got, _) = net::recv(&peer.fd, &mut buffer, RecvFlags::empty())?;
        if got == 0 || peer.inbox.len() > 4096 {
            return Err(Errno::CONNRESET);
        }
        peer.inbox.extend_from_slice(&buffer[..got]);
    }
}
