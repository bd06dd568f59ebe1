//! Joins a room, blocking until the room admits the client or the attempt fails.

use super::RoomClientLimits;
use super::connection::Address;
use super::error::{ClientError, reason, would_block};
use super::membership::{Action, Login, Membership, RoomError};
use crate::terminal::on_exit::OnExit;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

/// A room that the client has joined.
#[derive(Debug)]
pub struct Joined {
    /// Non-blocking, and connected to the server, so that it receives from no other address.
    pub socket: UdpSocket,
    /// The membership.
    pub membership: Membership,
    /// The datagram that proved the membership.
    pub first_datagram: Vec<u8>,
    /// Sends `exit` when a signal ends the process.
    pub on_exit: OnExit,
}

/// Tries the addresses of the server in order until one can be reached. Each attempt uses a new
/// socket, so that it receives no late answer to an earlier attempt. The inner error is for the
/// user to correct: a wrong password or a taken name.
pub fn enter(
    address: &Address,
    login: &Login,
    limits: &RoomClientLimits,
) -> Result<Result<Joined, RoomError>, ClientError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for candidate in address.resolved() {
        match attempt(candidate, login, limits) {
            Ok(Err(RoomError::NoAnswer)) => {
                return Err(ClientError::failure(format!(
                    "cannot enter the room at {}: no answer to {} requests; is the address right? \
                     after too many wrong passwords the room does not answer for a while",
                    address.text(),
                    limits.max_tries
                )));
            }
            Ok(outcome) => return Ok(outcome),
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
    limits: &RoomClientLimits,
) -> io::Result<Result<Joined, RoomError>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    // From here on: the server may admit the client before its answer arrives.
    let leaving = socket.try_clone()?;
    let on_exit = OnExit::new(move || {
        let _ = leaving.send(b"exit");
    });
    let mut membership = Membership::new(login.clone(), limits, Instant::now());
    let mut first_datagram = Vec::new();
    loop {
        let now = Instant::now();
        let action = match membership.next_action(now) {
            Action::Wait => match receive(&socket, membership.deadline(), limits)? {
                Some(datagram) => {
                    first_datagram = datagram;
                    membership.on_datagram(&first_datagram, Instant::now())
                }
                None => Action::Wait,
            },
            action => action,
        };
        match action {
            Action::Wait => {}
            Action::Send(request) => drop(socket.send(request.as_bytes())?),
            Action::Joined => {
                socket.set_nonblocking(true)?;
                return Ok(Ok(Joined {
                    socket,
                    membership,
                    first_datagram,
                    on_exit,
                }));
            }
            Action::Left { error, send_exit } => {
                if send_exit {
                    socket.send(b"exit")?;
                }
                return Ok(Err(error));
            }
        }
    }
}

/// Receives one datagram, or none until the deadline.
fn receive(
    socket: &UdpSocket,
    deadline: Option<Instant>,
    limits: &RoomClientLimits,
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
        Err(error) if would_block(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientLimits;
    use std::thread;

    /// Joins a room that answers each request with the next list of datagrams. Returns the outcome
    /// and the requests.
    fn enter_against(
        script: &'static [&'static [&'static str]],
    ) -> (Result<Joined, RoomError>, Vec<String>) {
        let room = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = Address::read(&room.local_addr().unwrap().to_string()).unwrap();
        let server = thread::spawn(move || {
            let mut requests = Vec::new();
            for answers in script {
                let mut datagram = [0; 64];
                let (length, peer) = room.recv_from(&mut datagram).unwrap();
                requests.push(String::from_utf8_lossy(&datagram[..length]).into_owned());
                for answer in *answers {
                    room.send_to(answer.as_bytes(), peer).unwrap();
                }
            }
            requests
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
    fn the_second_answer_to_a_repeated_password_is_not_taken_for_an_answer_to_the_name() {
        let (entry, requests) = enter_against(&[
            &[],
            &["PASSWORD OK", "PASSWORD OK"],
            &["PASSWORD OK", "USERNAME OK"],
        ]);
        assert!(entry.is_ok(), "{entry:?}");
        assert_eq!(requests, ["PASSWORD pw", "PASSWORD pw", "USERNAME ani"]);
    }

    #[test]
    fn a_name_that_an_earlier_request_of_this_client_took_is_accepted() {
        let (entry, _) = enter_against(&[
            &["PASSWORD OK"],
            &[],
            &["USERNAME TAKEN", "ani bergabung ke chatroom."],
        ]);
        assert_eq!(entry.unwrap().first_datagram, b"ani bergabung ke chatroom.");
    }

    #[test]
    fn a_name_taken_by_another_member_is_reported_and_exit_removes_a_lost_admission() {
        let (entry, _) = enter_against(&[&["PASSWORD OK"], &["USERNAME TAKEN"]]);
        assert_eq!(entry.unwrap_err(), RoomError::NameTaken);
        let (entry, requests) = enter_against(&[&["PASSWORD OK"], &[], &["USERNAME TAKEN"], &[]]);
        assert_eq!(entry.unwrap_err(), RoomError::NameTaken);
        assert_eq!(requests[3], "exit");
    }

    #[test]
    fn a_server_that_forgot_the_password_is_a_wrong_password() {
        let (entry, _) = enter_against(&[&["PASSWORD OK"], &["PASSWORD INCORRECT"]]);
        assert_eq!(entry.unwrap_err(), RoomError::WrongPassword);
    }
}
