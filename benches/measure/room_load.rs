//! The room load: one of 1,000 members speaks as fast as the others hear, for some seconds.
//! Every copy is looked at: a lost, doubled or changed one is an error.
//!
//! The members are asked in turn and never sleep: the server pays for copies and wakes nobody.

use super::Limit;
use super::contender::ROOM_PASSWORD;
use super::server::{Meter, Server};
use super::table::{Sample, Table};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

pub const MEMBERS: usize = 1_000;
pub const SIZE: usize = 64;

/// Copies of joins that a member's socket surely holds before it is emptied.
const UNHEARD: usize = 64;
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages under way at once: the server always has the next, and no socket overflows.
const AHEAD: u64 = 4;
const WARM_UP: Duration = Duration::from_millis(300);

pub fn table(seconds: f64) -> Table {
    Table::new(
        format!("room: {SIZE}-byte messages of one of {MEMBERS} members, {seconds} s a run"),
        ("copies/s", 0),
        "us CPU/copy",
    )
}

pub struct Crowd {
    sockets: Vec<UdpSocket>,
    /// Messages that each has heard.
    heard: Vec<u64>,
    said: u64,
    copies: u64,
}

impl Crowd {
    pub fn join(room: SocketAddr) -> Result<Crowd, String> {
        let limit = Limit::new();
        let tried = |e: std::io::Error| format!("cannot join the room at {room}: {e}");
        let mut sockets = Vec::with_capacity(MEMBERS);
        for number in 0..MEMBERS {
            limit.check()?;
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(tried)?;
            socket.connect(room).map_err(tried)?;
            socket.set_read_timeout(Some(PATIENCE)).map_err(tried)?;
            ask(&socket, &format!("PASSWORD {ROOM_PASSWORD}"), "PASSWORD OK")?;
            ask(&socket, &format!("USERNAME m{number}"), "USERNAME OK")?;
            sockets.push(socket);
            if number % UNHEARD == 0 || number + 1 == MEMBERS {
                // Answered behind all that was sent before.
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
        Ok(Crowd {
            heard: vec![0; sockets.len()],
            sockets,
            said: 0,
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

    /// Speaks for this long, then until everything said was heard by all.
    fn phase(&mut self, time: Duration) -> Result<(), String> {
        let limit = Limit::new();
        let until = Instant::now() + time;
        loop {
            limit.check()?;
            let more = Instant::now() < until;
            let under_way = self.said - self.copies / MEMBERS as u64;
            if !more && under_way == 0 {
                return Ok(());
            }
            for _ in under_way..if more { AHEAD } else { 0 } {
                self.speak()?;
            }
            for member in 0..MEMBERS {
                self.listen(member)?;
            }
        }
    }

    /// The first member says the next message.
    fn speak(&mut self) -> Result<(), String> {
        self.said += 1;
        match self.sockets[0].send(&message(self.said)) {
            Ok(SIZE) => Ok(()),
            other => Err(format!("a message was not taken: {other:?}")),
        }
    }

    /// Takes what one member has got.
    fn listen(&mut self, member: usize) -> Result<(), String> {
        let mut buffer = [0; SIZE + 1];
        loop {
            match self.sockets[member].recv(&mut buffer) {
                Ok(length) => {
                    self.heard[member] += 1;
                    self.copies += 1;
                    if buffer[..length] != message(self.heard[member]) {
                        let said = String::from_utf8_lossy(&buffer[..length]);
                        let number = self.heard[member];
                        return Err(format!("member {member} hears {said:?} as its {number}."));
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(format!("member {member} cannot read: {e}")),
            }
        }
    }
}

/// 64 bytes under the speaker's own name, so that they are relayed unchanged.
fn message(number: u64) -> [u8; SIZE] {
    let mut message = [b'.'; SIZE];
    message[..4].copy_from_slice(b"m0: ");
    let mut rest = number;
    for place in (4..24).rev() {
        message[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    message
}

/// Joins of others may come before the answer.
fn ask(socket: &UdpSocket, question: &str, answer: &str) -> Result<(), String> {
    let tried = |e: std::io::Error| format!("no answer to {question:?}: {e}");
    socket.send(question.as_bytes()).map_err(tried)?;
    let mut buffer = [0; 1024];
    loop {
        let length = socket.recv(&mut buffer).map_err(tried)?;
        match &buffer[..length] {
            said if said == answer.as_bytes() => return Ok(()),
            said if said.ends_with(b"chatroom.") => {}
            said => {
                let said = String::from_utf8_lossy(said);
                return Err(format!("{said:?} is no answer to {question:?}"));
            }
        }
    }
}
