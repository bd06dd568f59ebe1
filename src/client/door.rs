//! Gets one person into a room: password, then name, over datagrams that may be lost or doubled.
//! Asks the person nothing, and carries no conversation: `room.rs` does both.

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

/// Whether a datagram is an answer at the door, which may come doubled and late.
pub fn is_answer(datagram: &[u8]) -> bool {
    ANSWERS
        .iter()
        .any(|answer| datagram.trim_ascii_end() == answer.as_bytes())
}

/// How an attempt to get in ended.
#[derive(Debug)]
pub enum Entry {
    /// We are a member.
    In(Inside),
    /// Another password is needed.
    WrongPassword,
    /// Another name is needed.
    NameTaken,
}

/// A member's end of the room.
#[derive(Debug)]
pub struct Inside {
    /// Takes datagrams of this server alone.
    pub socket: UdpSocket,
    /// What the room said before we knew that we were in.
    pub heard: Vec<Vec<u8>>,
    /// Leaves the room when a signal ends the process.
    pub farewell: OnExit,
}

/// Tries to get in, at each of the addresses of the server until one does not refuse. Every
/// attempt has a socket of its own, so that a late answer to the last one is not taken for an
/// answer to this one.
pub fn enter(
    address: &Address,
    password: &str,
    name: &str,
    limits: &RoomLimits,
) -> Result<Entry, ClientError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for candidate in address.resolved() {
        let attempt = open(candidate).and_then(|socket| knock(socket, password, name, limits));
        match attempt {
            Ok(Some(entry)) => return Ok(entry),
            Ok(None) => {
                return Err(ClientError::failure(format!(
                    "cannot enter the room at {}: no answer to {} tries; is the address right? \
                     after too many wrong passwords the room is silent for a while",
                    address.text(),
                    limits.tries
                )));
            }
            Err(error) => last = error,
        }
    }
    Err(ClientError::failure(format!(
        "cannot enter the room at {}: {}; is the server running? start it with: loket serve",
        address.text(),
        reason(&last)
    )))
}

/// Tries to get in over a socket that is connected to the server. None means that the server does
/// not answer. A member may do so, too: its address stays the same, and so does its place.
pub fn knock(
    socket: UdpSocket,
    password: &str,
    name: &str,
    limits: &RoomLimits,
) -> io::Result<Option<Entry>> {
    let door = Door {
        socket,
        heard: Vec::new(),
        limits: *limits,
    };
    door.try_in(password, name)
}

fn open(server: &SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket)
}

/// What the answers to a name come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    In,
    Taken,
    Stranger,
}

struct Door {
    socket: UdpSocket,
    heard: Vec<Vec<u8>>,
    limits: RoomLimits,
}

impl Door {
    fn try_in(mut self, password: &str, name: &str) -> io::Result<Option<Entry>> {
        match self.say_password(password)? {
            Some(true) => {}
            Some(false) => return Ok(Some(Entry::WrongPassword)),
            None => return Ok(None),
        }
        // Before the name is sent: the server may let us in long before we learn of it.
        let socket = self.socket.try_clone()?;
        let farewell = OnExit::new(move || {
            let _ = socket.send(b"exit");
        });
        let verdict = self.say_name(name)?;
        if verdict == Some(Verdict::In) {
            return Ok(Some(Entry::In(Inside {
                socket: self.socket,
                heard: self.heard,
                farewell,
            })));
        }
        // All answers may have been lost but not the request: nobody is left behind in the room
        // under our name. To a stranger the word means nothing.
        self.socket.send(b"exit")?;
        Ok(verdict.map(|verdict| match verdict {
            Verdict::Taken => Entry::NameTaken,
            Verdict::In | Verdict::Stranger => Entry::WrongPassword,
        }))
    }

    fn say_password(&mut self, password: &str) -> io::Result<Option<bool>> {
        let request = format!("PASSWORD {password}");
        for _ in 0..self.limits.tries {
            self.socket.send(request.as_bytes())?;
            let deadline = Instant::now() + self.limits.answer;
            while let Some(datagram) = self.receive(deadline)? {
                match datagram.trim_ascii_end() {
                    b"PASSWORD OK" => return Ok(Some(true)),
                    b"PASSWORD INCORRECT" => return Ok(Some(false)),
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// The name may be taken by ourselves, when the answer to the first try was lost. Only
    /// members hear what goes on in the room, so that any other datagram means that we are in.
    fn say_name(&mut self, name: &str) -> io::Result<Option<Verdict>> {
        let request = format!("USERNAME {name}");
        for tried in 0..self.limits.tries {
            self.socket.send(request.as_bytes())?;
            let deadline = Instant::now() + self.limits.answer;
            let mut taken = false;
            while let Some(datagram) = self.receive(deadline)? {
                match datagram.trim_ascii_end() {
                    b"USERNAME OK" => return Ok(Some(Verdict::In)),
                    b"USERNAME TAKEN" if tried == 0 => return Ok(Some(Verdict::Taken)),
                    b"USERNAME TAKEN" => taken = true,
                    b"PASSWORD INCORRECT" => return Ok(Some(Verdict::Stranger)),
                    // A late answer to the password when it was sent twice.
                    b"PASSWORD OK" => {}
                    _ => {
                        self.heard.push(datagram);
                        return Ok(Some(Verdict::In));
                    }
                }
            }
            if taken {
                return Ok(Some(Verdict::Taken));
            }
        }
        Ok(None)
    }

    /// The next datagram, or none when the deadline has passed.
    fn receive(&self, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
        let mut datagram = vec![0; self.limits.datagram];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.recv(&mut datagram) {
                Ok(length) => {
                    datagram.truncate(length);
                    return Ok(Some(datagram));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientLimits;
    use std::thread;

    /// A room that answers each request in turn with these datagrams, and what it was asked.
    fn enter_against(script: &'static [&'static [&'static str]]) -> (Entry, Vec<String>) {
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
        let entry = enter(&address, "pw", "ani", &limits).unwrap();
        (entry, server.join().unwrap())
    }

    #[test]
    fn a_late_second_answer_to_the_password_is_no_answer_to_the_name() {
        let (entry, asked) = enter_against(&[
            &[],
            &["PASSWORD OK", "PASSWORD OK"],
            &["PASSWORD OK", "USERNAME OK"],
        ]);
        assert!(matches!(entry, Entry::In(_)), "{entry:?}");
        assert_eq!(asked, ["PASSWORD pw", "PASSWORD pw", "USERNAME ani"]);
    }

    #[test]
    fn a_name_that_is_taken_by_ourselves_is_ours() {
        let (entry, _) = enter_against(&[
            &["PASSWORD OK"],
            &[],
            &["USERNAME TAKEN", "ani bergabung ke chatroom."],
        ]);
        let Entry::In(inside) = entry else {
            panic!("{entry:?}");
        };
        assert_eq!(inside.heard, [b"ani bergabung ke chatroom."]);
    }

    #[test]
    fn a_name_taken_by_another_is_told_and_nobody_is_left_behind() {
        let (entry, _) = enter_against(&[&["PASSWORD OK"], &["USERNAME TAKEN"]]);
        assert!(matches!(entry, Entry::NameTaken), "{entry:?}");
        let (entry, asked) = enter_against(&[&["PASSWORD OK"], &[], &["USERNAME TAKEN"], &[]]);
        assert!(matches!(entry, Entry::NameTaken), "{entry:?}");
        assert_eq!(asked[3], "exit");
    }

    #[test]
    fn a_server_that_forgot_the_password_wants_it_again() {
        let (entry, _) = enter_against(&[&["PASSWORD OK"], &["PASSWORD INCORRECT"]]);
        assert!(matches!(entry, Entry::WrongPassword), "{entry:?}");
    }

    #[test]
    fn answers_are_told_from_what_members_say() {
        assert!(is_answer(b"USERNAME OK\n"));
        assert!(!is_answer(b"ani: USERNAME OK"));
    }
}
