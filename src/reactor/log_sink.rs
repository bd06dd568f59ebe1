//! Writes the log once a round, without ever waiting for its reader.

use super::dispatcher::Dispatcher;
use super::linux::{LinuxIo, Stream};
use super::log_queue::LogQueue;
use crate::session::notice::{Audience, Post};
use crate::terminal::channel::Channel;
use rustix::fs::OFlags;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, RawFd};

/// Where the log goes once a round: to standard error, or, when the operator edits a line on the
/// same terminal, above that line.
pub struct LogSink {
    queue: LogQueue,
    to: Option<Channel>,
    is_terminal: bool,
}

impl LogSink {
    /// Writes what the queue holds to standard error, without ever waiting for it.
    pub fn standard_error(queue: LogQueue) -> LogSink {
        let stderr = io::stderr();
        let to = Channel::open(stderr.as_fd(), OFlags::WRONLY).ok();
        LogSink {
            queue,
            to,
            is_terminal: stderr.is_terminal(),
        }
    }

    /// Standard error, to be registered.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.to.as_ref().map(Channel::descriptor)
    }

    /// Writes what the loop has left, as far as standard error takes it.
    pub fn finish(queue: LogQueue) {
        if let Some(mut to) = LogSink::standard_error(queue.clone()).to {
            queue.drain(|bytes| to.write(bytes));
        }
    }

    /// Writes what has been logged, or hands it to the operator.
    pub fn flush(&mut self, dispatcher: &mut Dispatcher<LinuxIo>) {
        let editing = match dispatcher.operator_streams() {
            Some(Stream::Operator(stdio)) => stdio.columns().is_some(),
            _ => false,
        };
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
