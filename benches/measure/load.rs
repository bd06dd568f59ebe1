//! What every load client is made of: one epoll, non-blocking streams by slot, an end of patience.

use super::Limit;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);

pub struct Load {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    limit: Limit,
}

impl Load {
    pub fn new() -> Result<Load, String> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|e| format!("cannot make an epoll: {e}"))?;
        Ok(Load {
            epoll,
            events: Vec::with_capacity(256),
            limit: Limit::new(),
        })
    }

    pub fn watch(&self, stream: &TcpStream, slot: usize, flags: EventFlags) -> Result<(), String> {
        epoll::add(&self.epoll, stream, EventData::new_u64(slot as u64), flags)
            .map_err(|e| format!("cannot watch connection {slot}: {e}"))
    }

    pub fn rewatch(
        &self,
        stream: &TcpStream,
        slot: usize,
        flags: EventFlags,
    ) -> Result<(), String> {
        epoll::modify(&self.epoll, stream, EventData::new_u64(slot as u64), flags)
            .map_err(|e| format!("cannot change the watch on connection {slot}: {e}"))
    }

    /// Sleeps until something happens, at most half a second; no events is no failure.
    pub fn wait(&mut self) -> Result<(), String> {
        self.limit.check()?;
        self.events.clear();
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: 500_000_000,
        };
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&pause)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(format!("cannot wait for the server: {e}")),
        }
    }

    pub fn events(&self) -> usize {
        self.events.len()
    }

    pub fn slot(&self, index: usize) -> usize {
        self.events[index].data.u64() as usize
    }

    pub fn readable(&self, index: usize) -> bool {
        // A copy: the kernel's event is packed, and its fields cannot be borrowed.
        let flags = self.events[index].flags;
        flags.contains(EventFlags::IN)
    }
}

/// A non-blocking connection without delay.
pub fn connect(at: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&at, CONNECT_LIMIT)
        .map_err(|e| format!("cannot connect to {at}: {e}"))?;
    let ready = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_nonblocking(true));
    ready.map_err(|e| format!("cannot prepare a connection to {at}: {e}"))?;
    Ok(stream)
}
