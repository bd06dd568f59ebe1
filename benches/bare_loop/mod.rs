//! Bare loops: the minimal event loop for one task, as a lower bound for the CPU cost.
//! They have no limits, deadlines or logs, and no defence against hostile peers.

mod download;
mod echo;
mod room;
mod upload;

use loket::config::reactor::REACTOR;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::io::Write;
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
        ["echo", port] => echo::run(EpollServer::open(port)?),
        ["download", port, file] => download::run(EpollServer::open(port)?, file),
        ["room", port] => room::run(port),
        ["tokio-echo", port] => crate::rivals::tokio_echo::run(port),
        ["upload", port, dir] => upload::run(EpollServer::open(port)?, dir),
        _ => Err(format!("unknown arguments {args:?}\n{USAGE}")),
    }
}

/// A listener in an epoll set, and the events of the last wait.
struct EpollServer {
    epoll: OwnedFd,
    listener: OwnedFd,
    events: Vec<epoll::Event>,
}

/// What is ready: the listener, or the connection in this slot.
enum Event {
    Listener,
    Slot(usize, epoll::EventFlags),
}

impl EpollServer {
    fn open(port: &str) -> Result<EpollServer, String> {
        let number: u16 = port
            .parse()
            .map_err(|_| format!("{port:?} is not a port number"))?;
        let (listener, real) =
            listen(number).map_err(|e| format!("cannot listen on 127.0.0.1:{number}: {e}"))?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|e| format!("cannot create an epoll instance: {e}"))?;
        let server = EpollServer {
            epoll,
            listener,
            events: Vec::with_capacity(REACTOR.events_per_round),
        };
        server
            .watch(&server.listener, epoll::EventFlags::IN)
            .map_err(|e| format!("cannot add the listener to epoll: {e}"))?;
        println!("listening on {real}");
        std::io::stdout()
            .flush()
            .map_err(|e| format!("cannot write to standard output: {e}"))?;
        Ok(server)
    }

    fn watch(&self, fd: &OwnedFd, flags: epoll::EventFlags) -> Result<(), Errno> {
        epoll::add(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(fd.as_raw_fd() as u64),
            flags,
        )
    }

    /// Sleeps until something happens; with `busy` only looks.
    fn wait(&mut self, busy: bool) -> Result<(), String> {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            busy.then_some(&now),
        ) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(format!("cannot wait on the epoll: {e}")),
        }
    }

    fn event(&self, index: usize) -> Event {
        let event = self.events[index];
        let slot = event.data.u64() as usize;
        if slot == self.listener.as_raw_fd() as usize {
            Event::Listener
        } else {
            Event::Slot(slot, event.flags)
        }
    }

    /// Accepts all pending connections; each goes into the slot of its descriptor number.
    fn accept<T>(
        &self,
        table: &mut Vec<Option<T>>,
        flags: epoll::EventFlags,
        make: impl Fn(OwnedFd) -> T,
    ) -> Result<(), String> {
        loop {
            let both = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let fd = match net::accept_with(&self.listener, both) {
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

fn listen(port: u16) -> Result<(OwnedFd, u16), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let listener = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    net::bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    net::listen(&listener, 1024)?;
    let real = SocketAddr::try_from(net::getsockname(&listener)?)?.port();
    Ok((listener, real))
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
