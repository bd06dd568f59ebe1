//! Load generator for the room: one of 1,000 members sends as fast as the others receive.
//! It checks every copy: a lost, duplicate or changed copy is an error.
//!
//! One thread polls all members and never sleeps, so the server does not pay for wakeups.

use super::Limit;
use super::contender::ROOM_PASSWORD;
use super::server::{Meter, Server};
use super::table::{Sample, Table};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

pub const MEMBERS: usize = 1_000;
pub const SIZE: usize = 64;

/// Any socket buffer holds the messages about this many joins.
const JOIN_BATCH: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Messages in flight: the server always has work, and no socket buffer overflows.
const IN_FLIGHT: u64 = 4;
const WARM_UP: Duration = Duration::from_millis(300);

pub fn table(seconds: f64) -> Table {
    Table::new(
        format!("room: {SIZE}-byte messages of one of {MEMBERS} members, {seconds} s per run"),
        ("copies/s", 0),
        "us CPU/copy",
    )
}

pub struct RoomLoad {
    sockets: Vec<UdpSocket>,
    /// Messages received by each member.
    received: Vec<u64>,
    sent: u64,
    copies: u64,
}

impl RoomLoad {
    pub fn join(room: SocketAddr) -> Result<RoomLoad, String> {
        let limit = Limit::new();
        let tried = |e: std::io::Error| format!("cannot join the room at {room}: {e}");
        let mut sockets = Vec::with_capacity(MEMBERS);
        for number in 0..MEMBERS {
            limit.check()?;
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(tried)?;
            socket.connect(room).map_err(tried)?;
            socket.set_read_timeout(Some(TIMEOUT)).map_err(tried)?;
            ask(&socket, &format!("PASSWORD {ROOM_PASSWORD}"), "PASSWORD OK")?;
            ask(&socket, &format!("USERNAME m{number}"), "USERNAME OK")?;
            sockets.push(socket);
            if number % JOIN_BATCH == 0 || number + 1 == MEMBERS {
                // The answer arrives after all messages that were sent before.
                ask(&sockets[number], "PASSWORD again", "PASSWORD OK")?;
                for socket in &sockets {
                    socket.set_nonblocking(true).map_err(tried)?;
                    while socket.recv(&mut [0; 1024]).is_ok() {}
                    socket.set_nonblocking(false).map_err(tried)?;
                }
            }
        }
        for socket in &sockets {
            socket.set_nonblocking(true).map_err(tried)?;
        }
        Ok(RoomLoad {
            received: vec![0; sockets.len()],
            sockets,
            sent: 0,
            copies: 0,
        })
    }

    pub fn run(&mut self, server: &Server, seconds: f64) -> Result<Sample, String> {
        self.phase(WARM_UP)?;
        let meter = Meter::start(server)?;
        let before = self.copies;
        self.phase(Duration::from_secs_f64(seconds))?;
        meter.stop_micros((self.copies - before) as f64)
    }

    /// Sends for this long, then waits until all members have received all messages.
    fn phase(&mut self, time: Duration) -> Result<(), String> {
        let limit = Limit::new();
        let until = Instant::now() + time;
        loop {
            limit.check()?;
            let more = Instant::now() < until;
            let in_flight = self.sent - self.copies / MEMBERS as u64;
            if !more && in_flight == 0 {
                return Ok(());
            }
            for _ in in_flight..if more { IN_FLIGHT } else { 0 } {
                self.send_next()?;
            }
            for member in 0..MEMBERS {
                self.receive(member)?;
            }
        }
    }

    /// The first member sends the next message.
    fn send_next(&mut self) -> Result<(), String> {
        self.sent += 1;
        match self.sockets[0].send(&message(self.sent)) {
            Ok(SIZE) => Ok(()),
            other => Err(format!("cannot send a message: {other:?}")),
        }
    }

    /// Receives and checks the pending messages of one member.
    fn receive(&mut self, member: usize) -> Result<(), String> {
        let mut buffer = [0; SIZE + 1];
        loop {
            match self.sockets[member].recv(&mut buffer) {
                Ok(length) => {
                    self.received[member] += 1;
                    self.copies += 1;
                    if buffer[..length] != message(self.received[member]) {
                        let text = String::from_utf8_lossy(&buffer[..length]);
                        let number = self.received[member];
                        return Err(format!(
                            "member {member} received {text:?} as message {number}"
                        ));
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(format!("member {member} cannot receive: {e}")),
            }
        }
    }
}

/// 64 bytes that start with the sender's name, so that the server relays them unchanged.
fn message(number: u64) -> [u8; SIZE] {
    let mut message = [b'.'; SIZE];
    message[..4].copy_from_slice(b"m0: ");
    let mut rest = number;
    for digit in (4..24).rev() {
        message[digit] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    message
}

/// Sends a request and waits for its answer; messages about joins may arrive before it.
fn ask(socket: &UdpSocket, request: &str, answer: &str) -> Result<(), String> {
    let tried = |e: std::io::Error| format!("no answer to {request:?}: {e}");
    socket.send(request.as_bytes()).map_err(tried)?;
    let mut buffer = [0; 1024];
    loop {
        let length = socket.recv(&mut buffer).map_err(tried)?;
        match &buffer[..length] {
            got if got == answer.as_bytes() => return Ok(()),
            got if got.ends_with(b"chatroom.") => {}
            got => {
                let text = String::from_utf8_lossy(got);
                return Err(format!("the answer to {request:?} was {text:?}"));
            }
        }
    }
}
