//! Reads and writes the operator's standard input and output without ever waiting for them.
//! Understands nothing of what is typed: that is the operator's, a protocol like the others.

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PIPE_BUF;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Standard input and output of the server.
pub struct Stdio {
    input: Channel,
    output: Channel,
    mode: Option<TerminalMode>,
}

impl Stdio {
    /// Takes the two streams over; at a terminal, keys come one by one from now on.
    pub fn open() -> io::Result<Stdio> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let input = Channel::open(stdin.as_fd(), OFlags::RDONLY)?;
        let output = Channel::open(stdout.as_fd(), OFlags::WRONLY)?;
        let terminals = rustix::termios::isatty(&stdin) && rustix::termios::isatty(&stdout);
        let mode = if terminals && in_foreground(stdin.as_fd()) {
            TerminalMode::enter(output.stream.as_fd()).ok()
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
        let size = rustix::termios::tcgetwinsize(&self.output.stream).ok()?;
        Some(if size.ws_col == 0 {
            80
        } else {
            usize::from(size.ws_col)
        })
    }

    /// The descriptors, to be registered: for reading and for writing.
    pub fn descriptors(&self) -> (RawFd, RawFd) {
        (
            self.input.stream.as_raw_fd(),
            self.output.stream.as_raw_fd(),
        )
    }

    /// After a stop and a `fg` the shell has left the terminal in its own mode. Answers how wide
    /// the terminal is, if it is ours now.
    pub fn resume(&mut self) -> Option<usize> {
        if !in_foreground(self.input.stream.as_fd()) {
            return None;
        }
        self.mode.as_ref()?.apply();
        self.columns()
    }

    /// Reads what is there.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Reading a terminal from the background would stop the whole server (SIGTTIN).
        if rustix::termios::isatty(&self.input.stream) && !in_foreground(self.input.stream.as_fd())
        {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.input.ask(PollFlags::IN)?;
        Ok(rustix::io::read(&self.input.stream, into)?)
    }

    /// Writes what fits.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }
}

/// One of the streams.
///
/// O_NONBLOCK on an inherited descriptor would change it for the shell too. A stream opened anew
/// through /proc/self/fd has flags of its own. Where that cannot be done (a socket, a file of
/// another user), the kernel is asked before each call. Regular files never wait.
pub struct Channel {
    stream: OwnedFd,
    must_ask: bool,
}

impl Channel {
    /// A stream of our own behind an inherited descriptor.
    pub fn open(inherited: BorrowedFd<'_>, access: OFlags) -> io::Result<Channel> {
        let stat = rustix::fs::fstat(inherited)?;
        let regular = FileType::from_raw_mode(stat.st_mode).is_file();
        let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", inherited.as_raw_fd());
        match rustix::fs::open(path, flags, Mode::empty()) {
            // A regular file opened anew would begin at its start again.
            Ok(own) if !regular => Ok(Channel {
                stream: own,
                must_ask: false,
            }),
            _ => {
                let stream = inherited.try_clone_to_owned()?;
                Ok(Channel {
                    stream,
                    must_ask: !regular,
                })
            }
        }
    }

    /// The descriptor, to be registered.
    pub fn descriptor(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Writes what fits; used for the log, too.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.ask(PollFlags::OUT)?;
        // Asked, a pipe promises only this much without waiting.
        let most = if self.must_ask {
            bytes.len().min(PIPE_BUF)
        } else {
            bytes.len()
        };
        Ok(rustix::io::write(&self.stream, &bytes[..most])?)
    }

    fn ask(&self, wanted: PollFlags) -> io::Result<()> {
        if self.must_ask {
            let mut asked = [PollFd::new(&self.stream, wanted)];
            let now = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            if rustix::event::poll(&mut asked, Some(&now))? == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        Ok(())
    }
}

fn in_foreground(terminal: BorrowedFd<'_>) -> bool {
    rustix::termios::tcgetpgrp(terminal) == Ok(rustix::process::getpgrp())
}

/// The terminal without line editing and echo of its own. Dropping it restores what was. It holds
/// the output that never waits: a terminal stopped by Ctrl-S must not keep the server from ending.
struct TerminalMode {
    terminal: OwnedFd,
    before: Termios,
}

impl TerminalMode {
    fn enter(terminal: BorrowedFd<'_>) -> Result<TerminalMode, Errno> {
        let before = rustix::termios::tcgetattr(terminal)?;
        let terminal = terminal.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
        let mode = TerminalMode { terminal, before };
        mode.apply();
        Ok(mode)
    }

    fn apply(&self) {
        let mut keys = self.before.clone();
        keys.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        keys.special_codes[SpecialCodeIndex::VMIN] = 1;
        keys.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Without it the line is drawn twice: a nuisance, nothing worse.
        let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &keys);
    }
}

impl Drop for TerminalMode {
    fn drop(&mut self) {
        if in_foreground(self.terminal.as_fd()) {
            let now = OptionalActions::Now;
            let _ = rustix::termios::tcsetattr(&self.terminal, now, &self.before);
            let _ = rustix::io::write(&self.terminal, b"\r\x1b[K");
        }
    }
}
