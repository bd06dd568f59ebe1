//! Nonblocking standard input and output, at which the operator is.
//! The protocol that reads the keys is in `services/operator.rs`.

use crate::terminal::raw_mode::{self, Controls, RawMode, in_foreground};
use crate::terminal::std_stream::StdStream;
use rustix::fs::OFlags;
use rustix::termios::isatty;
use std::io;
use std::os::fd::{AsFd, RawFd};

/// Standard input and output of the server.
pub struct Stdio {
    input: StdStream,
    output: StdStream,
    mode: Option<RawMode>,
}

impl Stdio {
    /// Opens the two streams. A terminal in the foreground is set to raw mode, so that each key
    /// arrives at once.
    pub fn open() -> io::Result<Stdio> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let input = StdStream::open(stdin.as_fd(), OFlags::RDONLY)?;
        let output = StdStream::open(stdout.as_fd(), OFlags::WRONLY)?;
        let terminals = isatty(&stdin) && isatty(&stdout);
        let mode = if terminals && in_foreground(stdin.as_fd()) {
            // Output never blocks: a terminal stopped by Ctrl-S must not keep the server from
            // exiting.
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

    /// The width of the terminal; `None` if the streams are no terminal in raw mode.
    pub fn columns(&self) -> Option<usize> {
        self.mode.as_ref()?;
        Some(raw_mode::columns(self.output.as_fd()))
    }

    /// The descriptors of input and output, to register them.
    pub fn descriptors(&self) -> (RawFd, RawFd) {
        (self.input.descriptor(), self.output.descriptor())
    }

    /// Sets raw mode again: after a stop and `fg`, the terminal is in the shell's mode. Returns the
    /// width of the terminal if this process is in the foreground.
    pub fn resume(&mut self) -> Option<usize> {
        if !in_foreground(self.input.as_fd()) {
            return None;
        }
        self.mode.as_ref()?.apply();
        self.columns()
    }

    /// Reads available bytes.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // A read from a terminal in the background would stop the process (SIGTTIN).
        if isatty(&self.input) && !in_foreground(self.input.as_fd()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.input.read(into)
    }

    /// Writes as many bytes as fit.
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
