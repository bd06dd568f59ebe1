//! Gets one person into a room before a conversation begins, and waits for it.

use super::RoomLimits;
use super::connection::Address;
use super::error::{ClientError, is_pause, reason};
use super::membership::{Fault, Login, Membership, Step};
use crate::terminal::on_exit::OnExit;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

/// A member's end of the room.
#[derive(Debug)]
pub struct Inside {
    /// Takes datagrams of this server alone, and never waits.
    pub socket: UdpSocket,
    /// Where we are in the room.
    pub membership: Membership,
    /// The datagram that let us in.
    pub heard: Vec<u8>,
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
) -> Result<Result<Inside, Fault>, ClientError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for candidate in address.resolved() {
        match attempt(candidate, login, limits) {
            Ok(Err(Fault::Silent)) => {
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
) -> io::Result<Result<Inside, Fault>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    // The server may let us in long before we learn of it.
    let leaving = socket.try_clone()?;
    let on_exit = OnExit::new(move || {
        let _ = leaving.send(b"exit");
    });
    let mut membership = Membership::new(login.clone(), limits, Instant::now());
    let mut heard = Vec::new();
    loop {
        let now = Instant::now();
        let step = match membership.step(now) {
            Step::Wait => match receive(&socket, membership.deadline(), limits)? {
                Some(datagram) => {
                    heard = datagram;
                    membership.hear(&heard, Instant::now())
                }
                None => Step::Wait,
            },
            step => step,
        };
        match step {
            Step::Wait => {}
            Step::Send(request) => drop(socket.send(request.as_bytes())?),
            Step::In => {
                socket.set_nonblocking(true)?;
                return Ok(Ok(Inside {
                    socket,
                    membership,
                    heard,
                    on_exit,
                }));
            }
            Step::Out { fault, exit } => {
                if exit {
                    socket.send(b"exit")?;
                }
                return Ok(Err(fault));
            }
        }
    }
}

/// A datagram, or none at the deadline.
fn receive(
    socket: &UdpSocket,
    deadline: Option<Instant>,
    limits: &RoomLimits,
) -> io::Result<Option<Vec<u8>>> {
    let left = deadline.map(|due| due.saturating_duration_since(Instant::now()));
    if left.is_some_and(|left| left.is_zero()) {
        return Ok(None);
    }
    socket.set_read_timeout(left)?;
    let mut datagram = vec![0; limits.datagram];
    match socket.recv(&mut datagram) {
        Ok(length) => {
            datagram.truncate(length);
            Ok(Some(datagram))
        }
        Err(error) if is_pause(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientLimits;
    use std::thread;

    /// A room that answers each request in turn with these datagrams, and what it was asked.
    fn enter_against(
        script: &'static [&'static [&'static str]],
    ) -> (Result<Inside, Fault>, Vec<String>) {
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
        let entry = enter(&address, &login, &limits).unwrap();
        (entry, server.join().unwrap())
    }

    #[test]
    fn a_late_second_answer_to_the_password_is_no_answer_to_the_name() {
        let (entry, asked) = enter_against(&[
            &[],
            &["PASSWORD OK", "PASSWORD OK"],
            &["PASSWORD OK", "USERNAME OK"],
        ]);
        assert!(entry.is_ok(), "{entry:?}");
        assert_eq!(asked, ["PASSWORD pw", "PASSWORD pw", "USERNAME ani"]);
    }

    #[test]
    fn a_name_that_is_taken_by_ourselves_is_ours() {
        let (entry, _) = enter_against(&[
            &["PASSWORD OK"],
            &[],
            &["USERNAME TAKEN", "ani bergabung ke chatroom."],
        ]);
        assert_eq!(entry.unwrap().heard, b"ani bergabung ke chatroom.");
    }

    #[test]
    fn a_name_taken_by_another_is_told_and_nobody_is_left_behind() {
        let (entry, _) = enter_against(&[&["PASSWORD OK"], &["USERNAME TAKEN"]]);
        assert_eq!(entry.unwrap_err(), Fault::NameTaken);
        let (entry, asked) = enter_against(&[&["PASSWORD OK"], &[], &["USERNAME TAKEN"], &[]]);
        assert_eq!(entry.unwrap_err(), Fault::NameTaken);
        assert_eq!(asked[3], "exit");
    }

    #[test]
    fn a_server_that_forgot_the_password_wants_it_again() {
        let (entry, _) = enter_against(&[&["PASSWORD OK"], &["PASSWORD INCORRECT"]]);
        assert_eq!(entry.unwrap_err(), Fault::WrongPassword);
    }
}
