//! The bare loops: what every one of them needs, and the choice by name.
//! Has no limits, deadlines, logs or defence against a hostile peer: it is a floor, not a server.

mod download;
mod echo;
mod room;
mod tokio_echo;
mod upload;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// What can be asked for, one line a loop.
pub const USAGE: &str = "usage: echo PORT | download PORT FILE | upload PORT DIR | \
                         room PORT | tokio-echo PORT   (on 127.0.0.1; port 0 is a free one)";

/// Runs the loop that the words name, until a signal or an error ends it.
pub fn run(words: &[String]) -> Result<(), String> {
    // `cargo bench` adds its own word behind those of the user.
    let own = words.iter().map(String::as_str);
    let words: Vec<&str> = own.filter(|&word| word != "--bench").collect();
    match words[..] {
        ["echo", port] => echo::run(Bare::open(port)?),
        ["download", port, file] => download::run(Bare::open(port)?, file),
        ["room", port] => room::run(port),
        ["tokio-echo", port] => tokio_echo::run(port),
        ["upload", port, dir] => upload::run(Bare::open(port)?, dir),
        _ => Err(format!("cannot make out {words:?}\n{USAGE}")),
    }
}

/// The listener, the epoll, and the events of the last wait.
struct Bare {
    epoll: OwnedFd,
    listener: OwnedFd,
    events: Vec<epoll::Event>,
}

/// One thing that happened, on the listener or on the connection in this slot.
enum Happened {
    Listener,
    Slot(usize, epoll::EventFlags),
}

impl Bare {
    fn open(port: &str) -> Result<Bare, String> {
        let number: u16 = port
            .parse()
            .map_err(|_| format!("{port:?} is no port number"))?;
        let (listener, real) =
            listen(number).map_err(|e| format!("cannot listen on 127.0.0.1:{number}: {e}"))?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|e| format!("cannot make an epoll: {e}"))?;
        let bare = Bare {
            epoll,
            listener,
            events: Vec::with_capacity(512),
        };
        bare.watch(&bare.listener, epoll::EventFlags::IN)
            .map_err(|e| format!("cannot watch the listener: {e}"))?;
        println!("listening on {real}");
        std::io::stdout()
            .flush()
            .map_err(|e| format!("cannot write to standard output: {e}"))?;
        Ok(bare)
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

    fn event(&self, index: usize) -> Happened {
        let event = self.events[index];
        let slot = event.data.u64() as usize;
        if slot == self.listener.as_raw_fd() as usize {
            Happened::Listener
        } else {
            Happened::Slot(slot, event.flags)
        }
    }

    /// Accepts all that wait and puts each into the slot of its descriptor number.
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
            self.watch(&fd, flags)
                .map_err(|e| format!("cannot watch a connection: {e}"))?;
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

/// Sends a short answer; a peer whose socket has no room for one line is given up.
fn answer(fd: &OwnedFd, line: &[u8]) -> Result<(), Errno> {
    match retry_on_intr(|| net::send(fd, line, net::SendFlags::NOSIGNAL))? {
        sent if sent == line.len() => Ok(()),
        _ => Err(Errno::AGAIN),
    }
}

/// Takes the first line, without its LF, off the front of what has come.
fn take_line(inbox: &mut Vec<u8>) -> Option<String> {
    let end = inbox.iter().position(|&byte| byte == b'\n')?;
    let line = String::from_utf8_lossy(&inbox[..end]).into_owned();
    inbox.drain(..=end);
    Some(line)
}
