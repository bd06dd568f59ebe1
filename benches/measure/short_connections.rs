//! Load generator: connect, one exchange, close; a fixed number of connections per run.
//! The number per run stays below the number of ports, so that TIME_WAIT does not delay it.

use super::Limit;
use super::dialect::{Exchange, PerDialect};
use super::poller::Poller;
use super::server::{Meter, Server};
use super::table::{Sample, Table};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::{Shutdown, TcpStream};

const BUFFER: usize = 16 * 1024;

/// The side that closes first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ClosesFirst {
    Client,
    Server,
    /// The server, after its answer: the client shuts down its write side with the request.
    ServerAtEof,
}

/// The parameters of one run.
pub struct Shape<'a> {
    pub at_once: usize,
    pub connections: usize,
    pub exchange: PerDialect<'a, (Exchange, ClosesFirst)>,
}

impl Shape<'_> {
    pub fn table(&self, what: &str, unit: &'static str, cpu_unit: &'static str) -> Table {
        Table::new(
            format!(
                "{what}, {} at a time, {} connections per run",
                self.at_once, self.connections
            ),
            (unit, 0),
            cpu_unit,
        )
    }
}

struct Connection {
    stream: TcpStream,
    got: Vec<u8>,
    answered: bool,
}

pub fn run(server: &Server, shape: &Shape) -> Result<Sample, String> {
    let exchange = (shape.exchange)(server.dialect)?;
    round(server, &exchange, shape.at_once, shape.at_once * 4)?;
    let meter = Meter::start(server)?;
    round(server, &exchange, shape.at_once, shape.connections)?;
    meter.stop_micros(shape.connections as f64)
}

fn round(
    server: &Server,
    exchange: &(Exchange, ClosesFirst),
    at_once: usize,
    connections: usize,
) -> Result<(), String> {
    let limit = Limit::new();
    let mut poller = Poller::new()?;
    let mut buffer = vec![0; BUFFER];
    let mut open: Vec<Option<Connection>> = Vec::new();
    let mut left = connections;
    for slot in 0..at_once.min(connections) {
        open.push(Some(start(server, exchange, &poller, slot)?));
        left -= 1;
    }
    let mut active = open.len();
    while active > 0 {
        limit.check()?;
        poller.wait()?;
        for index in 0..poller.events() {
            let slot = poller.slot(index);
            let Some(connection) = &mut open[slot] else {
                continue;
            };
            if !is_over(connection, exchange, &mut buffer)? {
                continue;
            }
            // Close this connection before the next one is opened.
            open[slot] = None;
            if left > 0 {
                left -= 1;
                open[slot] = Some(start(server, exchange, &poller, slot)?);
            } else {
                active -= 1;
            }
        }
    }
    Ok(())
}

fn start(
    server: &Server,
    (exchange, closes_first): &(Exchange, ClosesFirst),
    poller: &Poller,
    slot: usize,
) -> Result<Connection, String> {
    let stream = TcpStream::connect(server.at)
        .map_err(|e| format!("cannot connect to {}: {e}", server.at))?;
    let request = &exchange.request;
    match send(&stream, request, SendFlags::NOSIGNAL) {
        Ok(sent) if sent == request.len() => {}
        other => return Err(format!("cannot send a whole request: {other:?}")),
    }
    if *closes_first == ClosesFirst::ServerAtEof {
        let ended = stream.shutdown(Shutdown::Write);
        ended.map_err(|e| format!("cannot shut down the write side: {e}"))?;
    }
    poller.watch(&stream, slot, EventFlags::IN)?;
    Ok(Connection {
        stream,
        got: Vec::new(),
        answered: false,
    })
}

fn is_over(
    connection: &mut Connection,
    (exchange, closes_first): &(Exchange, ClosesFirst),
    buffer: &mut [u8],
) -> Result<bool, String> {
    let got = match recv(&connection.stream, &mut *buffer, RecvFlags::DONTWAIT) {
        Ok((0, _)) if connection.answered => return Ok(true),
        Ok((0, _)) => return Err("the server closed a connection before its answer".to_string()),
        Ok((got, _)) => got,
        Err(Errno::AGAIN) => return Ok(false),
        Err(e) => return Err(format!("cannot read an answer: {e}")),
    };
    connection.got.extend_from_slice(&buffer[..got]);
    connection.answered = exchange.is_whole(&exchange.request, &connection.got)?;
    Ok(connection.answered && *closes_first == ClosesFirst::Client)
}
