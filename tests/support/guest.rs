//! A client of the room: one UDP socket with a receive timeout.

use super::{PATIENCE, ROOM_PASSWORD, Server};
use rustix::event::{PollFd, PollFlags};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// A connected UDP socket: it receives datagrams from the room's address only.
pub struct Guest(pub UdpSocket);

impl Guest {
    pub fn of(server: &Server) -> Guest {
        Guest::from(server, server.address("room").ip())
    }

    pub fn from(server: &Server, host: IpAddr) -> Guest {
        Guest::between((host, 0).into(), server.address("room"))
    }

    pub fn between(own: SocketAddr, room: SocketAddr) -> Guest {
        let socket = UdpSocket::bind(own).expect("an address of this machine");
        socket.connect(room).expect("an address");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        Guest(socket)
    }

    pub fn member(server: &Server, name: &str) -> Guest {
        let guest = Guest::of(server);
        guest.enter(name);
        guest
    }

    #[track_caller]
    pub fn enter(&self, name: &str) {
        self.give_password();
        self.send(format!("USERNAME {name}")).expect("USERNAME OK");
        self.expect(&format!("{name} bergabung ke chatroom."));
    }

    #[track_caller]
    pub fn give_password(&self) -> &Guest {
        self.send(format!("PASSWORD {ROOM_PASSWORD}"))
            .expect("PASSWORD OK")
    }

    pub fn send(&self, bytes: impl AsRef<[u8]>) -> &Guest {
        // A pending ICMP error of the socket fails one send(2); the datagram is sent again.
        let _ = self
            .0
            .send(bytes.as_ref())
            .or_else(|_| self.0.send(bytes.as_ref()));
        self
    }

    #[track_caller]
    pub fn expect(&self, wanted: &str) -> &Guest {
        assert_eq!(self.message(), wanted);
        self
    }

    #[track_caller]
    pub fn message(&self) -> String {
        let mut buffer = [0; 2048];
        // With a timeout, recv(2) fails when the process goes on after SIGSTOP (signal(7)).
        let length = loop {
            match self.0.recv(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received.expect("a datagram"),
            }
        };
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Checks that nothing arrived; call it after another client has got its answer.
    #[track_caller]
    pub fn expect_nothing(&self) {
        let mut asked = [PollFd::new(&self.0, PollFlags::IN)];
        let now = std::time::Duration::ZERO.try_into().expect("seconds");
        let ready = rustix::event::poll(&mut asked, Some(&now)).expect("a descriptor");
        assert_eq!(ready, 0, "{}", self.message());
    }
}

/// One of the loopback addresses of this machine.
pub fn host(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// ICMP type 3 (RFC 792) with this code about a datagram from the room to a client.
pub fn unreachable(code: u8, room: SocketAddr, client: SocketAddr, quoted: &str) -> Vec<u8> {
    let mut report = vec![3, code, 0, 0, 0, 0, 0, 0];
    report.extend([0x45, 0, 0, (28 + quoted.len()) as u8]);
    report.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    for address in [room, client] {
        let IpAddr::V4(ip) = address.ip() else {
            panic!("not version 4");
        };
        report.extend(ip.octets());
    }
    report.extend(room.port().to_be_bytes());
    report.extend(client.port().to_be_bytes());
    report.extend([0, 8 + quoted.len() as u8, 0, 0]);
    report.extend(quoted.as_bytes());
    let words = report
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    report[2..4].copy_from_slice(&sum.to_be_bytes());
    report
}
