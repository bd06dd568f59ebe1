//! The bare echo loop: edge-triggered, one shared 64 KiB buffer, a short read ends a turn.
//! Has no budget: a peer that sends without end stops all others. `reactor/turn.rs` has one.

use super::{Bare, Happened}; // a listener in an epoll(7) set; the listener or a slot
use rustix::event::epoll::EventFlags; // rustix: a function for each system call
use rustix::fd::OwnedFd; // closed when dropped
use rustix::io::Errno; // AGAIN: nothing to read, or no room to write
use rustix::net::{self, RecvFlags, SendFlags}; // send(2) and recv(2)

const BUFFER: usize = 64 * 1024;

struct Peer {
    fd: OwnedFd,
    /// What the peer's full socket did not take yet; while there is any, nothing more is read.
    owed: Vec<u8>,
}

pub fn run(mut bare: Bare) -> Result<(), String> {
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    loop {
        bare.wait(false)?;
        for index in 0..bare.events.len() {
            match bare.event(index) {
                Happened::Listener => {
                    bare.accept(&mut peers, flags, |fd| Peer {
                        fd,
                        owed: Vec::new(),
                    })?;
                }
                Happened::Slot(slot, what) => {
                    let Some(peer) = &mut peers[slot] else {
                        continue;
                    };
                    // An error other than a full socket is the peer's end, whatever it was.
                    if turn(peer, &mut buffer, what) != Err(Errno::AGAIN) {
                        peers[slot] = None;
                    }
                }
            }
        }
    }
}

/// Ends with `AGAIN` when there is nothing more to do now, with `Ok` at the end of stream.
fn turn(peer: &mut Peer, buffer: &mut [u8], what: EventFlags) -> Result<(), Errno> {
    if !peer.owed.is_empty() {
        let sent = net::send(&peer.fd, &peer.owed, SendFlags::NOSIGNAL)?;
        peer.owed.drain(..sent);
        if !peer.owed.is_empty() {
            return Err(Errno::AGAIN);
        }
        peer.owed = Vec::new();
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
            peer.owed.extend_from_slice(&buffer[sent..got]);
            return Err(Errno::AGAIN);
        }
        // An end of stream in the same edge brings no other edge: read on to the 0.
        if got < buffer.len() && !what.contains(EventFlags::RDHUP) {
            return Err(Errno::AGAIN);
        }
    }
}
