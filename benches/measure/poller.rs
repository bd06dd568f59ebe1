//! The epoll set of a load generator: non-blocking streams by slot, and the deadline of the run.

use super::Limit;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);

pub struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    limit: Limit,
}

impl Poller {
    pub fn new() -> Result<Poller, String> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|e| format!("cannot create an epoll instance: {e}"))?;
        Ok(Poller {
            epoll,
            events: Vec::with_capacity(256),
            limit: Limit::new(),
        })
    }

    pub fn watch(&self, stream: &TcpStream, slot: usize, flags: EventFlags) -> Result<(), String> {
        epoll::add(&self.epoll, stream, EventData::new_u64(slot as u64), flags)
            .map_err(|e| format!("cannot add connection {slot} to epoll: {e}"))
    }

    pub fn rewatch(
        &self,
        stream: &TcpStream,
        slot: usize,
        flags: EventFlags,
    ) -> Result<(), String> {
        epoll::modify(&self.epoll, stream, EventData::new_u64(slot as u64), flags)
            .map_err(|e| format!("cannot change the events of connection {slot}: {e}"))
    }

    /// Waits for events, at most half a second; a timeout is not an error.
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
        // A copy: fields of the packed kernel struct cannot be borrowed.
        let flags = self.events[index].flags;
        flags.contains(EventFlags::IN)
    }
}

/// Opens a non-blocking connection with TCP_NODELAY.
pub fn connect(at: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&at, CONNECT_LIMIT)
        .map_err(|e| format!("cannot connect to {at}: {e}"))?;
    let ready = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_nonblocking(true));
    ready.map_err(|e| format!("cannot set options of a connection to {at}: {e}"))?;
    Ok(stream)
}
