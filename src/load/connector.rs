//! Opens connections for workers: a queue of workers that wait, and unfinished connects.

use super::dialer::TcpDialer;
use super::requests::LoadJob;
use crate::reactor::connect::is_connected;
use crate::reactor::token::Target;
use mio::net::TcpStream;
use mio::{Interest, Registry};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;

/// The result of a connect.
pub enum ConnectResult {
    /// The connection is established.
    Connected {
        /// The connection.
        stream: TcpStream,
        /// Its worker.
        job: LoadJob,
    },
    /// No connection to this address is possible.
    Failed(LoadJob, SocketAddr, io::Error),
    /// The poll will report the result.
    InProgress,
}

/// All connects of a run.
pub struct Connector {
    dialer: TcpDialer,
    waiting: VecDeque<LoadJob>,
    pending: HashMap<u32, (TcpStream, SocketAddr, LoadJob)>,
    number: u32,
}

impl Connector {
    /// An empty queue.
    pub fn new(dialer: TcpDialer) -> Connector {
        Connector {
            dialer,
            waiting: VecDeque::new(),
            pending: HashMap::new(),
            number: 0,
        }
    }

    /// The dialer.
    pub fn dialer(&mut self) -> &mut TcpDialer {
        &mut self.dialer
    }

    /// Queues a connect for this worker.
    pub fn push(&mut self, job: LoadJob) {
        self.waiting.push_back(job);
    }

    /// The number of connects that are not started.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The number of connects in progress.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Cancels all connects; returns their workers.
    pub fn take_all(&mut self) -> Vec<LoadJob> {
        let pending = self.pending.drain().map(|(_, (_, _, job))| job);
        pending.chain(self.waiting.drain(..)).collect()
    }

    /// Starts the next connect; `None` if no worker waits.
    pub fn start_next(&mut self, registry: &Registry) -> Option<ConnectResult> {
        let job = self.waiting.pop_front()?;
        let server = self.dialer.server();
        let opened = self.dialer.dial().and_then(|stream| {
            let is_connected = is_connected(&stream)?;
            Ok((stream, is_connected))
        });
        Some(match opened {
            Ok((stream, true)) => ConnectResult::Connected { stream, job },
            Ok((mut stream, false)) => {
                self.number = self.number.wrapping_add(1);
                let token = Target::Socket(self.number).token();
                match registry.register(&mut stream, token, Interest::WRITABLE) {
                    Ok(()) => {
                        self.pending.insert(self.number, (stream, server, job));
                        ConnectResult::InProgress
                    }
                    Err(error) => ConnectResult::Failed(job, server, error),
                }
            }
            Err(error) => ConnectResult::Failed(job, server, error),
        })
    }

    /// Handles an event of the poll for an unfinished connect.
    pub fn on_event(&mut self, number: u32, registry: &Registry) -> ConnectResult {
        let Some((mut stream, server, job)) = self.pending.remove(&number) else {
            return ConnectResult::InProgress;
        };
        // The dispatcher registers an established connection again, under its key.
        let connected = is_connected(&stream).and_then(|is_connected| {
            if is_connected {
                registry.deregister(&mut stream)?;
            }
            Ok(is_connected)
        });
        match connected {
            Ok(true) => ConnectResult::Connected { stream, job },
            Ok(false) => {
                self.pending.insert(number, (stream, server, job));
                ConnectResult::InProgress
            }
            Err(error) => ConnectResult::Failed(job, server, error),
        }
    }
}
