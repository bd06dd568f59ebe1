//! A minimal echo server on edge-triggered epoll(7), with one shared buffer of 64 KiB.
//! It has a fault: one peer that sends without end starves all others. `reactor/turn.rs` gives each
//! connection a budget instead.

use super::{EpollServer, Event}; // a listener and its epoll set; what an event is about
use rustix::event::epoll::EventFlags; // EPOLLIN and others; rustix wraps system calls
use rustix::fd::OwnedFd; // a descriptor, closed when dropped
use rustix::io::Errno; // AGAIN: no bytes to read, or no room to write
use rustix::net::{self, RecvFlags, SendFlags}; // send(2) and recv(2)

const BUFFER: usize = 64 * 1024;

struct Peer {
    fd: OwnedFd,
    /// Bytes that did not fit into the full socket. While there are any, nothing is read.
    unsent: Vec<u8>,
}

pub fn run(mut server: EpollServer) -> Result<(), String> {
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    loop {
        server.wait(false)?;
        for index in 0..server.events.len() {
            match server.event(index) {
                Event::Listener => {
                    server.accept(&mut peers, flags, |fd| Peer {
                        fd,
                        unsent: Vec::new(),
                    })?;
                }
                Event::Slot(slot, what) => {
                    let Some(peer) = &mut peers[slot] else {
                        continue;
                    };
                    // Only AGAIN keeps the connection; dropping a peer closes its socket.
                    if turn(peer, &mut buffer, what) != Err(Errno::AGAIN) {
                        peers[slot] = None;
                    }
                }
            }
        }
    }
}

/// Returns `AGAIN` when the socket is empty or full, and `Ok` at the end of the stream.
fn turn(peer: &mut Peer, buffer: &mut [u8], what: EventFlags) -> Result<(), Errno> {
    if !peer.unsent.is_empty() {
        let sent = net::send(&peer.fd, &peer.unsent, SendFlags::NOSIGNAL)?;
        peer.unsent.drain(..sent);
        if !peer.unsent.is_empty() {
            return Err(Errno::AGAIN);
        }
        peer.unsent = Vec::new();
    } else if what == EventFlags::OUT {
        return Err(Errno::AGAIN);
    }
    loop {
        let (got, _) = net::recv(&peer.fd, &mut *buffer, RecvFlags::empty())?;
        if got == 0 {
            return Ok(());
        }
        let sent = match net::send(&peer.fd, &buffer[..got], SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN) => 0,
            Err(e) => return Err(e),
        };
        if sent < got {
            peer.unsent.extend_from_slice(&buffer[sent..got]);
            return Err(Errno::AGAIN);
        }
        // A short read means that the socket is empty, unless the peer has ended its stream
        // (EPOLLRDHUP): that causes no other event, so read until recv(2) returns 0.
        if got < buffer.len() && !what.contains(EventFlags::RDHUP) {
            return Err(Errno::AGAIN);
        }
    }
}
