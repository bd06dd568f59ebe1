//! Clients of the files service that act during a scheduled echo, in small steps of its thread.

use super::poller::connect;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::{SocketAddr, TcpStream};

/// Bytes per step: a step costs the client about as much time as an echo.
const STEP: usize = 128 << 10;

/// What each client of a load does.
#[derive(Clone, Copy, PartialEq)]
pub enum Task {
    /// Sends a command that is answered with `OK <length>` and the bytes.
    Get(&'static str),
    /// Stores this number of bytes in a file of its own.
    Put(u64),
}

/// A connection to the files service.
struct Peer {
    stream: TcpStream,
    command: String,
    /// Bytes of the body that are not sent yet.
    to_send: u64,
    /// Bytes of the body that are not received yet; `None` before the header.
    to_receive: Option<u64>,
    received: Vec<u8>,
    rounds: u64,
}

/// Several connections; each step advances one, round robin.
pub struct Load {
    peers: Vec<Peer>,
    buffer: Vec<u8>,
    next: usize,
    upload: Option<u64>,
    /// How often each client does its task.
    rounds: u64,
    /// Bytes of all bodies.
    pub moved: u64,
}

impl Load {
    /// Each of the clients does the task this number of times. `N` in a command is replaced by the
    /// number of the client.
    pub fn new(at: SocketAddr, count: usize, task: Task, rounds: u64) -> Result<Load, String> {
        let upload = match task {
            Task::Get(_) => None,
            Task::Put(bytes) => Some(bytes),
        };
        let mut peers = Vec::new();
        for number in 0..count {
            let command = match task {
                Task::Get(command) => command.replace('N', &number.to_string()),
                Task::Put(bytes) => format!("upload stored{number} {bytes}"),
            };
            let mut peer = Peer {
                stream: connect(at)?,
                command: format!("{command}\n"),
                to_send: 0,
                to_receive: None,
                received: Vec::new(),
                rounds: 0,
            };
            peer.send_command(upload)?;
            peers.push(peer);
        }
        Ok(Load {
            peers,
            buffer: vec![7; STEP],
            next: 0,
            upload,
            rounds,
            moved: 0,
        })
    }

    /// The present task of each client is its last one.
    pub fn finish(&mut self) {
        self.rounds = 1;
        self.peers.iter_mut().for_each(|peer| peer.rounds = 0);
    }

    /// Completed tasks.
    pub fn completed(&self) -> u64 {
        self.peers.iter().map(|peer| peer.rounds).sum()
    }

    /// Whether all clients have done their tasks.
    pub fn is_over(&self) -> bool {
        self.peers.iter().all(|peer| peer.rounds >= self.rounds)
    }

    /// Closes the connection of one client; whether there was one.
    pub fn leave(&mut self) -> bool {
        self.peers.pop().is_some()
    }

    /// One step of the next connection.
    pub fn step(&mut self) -> Result<(), String> {
        self.next = (self.next + 1) % self.peers.len();
        let peer = &mut self.peers[self.next];
        if peer.rounds >= self.rounds {
            return Ok(());
        }
        let is_done = match self.upload {
            Some(_) => peer.upload_step(&self.buffer, &mut self.moved)?,
            None => peer.download_step(&mut self.buffer, &mut self.moved)?,
        };
        if is_done {
            peer.rounds += 1;
            if peer.rounds < self.rounds {
                peer.send_command(self.upload)?;
            }
        }
        Ok(())
    }
}

impl Peer {
    fn send_command(&mut self, upload: Option<u64>) -> Result<(), String> {
        (self.to_send, self.to_receive) = (upload.unwrap_or(0), None);
        self.received.clear();
        let command = self.command.as_bytes();
        match send(&self.stream, command, SendFlags::NOSIGNAL) {
            Ok(count) if count == command.len() => Ok(()),
            other => Err(format!("cannot send {:?}: {other:?}", self.command)),
        }
    }

    fn upload_step(&mut self, bytes: &[u8], moved: &mut u64) -> Result<bool, String> {
        if self.to_send == 0 {
            self.receive()?;
            return Ok(self.received.iter().filter(|&&byte| byte == b'\n').count() == 2);
        }
        let most = self.to_send.min(bytes.len() as u64) as usize;
        match send(&self.stream, &bytes[..most], SendFlags::NOSIGNAL) {
            Ok(count) => {
                self.to_send -= count as u64;
                *moved += count as u64;
                Ok(false)
            }
            Err(Errno::AGAIN) => Ok(false),
            Err(e) => Err(format!("upload failed: {e}; {}", self.describe_answer())),
        }
    }

    fn download_step(&mut self, into: &mut [u8], moved: &mut u64) -> Result<bool, String> {
        let Some(left) = &mut self.to_receive else {
            self.receive()?;
            return self.header();
        };
        let most = (*left).min(into.len() as u64) as usize;
        // MSG_TRUNC discards the bytes in the kernel, see tcp(7).
        let got = match recv(&self.stream, &mut into[..most], RecvFlags::TRUNC) {
            Ok((_, 0)) => return Err(format!("download ended {left} bytes early")),
            Ok((_, got)) => got as u64,
            Err(Errno::AGAIN) => return Ok(false),
            Err(e) => return Err(format!("download failed: {e}")),
        };
        *left -= got;
        *moved += got;
        Ok(*left == 0)
    }

    /// Parses `OK <length>`; the first bytes of the body may follow in the same read.
    fn header(&mut self) -> Result<bool, String> {
        let Some(end) = self.received.iter().position(|&byte| byte == b'\n') else {
            return Ok(false);
        };
        let line = String::from_utf8_lossy(&self.received[..end]);
        let length = line
            .strip_prefix("OK ")
            .and_then(|rest| rest.parse::<u64>().ok());
        let length = length.ok_or_else(|| format!("{line:?} contains no length"))?;
        let left = length - (self.received.len() - end - 1) as u64;
        self.to_receive = Some(left);
        Ok(left == 0)
    }

    fn receive(&mut self) -> Result<(), String> {
        let mut bytes = [0; 256];
        match recv(&self.stream, &mut bytes, RecvFlags::empty()) {
            Ok((0, _)) => Err(format!(
                "the server closed the connection; {}",
                self.describe_answer()
            )),
            Ok((got, _)) => {
                self.received.extend_from_slice(&bytes[..got]);
                if self.received.starts_with(b"ERROR") || self.received.starts_with(b"OK\nERROR") {
                    return Err(self.describe_answer());
                }
                Ok(())
            }
            Err(Errno::AGAIN) => Ok(()),
            Err(e) => Err(format!("no answer to {:?}: {e}", self.command)),
        }
    }

    fn describe_answer(&self) -> String {
        let received = String::from_utf8_lossy(&self.received);
        format!("the answer to {:?} was {received:?}", self.command)
    }
}
