//! The bare download loop: TCP_CORK around header and body, sendfile in 256 KiB steps round robin.
//! Sends one and the same file whatever name is asked for, and never looks whether it is cold.

use super::{Bare, Happened, answer, take_line};
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
    /// Where in the file the body stands; `None` between two bodies.
    at: Option<u64>,
    queued: bool,
}

enum Step {
    Again,
    Parked,
}

pub fn run(mut bare: Bare, path: &str) -> Result<(), String> {
    let file = File::open(path).map_err(|e| format!("cannot open {path}: {e}"))?;
    let size = file
        .metadata()
        .map_err(|e| format!("cannot stat {path}: {e}"))?
        .len();
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut ready: VecDeque<usize> = VecDeque::new();
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    loop {
        bare.wait(!ready.is_empty())?;
        for index in 0..bare.events.len() {
            match bare.event(index) {
                Happened::Listener => bare.accept(&mut peers, flags, |fd| Peer {
                    fd,
                    inbox: Vec::new(),
                    at: None,
                    queued: false,
                })?,
                Happened::Slot(slot, _) => {
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

/// One bulk step of a body, or between bodies the look for a request.
fn step(peer: &mut Peer, file: &File, size: u64) -> Result<Step, Errno> {
    let Some(at) = &mut peer.at else {
        return request(peer, size);
    };
    if *at < size {
        let asked = STEP.min(size - *at);
        let sent = sendfile(&peer.fd, file, Some(at), asked as usize)?;
        if sent == 0 {
            return Err(Errno::IO);
        }
        if *at < size {
            return Ok(if (sent as u64) < asked {
                Step::Parked
            } else {
                Step::Again
            });
        }
    }
    sockopt::set_tcp_cork(&peer.fd, false)?;
    peer.at = None;
    Ok(Step::Again)
}

fn request(peer: &mut Peer, size: u64) -> Result<Step, Errno> {
    loop {
        if let Some(line) = take_line(&mut peer.inbox) {
            if !line.starts_with("download ") {
                answer(&peer.fd, b"ERROR only download is known here\n")?;
                return Err(Errno::PROTO);
            }
            sockopt::set_tcp_cork(&peer.fd, true)?;
            answer(&peer.fd, format!("OK {size}\n").as_bytes())?;
            peer.at = Some(0);
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
