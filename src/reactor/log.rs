//! Keeps log and trace lines between a turn and the moment when they can be written.
//! If nothing reads standard error, lines are dropped and counted; the server never blocks on it.

use super::dispatcher::Dispatcher;
use super::linux::LinuxIo;
use crate::session::notice::{Audience, Post};
use crate::terminal::std_stream::StdStream;
use rustix::fs::OFlags;
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

/// A bounded queue of whole lines. Clones share it: the logger adds lines, and the loop removes
/// them.
#[derive(Clone)]
pub struct LogQueue(Arc<Mutex<Lines>>);

/// Makes the line about this number of dropped lines.
pub type LostLine = Box<dyn Fn(u64) -> String + Send>;

struct Lines {
    bytes: VecDeque<u8>,
    lost_line: LostLine,
    limit: usize,
    lost: u64,
    /// Lines that were dropped since the start.
    dropped: u64,
}

impl LogQueue {
    /// An empty queue of at most `limit` bytes.
    pub fn new(limit: usize, lost_line: LostLine) -> LogQueue {
        LogQueue(Arc::new(Mutex::new(Lines {
            bytes: VecDeque::new(),
            lost_line,
            limit,
            lost: 0,
            dropped: 0,
        })))
    }

    /// Passes the bytes to `write`, until the queue is empty or `write` would block.
    pub fn drain(&self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !lines.bytes.is_empty() {
            let (front, _) = lines.bytes.as_slices();
            match write(front) {
                Ok(count) if count > 0 => drop(lines.bytes.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The reader is gone, as with EPIPE.
                Ok(_) | Err(_) => return lines.bytes.clear(),
            }
        }
    }

    /// Removes all lines and returns them as text.
    pub fn take_lines(&self) -> Vec<String> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.bytes.is_empty() {
            return Vec::new();
        }
        let bytes: Vec<u8> = lines.bytes.drain(..).collect();
        String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl Write for LogQueue {
    /// Adds a line, or drops and counts it. Never blocks and never fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.bytes.len() + line.len() > lines.limit {
            lines.lost += 1;
            lines.dropped += 1;
            return Ok(line.len());
        }
        if lines.lost > 0 {
            let note = (lines.lost_line)(lines.lost);
            lines.lost = 0;
            lines.bytes.extend(note.as_bytes());
        }
        lines.bytes.extend(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the log once a round: to standard error, or, if the operator edits a line on the same
/// terminal, above that line.
pub struct LogSink {
    queue: LogQueue,
    to: Option<StdStream>,
    is_terminal: bool,
}

impl LogSink {
    /// A sink that writes to standard error without blocking.
    pub fn standard_error(queue: LogQueue) -> LogSink {
        let stderr = io::stderr();
        let to = StdStream::open(stderr.as_fd(), OFlags::WRONLY).ok();
        LogSink {
            queue,
            to,
            is_terminal: stderr.is_terminal(),
        }
    }

    /// The descriptor of standard error, to register it.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.to.as_ref().map(StdStream::descriptor)
    }

    /// The number of lines that were dropped since the start.
    pub fn dropped(&self) -> u64 {
        let lines = self.queue.0.lock();
        lines.unwrap_or_else(PoisonError::into_inner).dropped
    }

    /// Writes the rest of the queue after the loop has ended, as far as standard error has room.
    pub fn finish(queue: LogQueue) {
        if let Some(mut to) = LogSink::standard_error(queue.clone()).to {
            queue.drain(|bytes| to.write(bytes));
        }
    }

    /// Writes the queue to standard error, or posts its lines to the operator.
    pub fn flush(&mut self, dispatcher: &mut Dispatcher<LinuxIo>) {
        let stdio = dispatcher.io.operator.as_ref();
        let editing = stdio.is_some_and(|stdio| stdio.columns().is_some());
        if editing && self.is_terminal {
            for line in self.queue.take_lines() {
                let post = Post::line(Audience::Operator, line);
                dispatcher.posts().push(post);
            }
            return dispatcher.deliver();
        }
        if let Some(to) = &mut self.to {
            self.queue.drain(|bytes| to.write(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_above_the_limit_are_dropped_and_counted() {
        let mut queue = LogQueue::new(20, Box::new(|lost| format!("{lost} lost\n")));
        for number in 0..5 {
            queue
                .write_all(format!("line {number}\n").as_bytes())
                .expect("never fails");
        }
        let mut read = Vec::new();
        queue.drain(|bytes| {
            read.extend_from_slice(bytes);
            Ok(bytes.len())
        });
        queue.write_all(b"on\n").expect("never fails");
        assert_eq!(String::from_utf8(read).expect("text"), "line 0\nline 1\n");
        assert_eq!(queue.take_lines(), ["3 lost", "on"]);
    }

    #[test]
    fn lines_that_do_not_fit_into_a_pipe_are_kept() {
        let mut queue = LogQueue::new(100, Box::new(|_| String::new()));
        queue.write_all(b"one\ntwo\n").expect("never fails");
        let mut calls = 0;
        queue.drain(|_| {
            calls += 1;
            if calls == 1 {
                Ok(4)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            }
        });
        assert_eq!(queue.take_lines(), ["two"]);
    }
}
