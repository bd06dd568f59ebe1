//! Downloads and uploads beside a pulse, one small step at a time, again and again.
//! Looks at no content: the tests do.

use crate::measure::load::connect;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::{SocketAddr, TcpStream};

/// What is moved in one step: it takes our end about as long as an echo.
const STEP: usize = 128 << 10;

/// A conversation with the files service.
struct Peer {
    stream: TcpStream,
    command: String,
    /// Bytes of a body that we still have to send.
    to_send: u64,
    /// Bytes of a body that are still to come; `None` while its header is.
    to_come: Option<u64>,
    heard: Vec<u8>,
    rounds: u64,
}

/// Several of them, each given a step in turn.
pub struct Burden {
    peers: Vec<Peer>,
    buffer: Vec<u8>,
    next: usize,
    upload: Option<u64>,
    pub moved: u64,
}

impl Burden {
    /// Each peer asks for something of which `OK <length>` and then the bytes come.
    pub fn downloads(at: SocketAddr, count: usize, command: &str) -> Result<Burden, String> {
        Burden::new(at, count, None, |_| format!("{command}\n"))
    }

    /// Each peer stores a file of its own of so many bytes.
    pub fn uploads(at: SocketAddr, count: usize, bytes: u64) -> Result<Burden, String> {
        Burden::new(at, count, Some(bytes), |number| {
            format!("upload stored{number} {bytes}\n")
        })
    }

    fn new(
        at: SocketAddr,
        count: usize,
        upload: Option<u64>,
        command: impl Fn(usize) -> String,
    ) -> Result<Burden, String> {
        let mut peers = Vec::new();
        for number in 0..count {
            let mut peer = Peer {
                stream: connect(at)?,
                command: command(number),
                to_send: 0,
                to_come: None,
                heard: Vec::new(),
                rounds: 0,
            };
            peer.ask(upload)?;
            peers.push(peer);
        }
        Ok(Burden {
            peers,
            buffer: vec![7; STEP],
            next: 0,
            upload,
            moved: 0,
        })
    }

    /// How often something was moved from its first byte to its last answer.
    pub fn rounds(&self) -> u64 {
        self.peers.iter().map(|peer| peer.rounds).sum()
    }

    /// A step of one of them.
    pub fn step(&mut self) -> Result<(), String> {
        self.next = (self.next + 1) % self.peers.len();
        let peer = &mut self.peers[self.next];
        let done = match self.upload {
            Some(_) => peer.give(&self.buffer, &mut self.moved)?,
            None => peer.take(&mut self.buffer, &mut self.moved)?,
        };
        if done {
            peer.rounds += 1;
            peer.ask(self.upload)?;
        }
        Ok(())
    }
}

impl Peer {
    fn ask(&mut self, upload: Option<u64>) -> Result<(), String> {
        (self.to_send, self.to_come) = (upload.unwrap_or(0), None);
        self.heard.clear();
        let command = self.command.as_bytes();
        match send(&self.stream, command, SendFlags::NOSIGNAL) {
            Ok(count) if count == command.len() => Ok(()),
            other => Err(format!("{:?} was not taken: {other:?}", self.command)),
        }
    }

    fn give(&mut self, bytes: &[u8], moved: &mut u64) -> Result<bool, String> {
        if self.to_send == 0 {
            self.hear()?;
            return Ok(self.heard.iter().filter(|&&byte| byte == b'\n').count() == 2);
        }
        let most = self.to_send.min(bytes.len() as u64) as usize;
        match send(&self.stream, &bytes[..most], SendFlags::NOSIGNAL) {
            Ok(count) => {
                self.to_send -= count as u64;
                *moved += count as u64;
                Ok(false)
            }
            Err(Errno::AGAIN) => Ok(false),
            Err(e) => Err(format!("an upload broke: {e}; {}", self.told())),
        }
    }

    fn take(&mut self, into: &mut [u8], moved: &mut u64) -> Result<bool, String> {
        let Some(left) = &mut self.to_come else {
            self.hear()?;
            return self.header();
        };
        let most = (*left).min(into.len() as u64) as usize;
        // With TRUNC the bytes are dropped inside the kernel.
        let got = match recv(&self.stream, &mut into[..most], RecvFlags::TRUNC) {
            Ok((_, 0)) => return Err(format!("a download ended with {left} bytes to come")),
            Ok((_, got)) => got as u64,
            Err(Errno::AGAIN) => return Ok(false),
            Err(e) => return Err(format!("a download broke: {e}")),
        };
        *left -= got;
        *moved += got;
        Ok(*left == 0)
    }

    /// `OK <length>`, behind which the first bytes of the body may stand.
    fn header(&mut self) -> Result<bool, String> {
        let Some(end) = self.heard.iter().position(|&byte| byte == b'\n') else {
            return Ok(false);
        };
        let line = String::from_utf8_lossy(&self.heard[..end]);
        let length = line
            .strip_prefix("OK ")
            .and_then(|rest| rest.parse::<u64>().ok());
        let length = length.ok_or_else(|| format!("{line:?} is no length"))?;
        let left = length - (self.heard.len() - end - 1) as u64;
        self.to_come = Some(left);
        Ok(left == 0)
    }

    fn hear(&mut self) -> Result<(), String> {
        let mut bytes = [0; 256];
        match recv(&self.stream, &mut bytes, RecvFlags::empty()) {
            Ok((0, _)) => Err(format!("the server hung up; {}", self.told())),
            Ok((got, _)) => {
                self.heard.extend_from_slice(&bytes[..got]);
                if self.heard.starts_with(b"ERROR") || self.heard.starts_with(b"OK\nERROR") {
                    return Err(self.told());
                }
                Ok(())
            }
            Err(Errno::AGAIN) => Ok(()),
            Err(e) => Err(format!("no answer to {:?}: {e}", self.command)),
        }
    }

    fn told(&self) -> String {
        let heard = String::from_utf8_lossy(&self.heard);
        format!("{:?} was answered with {heard:?}", self.command)
    }
}
