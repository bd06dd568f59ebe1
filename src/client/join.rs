//! Gets one person into a room: password, then name, over datagrams that may be lost or doubled.
//!
//! ```text
//!   Password ── PASSWORD OK ──> Name ── USERNAME OK, or what only members hear ──> In
//!      │                         │
//!      ├─ PASSWORD INCORRECT     ├─ USERNAME TAKEN, PASSWORD INCORRECT, or no answer
//!      │  or no answer           v
//!      │                      Leaving: exit is sent, in case only the answers were lost
//!      v                         v
//!   another Outcome           another Outcome
//! ```

use super::RoomLimits;
use super::connection::Address;
use super::error::{ClientError, reason};
use crate::terminal::on_exit::OnExit;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

/// The room's own answers. Members never write these: what they say begins with a name and `: `.
const ANSWERS: [&str; 4] = [
    "PASSWORD OK",
    "PASSWORD INCORRECT",
    "USERNAME OK",
    "USERNAME TAKEN",
];

/// Whether a datagram is an answer to one who joins, which may come doubled and late.
pub fn is_answer(datagram: &[u8]) -> bool {
    ANSWERS
        .iter()
        .any(|answer| datagram.trim_ascii_end() == answer.as_bytes())
}

/// What opens the room, also for the second time.
#[derive(Debug, Clone)]
pub struct Login {
    /// The address, as the person wrote it.
    pub at: String,
    /// The name in the room.
    pub name: String,
    /// The password of the room.
    pub password: String,
}

/// How an attempt to get in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// We are a member.
    In,
    /// Another password is needed.
    WrongPassword,
    /// Another name is needed.
    NameTaken,
    /// The server does not answer.
    Silent,
}

/// What an attempt needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// This is to be sent.
    Send(String),
    /// An answer, or this time.
    Wait(Instant),
    /// Nothing more.
    Done(Outcome),
}

/// One attempt to get in, without its socket.
#[derive(Debug)]
pub struct Join {
    stage: Stage,
    /// How often the request of this stage was sent.
    tries: u32,
    /// When it is sent again.
    until: Instant,
    /// The name is taken, by another or by ourselves.
    taken: bool,
    login: Login,
    limits: RoomLimits,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Password,
    Name,
    Leaving(Outcome),
    Done(Outcome),
}

impl Join {
    /// An attempt that begins at this time.
    pub fn new(login: &Login, limits: &RoomLimits, start: Instant) -> Join {
        Join {
            stage: Stage::Password,
            tries: 0,
            until: start,
            taken: false,
            login: login.clone(),
            limits: *limits,
        }
    }

    /// Whether anything has been sent.
    pub fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::Password) || self.tries > 0
    }

    /// When there is something to do, whatever is heard.
    pub fn deadline(&self) -> Instant {
        self.until
    }

    /// What is to be done now.
    pub fn step(&mut self, now: Instant) -> Step {
        let request = match self.stage {
            Stage::Password => format!("PASSWORD {}", self.login.password),
            Stage::Name => format!("USERNAME {}", self.login.name),
            Stage::Leaving(outcome) => {
                self.stage = Stage::Done(outcome);
                return Step::Send("exit".to_owned());
            }
            Stage::Done(outcome) => return Step::Done(outcome),
        };
        if now < self.until {
            return Step::Wait(self.until);
        }
        if self.taken || self.tries == self.limits.tries {
            self.end(match self.taken {
                true => Outcome::NameTaken,
                false => Outcome::Silent,
            });
            return self.step(now);
        }
        self.tries += 1;
        self.until = now + self.limits.answer;
        Step::Send(request)
    }

    /// A datagram came. Answers whether it is one for members.
    ///
    /// The name may be taken by ourselves, when the answer to the first try was lost. Only members
    /// hear what goes on in the room, so that any other datagram means that we are in.
    pub fn hear(&mut self, datagram: &[u8], now: Instant) -> bool {
        match (self.stage, datagram.trim_ascii_end()) {
            (Stage::Password, b"PASSWORD OK") if self.tries > 0 => {
                self.stage = Stage::Name;
                self.tries = 0;
                self.until = now;
            }
            (Stage::Password, b"PASSWORD INCORRECT") if self.tries > 0 => {
                self.end(Outcome::WrongPassword);
            }
            // Behind the password, a late answer to it when it was sent twice.
            (Stage::Password, _) | (Stage::Name, b"PASSWORD OK") => {}
            (Stage::Name, b"USERNAME OK") => self.end(Outcome::In),
            (Stage::Name, b"USERNAME TAKEN") if self.tries == 1 => self.end(Outcome::NameTaken),
            (Stage::Name, b"USERNAME TAKEN") => self.taken = true,
            // The server has forgotten the password.
            (Stage::Name, b"PASSWORD INCORRECT") => self.end(Outcome::WrongPassword),
            (Stage::Name, _) => {
                self.end(Outcome::In);
                return true;
            }
            (Stage::Leaving(_) | Stage::Done(_), _) => {}
        }
        false
    }

    fn end(&mut self, outcome: Outcome) {
        self.stage = match self.stage {
            // All answers may have been lost but not the request: nobody is left behind in the
            // room under our name. To a stranger the word means nothing.
            Stage::Name if outcome != Outcome::In => Stage::Leaving(outcome),
            _ => Stage::Done(outcome),
        };
    }
}

/// A member's end of the room.
#[derive(Debug)]
pub struct Inside {
    /// Takes datagrams of this server alone.
    pub socket: UdpSocket,
    /// What the room said before we knew that we were in.
    pub heard: Option<Vec<u8>>,
    /// Leaves the room when a signal ends the process.
    pub on_exit: OnExit,
}

/// Tries to get in, at each of the addresses of the server until one does not refuse. Every
/// attempt has a socket of its own, so that a late answer to the last one is not taken for an
/// answer to this one.
pub fn enter(
    address: &Address,
    login: &Login,
    limits: &RoomLimits,
) -> Result<(Outcome, Inside), ClientError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for candidate in address.resolved() {
        match attempt(candidate, login, limits) {
            Ok((Outcome::Silent, _)) => {
                return Err(ClientError::failure(format!(
                    "cannot enter the room at {}: no answer to {} tries; is the address right? \
                     after too many wrong passwords the room is silent for a while",
                    address.text(),
                    limits.tries
                )));
            }
            Ok(ended) => return Ok(ended),
            Err(error) => last = error,
        }
    }
    Err(ClientError::failure(format!(
        "cannot enter the room at {}: {}; is the server running? start it with: loket serve",
        address.text(),
        reason(&last)
    )))
}

fn attempt(
    server: &SocketAddr,
    login: &Login,
    limits: &RoomLimits,
) -> io::Result<(Outcome, Inside)> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    // The server may let us in long before we learn of it.
    let leaving = socket.try_clone()?;
    let mut inside = Inside {
        socket,
        heard: None,
        on_exit: OnExit::new(move || {
            let _ = leaving.send(b"exit");
        }),
    };
    let mut join = Join::new(login, limits, Instant::now());
    let mut datagram = vec![0; limits.datagram];
    loop {
        match join.step(Instant::now()) {
            Step::Send(request) => drop(inside.socket.send(request.as_bytes())?),
            Step::Done(outcome) => return Ok((outcome, inside)),
            Step::Wait(until) => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    continue;
                }
                inside.socket.set_read_timeout(Some(left))?;
                match inside.socket.recv(&mut datagram) {
                    Ok(length) if join.hear(&datagram[..length], Instant::now()) => {
                        inside.heard = Some(datagram[..length].to_vec());
                    }
                    Ok(_) => {}
                    Err(error) if is_pause(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

/// Nothing came for a while.
pub fn is_pause(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock];
    kinds.contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientLimits;
    use std::thread;

    /// A room that answers each request in turn with these datagrams, and what it was asked.
    fn enter_against(script: &'static [&'static [&'static str]]) -> (Outcome, Inside, Vec<String>) {
        let room = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = Address::read(&room.local_addr().unwrap().to_string()).unwrap();
        let server = thread::spawn(move || {
            let mut asked = Vec::new();
            for answers in script {
                let mut datagram = [0; 64];
                let (length, peer) = room.recv_from(&mut datagram).unwrap();
                asked.push(String::from_utf8_lossy(&datagram[..length]).into_owned());
                for answer in *answers {
                    room.send_to(answer.as_bytes(), peer).unwrap();
                }
            }
            asked
        });
        let limits = ClientLimits::short().room;
        let login = Login {
            at: address.text().to_owned(),
            name: "ani".to_owned(),
            password: "pw".to_owned(),
        };
        let (outcome, inside) = enter(&address, &login, &limits).unwrap();
        (outcome, inside, server.join().unwrap())
    }

    #[test]
    fn a_late_second_answer_to_the_password_is_no_answer_to_the_name() {
        let (outcome, _, asked) = enter_against(&[
            &[],
            &["PASSWORD OK", "PASSWORD OK"],
            &["PASSWORD OK", "USERNAME OK"],
        ]);
        assert_eq!(outcome, Outcome::In);
        assert_eq!(asked, ["PASSWORD pw", "PASSWORD pw", "USERNAME ani"]);
    }

    #[test]
    fn a_name_that_is_taken_by_ourselves_is_ours() {
        let (outcome, inside, _) = enter_against(&[
            &["PASSWORD OK"],
            &[],
            &["USERNAME TAKEN", "ani bergabung ke chatroom."],
        ]);
        let heard = inside.heard.unwrap();
        assert_eq!(
            (outcome, &heard[..]),
            (Outcome::In, &b"ani bergabung ke chatroom."[..])
        );
    }

    #[test]
    fn a_name_taken_by_another_is_told_and_nobody_is_left_behind() {
        let (outcome, _, _) = enter_against(&[&["PASSWORD OK"], &["USERNAME TAKEN"]]);
        assert_eq!(outcome, Outcome::NameTaken);
        let (outcome, _, asked) = enter_against(&[&["PASSWORD OK"], &[], &["USERNAME TAKEN"], &[]]);
        assert_eq!(outcome, Outcome::NameTaken);
        assert_eq!(asked[3], "exit");
    }

    #[test]
    fn a_server_that_forgot_the_password_wants_it_again() {
        let (outcome, _, _) = enter_against(&[&["PASSWORD OK"], &["PASSWORD INCORRECT"]]);
        assert_eq!(outcome, Outcome::WrongPassword);
    }

    #[test]
    fn answers_are_told_from_what_members_say() {
        assert!(is_answer(b"USERNAME OK\n"));
        assert!(!is_answer(b"ani: USERNAME OK"));
    }
}
