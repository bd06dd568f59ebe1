//! Non-blocking reads and writes of a standard stream: a terminal, pipe, file or socket.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::pipe::PIPE_BUF;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A standard stream.
///
/// O_NONBLOCK belongs to the open file description: on an inherited descriptor it would change the
/// shell's, too. So the stream is opened again through /proc/self/fd. Where that fails (a socket, a
/// file of another user), poll(2) precedes each call. Regular files never block.
pub struct StdStream {
    stream: OwnedFd,
    must_poll: bool,
}

impl StdStream {
    /// Opens the stream of an inherited descriptor. `access` is O_RDONLY or O_WRONLY.
    ///
    /// # Errors
    ///
    /// Those of fstat(2) and fcntl(2), for example if the descriptor is closed.
    pub fn open(inherited: BorrowedFd<'_>, access: OFlags) -> io::Result<StdStream> {
        let stat = rustix::fs::fstat(inherited)?;
        let regular = FileType::from_raw_mode(stat.st_mode).is_file();
        let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", inherited.as_raw_fd());
        match rustix::fs::open(path, flags, Mode::empty()) {
            // A regular file that is opened again has its own offset, 0.
            Ok(own) if !regular => Ok(StdStream {
                stream: own,
                must_poll: false,
            }),
            _ => Ok(StdStream {
                stream: inherited.try_clone_to_owned()?,
                must_poll: !regular,
            }),
        }
    }

    /// The descriptor, for epoll(7) or poll(2).
    pub fn descriptor(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Reads what is available; 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is available, and those of read(2).
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.poll(PollFlags::IN)?;
        Ok(rustix::io::read(&self.stream, into)?)
    }

    /// Writes what fits, and returns the number of bytes.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing fits, and those of write(2).
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.poll(PollFlags::OUT)?;
        // A blocking pipe that poll(2) reports writable has room for this much only.
        let most = if self.must_poll {
            bytes.len().min(PIPE_BUF)
        } else {
            bytes.len()
        };
        Ok(rustix::io::write(&self.stream, &bytes[..most])?)
    }

    fn poll(&self, wanted: PollFlags) -> io::Result<()> {
        if self.must_poll {
            let mut polled = [PollFd::new(&self.stream, wanted)];
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            if poll(&mut polled, Some(&now))? == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        Ok(())
    }
}

impl AsFd for StdStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
