//! Reads and writes the operator's standard input and output without ever waiting for them.
//! What the keys mean is the operator service's matter, a protocol like the others.

use crate::terminal::channel::Channel;
use crate::terminal::raw_mode::{self, Controls, RawMode, in_foreground};
use rustix::fs::OFlags;
use rustix::termios::isatty;
use std::io;
use std::os::fd::{AsFd, RawFd};

/// Standard input and output of the server.
pub struct Stdio {
    input: Channel,
    output: Channel,
    mode: Option<RawMode>,
}

impl Stdio {
    /// Takes the two streams over; at a terminal, keys come one by one from now on.
    pub fn open() -> io::Result<Stdio> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let input = Channel::open(stdin.as_fd(), OFlags::RDONLY)?;
        let output = Channel::open(stdout.as_fd(), OFlags::WRONLY)?;
        let terminals = isatty(&stdin) && isatty(&stdout);
        let mode = if terminals && in_foreground(stdin.as_fd()) {
            // The output never waits: a terminal stopped by Ctrl-S must not keep the server from
            // ending.
            RawMode::enter(output.as_fd(), Controls::Signals).ok()
        } else {
            None
        };
        Ok(Stdio {
            input,
            output,
            mode,
        })
    }

    /// How wide the terminal is; `None` where lines come from a pipe.
    pub fn columns(&self) -> Option<usize> {
        self.mode.as_ref()?;
        Some(raw_mode::columns(self.output.as_fd()))
    }

    /// The descriptors, to be registered: for reading and for writing.
    pub fn descriptors(&self) -> (RawFd, RawFd) {
        (self.input.descriptor(), self.output.descriptor())
    }

    /// After a stop and a `fg` the shell has left the terminal in its own mode. Answers how wide
    /// the terminal is, if it is ours now.
    pub fn resume(&mut self) -> Option<usize> {
        if !in_foreground(self.input.as_fd()) {
            return None;
        }
        self.mode.as_ref()?.apply();
        self.columns()
    }

    /// Reads what is there.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Reading a terminal from the background would stop the whole server (SIGTTIN).
        if isatty(&self.input) && !in_foreground(self.input.as_fd()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.input.read(into)
    }

    /// Writes what fits.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }
}

impl Drop for Stdio {
    fn drop(&mut self) {
        if self.mode.is_some() && in_foreground(self.output.as_fd()) {
            let _ = self.output.write(b"\r\x1b[K");
        }
    }
}
