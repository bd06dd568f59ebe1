//! Keeps the lanes that wait for a connection, and the connections that do not stand yet.

use super::dialer::{Dialer, stands};
use super::requests::Call;
use crate::reactor::token::Target;
use mio::net::TcpStream;
use mio::{Interest, Registry};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;

/// What came of a call.
pub enum Called {
    /// The connection stands.
    Stands {
        /// The connection.
        stream: TcpStream,
        /// Who wanted it.
        call: Call,
    },
    /// There will be none to this address.
    Failed(Call, SocketAddr, io::Error),
    /// The poll will tell.
    Later,
}

/// All calls.
pub struct Calls {
    dialer: Dialer,
    waiting: VecDeque<Call>,
    pending: HashMap<u32, (TcpStream, SocketAddr, Call)>,
    number: u32,
}

impl Calls {
    /// No calls yet.
    pub fn new(dialer: Dialer) -> Calls {
        Calls {
            dialer,
            waiting: VecDeque::new(),
            pending: HashMap::new(),
            number: 0,
        }
    }

    /// The way to the server.
    pub fn dialer(&mut self) -> &mut Dialer {
        &mut self.dialer
    }

    /// One more call.
    pub fn push(&mut self, call: Call) {
        self.waiting.push_back(call);
    }

    /// Calls that were not begun.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Calls that were begun and not answered.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Gives all calls up.
    pub fn give_up(&mut self) -> Vec<Call> {
        let pending = self.pending.drain().map(|(_, (_, _, call))| call);
        pending.chain(self.waiting.drain(..)).collect()
    }

    /// Begins the next call.
    pub fn begin(&mut self, registry: &Registry) -> Option<Called> {
        let call = self.waiting.pop_front()?;
        let server = self.dialer.server();
        let dialled = self.dialer.dial().and_then(|stream| {
            let stands = stands(&stream)?;
            Ok((stream, stands))
        });
        Some(match dialled {
            Ok((stream, true)) => Called::Stands { stream, call },
            Ok((mut stream, false)) => {
                self.number = self.number.wrapping_add(1);
                let token = Target::Socket(self.number).token();
                match registry.register(&mut stream, token, Interest::WRITABLE) {
                    Ok(()) => {
                        self.pending.insert(self.number, (stream, server, call));
                        Called::Later
                    }
                    Err(error) => Called::Failed(call, server, error),
                }
            }
            Err(error) => Called::Failed(call, server, error),
        })
    }

    /// The poll has told something of a call.
    pub fn told(&mut self, number: u32, registry: &Registry) -> Called {
        let Some((mut stream, server, call)) = self.pending.remove(&number) else {
            return Called::Later;
        };
        // A connection that stands is registered anew, under its key.
        let stood = stands(&stream).and_then(|stands| {
            if stands {
                registry.deregister(&mut stream)?;
            }
            Ok(stands)
        });
        match stood {
            Ok(true) => Called::Stands { stream, call },
            Ok(false) => {
                self.pending.insert(number, (stream, server, call));
                Called::Later
            }
            Err(error) => Called::Failed(call, server, error),
        }
    }
}
