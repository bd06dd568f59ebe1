//! Bare loops: the minimal event loop for one task, as a lower bound for the CPU cost.
//! They have no limits, deadlines or logs, and no defence against hostile peers.

mod download;
mod echo;
mod room;
mod upload;

use crate::measure::announce;
use loket::config::reactor::REACTOR;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventFlags};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// The bare loops and their arguments; also the rival that is no program of its own.
pub const USAGE: &str = "usage: echo PORT | download PORT FILE | upload PORT DIR | \
                         room PORT | tokio-echo PORT   (on 127.0.0.1; port 0 picks a free port)";

/// Runs the server that the arguments name, until a signal or an error ends it.
pub fn run(args: &[String]) -> Result<(), String> {
    // `cargo bench` appends `--bench`.
    let args = args.iter().map(String::as_str);
    let args: Vec<&str> = args.filter(|&arg| arg != "--bench").collect();
    match args[..] {
        ["echo", port] => echo::run(EpollServer::listen(port)?),
        ["download", port, file] => download::run(EpollServer::listen(port)?, file),
        ["room", port] => room::run(port),
        ["tokio-echo", port] => crate::rivals::tokio_echo::run(port),
        ["upload", port, dir] => upload::run(EpollServer::listen(port)?, dir),
        _ => Err(format!("unknown arguments {args:?}\n{USAGE}")),
    }
}

/// A listener, or a UDP socket, in an epoll set, and the events of the last wait.
struct EpollServer {
    epoll: OwnedFd,
    socket: OwnedFd,
    events: Vec<epoll::Event>,
}

/// What is ready: the listener, or the connection in this slot.
enum Event {
    Listener,
    Slot(usize, EventFlags),
}

impl EpollServer {
    fn listen(port: &str) -> Result<EpollServer, String> {
        EpollServer::open(SocketType::STREAM, port)
    }

    fn open(kind: SocketType, port: &str) -> Result<EpollServer, String> {
        let number = port.parse();
        let number: u16 = number.map_err(|_| format!("{port:?} is not a port number"))?;
        let open = || {
            let server = EpollServer {
                epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
                socket: bound_socket(kind, number)?,
                events: Vec::with_capacity(REACTOR.events_per_round),
            };
            // All that is pending is always taken.
            server.watch(&server.socket, EventFlags::IN | EventFlags::ET)?;
            let real = SocketAddr::try_from(net::getsockname(&server.socket)?)?;
            Ok((server, real.port()))
        };
        let failed = |e: Errno| format!("cannot serve 127.0.0.1:{number}: {e}");
        let (server, real) = open().map_err(failed)?;
        announce(real)?;
        Ok(server)
    }

    fn watch(&self, fd: &OwnedFd, flags: EventFlags) -> Result<(), Errno> {
        let data = epoll::EventData::new_u64(fd.as_raw_fd() as u64);
        epoll::add(&self.epoll, fd, data, flags)
    }

    /// Sleeps until something happens; with `busy` only looks.
    fn wait(&mut self, busy: bool) -> Result<(), String> {
        let now = busy.then_some(&Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        });
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), now) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(format!("cannot wait on the epoll: {e}")),
        }
    }

    fn event(&self, index: usize) -> Event {
        let event = self.events[index];
        let slot = event.data.u64() as usize;
        if slot == self.socket.as_raw_fd() as usize {
            Event::Listener
        } else {
            Event::Slot(slot, event.flags)
        }
    }

    /// Accepts all pending connections; each goes into the slot of its descriptor number.
    fn accept<T>(
        &self,
        table: &mut Vec<Option<T>>,
        flags: EventFlags,
        make: impl Fn(OwnedFd) -> T,
    ) -> Result<(), String> {
        loop {
            let both = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let fd = match net::accept_with(&self.socket, both) {
                Ok(fd) => fd,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(e) => return Err(format!("cannot accept: {e}")),
            };
            // As loket does.
            sockopt::set_tcp_nodelay(&fd, true)
                .map_err(|e| format!("cannot set TCP_NODELAY: {e}"))?;
            self.watch(&fd, flags)
                .map_err(|e| format!("cannot add a connection to epoll: {e}"))?;
            let slot = fd.as_raw_fd() as usize;
            if table.len() <= slot {
                table.resize_with(slot + 1, || None);
            }
            table[slot] = Some(make(fd));
        }
    }
}

fn bound_socket(kind: SocketType, port: u16) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::INET, kind, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, kind == SocketType::STREAM)?;
    net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    if kind == SocketType::STREAM {
        net::listen(&socket, 1024)?;
    }
    Ok(socket)
}

/// Sends a short answer. If the socket has no room for it, the caller closes the connection.
fn answer(fd: &OwnedFd, line: &[u8]) -> Result<(), Errno> {
    match retry_on_intr(|| net::send(fd, line, net::SendFlags::NOSIGNAL))? {
        sent if sent == line.len() => Ok(()),
        _ => Err(Errno::AGAIN),
    }
}

/// Removes the first head of an HTTP request from the input and returns it.
fn take_head(inbox: &mut Vec<u8>) -> Option<String> {
    let end = inbox.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&inbox[..end]).into_owned();
    inbox.drain(..end);
    Some(head)
}
