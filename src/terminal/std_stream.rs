//! One of the standard streams, written and read without ever waiting for it.
//! Pipes, files and sockets are streams, too.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::pipe::PIPE_BUF;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

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
            _ => Ok(Channel {
                stream: inherited.try_clone_to_owned()?,
                must_ask: !regular,
            }),
        }
    }

    /// The descriptor, to be registered.
    pub fn descriptor(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Reads what is there.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.ask(PollFlags::IN)?;
        Ok(rustix::io::read(&self.stream, into)?)
    }

    /// Writes what fits.
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
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            if poll(&mut asked, Some(&now))? == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        Ok(())
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
