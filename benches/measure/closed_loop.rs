//! Load generator: small exchanges on persistent connections, one in flight on each.

use super::dialect::{Exchange, PerDialect};
use super::poller::{Poller, connect};
use super::server::{Meter, Server};
use super::table::{Sample, Table};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const WARM_UP: Duration = Duration::from_millis(300);
const BUFFER: usize = 64 * 1024;
/// Any socket buffer has room for this many bytes.
const SMALL: usize = 16 * 1024;

/// The parameters of one run.
pub struct Shape<'a> {
    pub connections: usize,
    pub exchange: PerDialect<'a, Exchange>,
    pub seconds: f64,
}

impl Shape<'_> {
    pub fn table(&self, what: &str) -> Table {
        Table::new(
            format!(
                "{what}, {} connections, {} s per run",
                self.connections, self.seconds
            ),
            ("messages/s", 0),
            "us CPU/message",
        )
    }
}

struct Peer {
    stream: TcpStream,
    request: Vec<u8>,
    sent: usize,
    got: Vec<u8>,
}

pub fn run(server: &Server, shape: &Shape) -> Result<Sample, String> {
    let exchange = (shape.exchange)(server.dialect)?;
    let mut poller = Poller::new()?;
    let mut peers = Vec::new();
    // Edge-triggered: either the whole answer is read, or its rest causes another event.
    let mut flags = EventFlags::IN | EventFlags::ET;
    if exchange.request.len() > SMALL {
        flags |= EventFlags::OUT;
    }
    for slot in 0..shape.connections {
        let stream = connect(server.at)?;
        poller.watch(&stream, slot, flags)?;
        peers.push(Peer {
            stream,
            request: exchange.request.clone(),
            sent: 0,
            got: Vec::new(),
        });
    }
    phase(&mut poller, &mut peers, &exchange, WARM_UP)?;
    let meter = Meter::start(server)?;
    let time = Duration::from_secs_f64(shape.seconds);
    let count = phase(&mut poller, &mut peers, &exchange, time)?;
    meter.stop_micros((count * exchange.messages) as f64)
}

/// Keeps every connection active for this long, then waits for the exchanges in flight.
fn phase(
    poller: &mut Poller,
    peers: &mut [Peer],
    exchange: &Exchange,
    time: Duration,
) -> Result<u64, String> {
    let until = Instant::now() + time;
    let mut buffer = vec![0; BUFFER];
    let mut count = 0;
    let mut active = peers.len();
    for peer in peers.iter_mut() {
        send_request(peer, exchange, 0)?;
    }
    while active > 0 {
        poller.wait()?;
        let more = Instant::now() < until;
        for index in 0..poller.events() {
            let peer = &mut peers[poller.slot(index)];
            flush(peer)?;
            if !receive(peer, exchange, &mut buffer)? {
                continue;
            }
            count += 1;
            if more {
                send_request(peer, exchange, count)?;
            } else {
                active -= 1;
            }
        }
    }
    Ok(count)
}

fn send_request(peer: &mut Peer, exchange: &Exchange, serial: u64) -> Result<(), String> {
    if exchange.stamped {
        peer.request[..8].copy_from_slice(&serial.to_le_bytes());
    }
    peer.sent = 0;
    flush(peer)
}

/// Sends as much of the request as the socket accepts.
fn flush(peer: &mut Peer) -> Result<(), String> {
    while peer.sent < peer.request.len() {
        match send(
            &peer.stream,
            &peer.request[peer.sent..],
            SendFlags::NOSIGNAL,
        ) {
            Ok(sent) => peer.sent += sent,
            Err(Errno::AGAIN) => return Ok(()),
            Err(e) => return Err(format!("cannot send a request: {e}")),
        }
    }
    Ok(())
}

/// Whether the whole answer has been received; a wrong answer is an error.
fn receive(peer: &mut Peer, exchange: &Exchange, buffer: &mut [u8]) -> Result<bool, String> {
    loop {
        let got = match recv(&peer.stream, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Err("the server closed a persistent connection".to_string()),
            Ok((got, _)) => got,
            Err(Errno::AGAIN) => return Ok(false),
            Err(e) => return Err(format!("cannot read an answer: {e}")),
        };
        // A short answer arrives in one read and is not copied.
        if peer.got.is_empty() && exchange.is_whole(&peer.request, &buffer[..got])? {
            return Ok(true);
        }
        peer.got.extend_from_slice(&buffer[..got]);
        if exchange.is_whole(&peer.request, &peer.got)? {
            peer.got.clear();
            return Ok(true);
        }
        if got < buffer.len() {
            return Ok(false);
        }
    }
}
