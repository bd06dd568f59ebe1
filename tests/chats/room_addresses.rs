//! The room on all addresses of a machine: each datagram is sent from the address that its client
//! used.

use crate::support;
use crate::support::Server;
use crate::support::guest::{Guest, host};
use loket::reactor::clock::Moment;
use loket::reactor::datagram::Datagrams;
use loket::session::datagram::{DatagramContext, DatagramProtocol, Route};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// A member of the room at this server address. Its socket receives from no other address.
fn member(server: &Server, room_address: IpAddr, name: &str) -> Guest {
    let own: IpAddr = match room_address {
        IpAddr::V4(_) => host(9),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let room = SocketAddr::new(room_address, server.address("room").port());
    let guest = Guest::between((own, 0).into(), room);
    guest.send("USERNAME early").expect("PASSWORD INCORRECT");
    guest.send("PASSWORD no").expect("PASSWORD INCORRECT");
    guest.enter(name);
    guest.send("PASSWORD again").expect("PASSWORD OK");
    guest
}

#[test]
fn each_datagram_is_sent_from_the_address_that_the_client_used() {
    let has_v6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has_v6 {
        support::skip(
            "each_datagram_is_sent_from_the_address_that_the_client_used",
            "no IPv6 for ::",
        );
    }
    let every: &[&str] = if has_v6 {
        &["0.0.0.0", "::"]
    } else {
        &["0.0.0.0"]
    };
    for any in every {
        let server = Server::start(&["--host", any]);
        let mut addresses = vec![host(2), host(1), host(77)];
        if *any == "::" {
            addresses.push(Ipv6Addr::LOCALHOST.into());
        }
        let guests: Vec<Guest> = (0..addresses.len())
            .map(|number| member(&server, addresses[number], &format!("n{number}")))
            .collect();
        // Each socket receives only from its own server address: all notices and messages.
        for (number, guest) in guests.iter().enumerate() {
            for later in number + 1..guests.len() {
                guest.expect(&format!("n{later} bergabung ke chatroom."));
            }
        }
        for (number, guest) in guests.iter().enumerate() {
            guest.send("hello");
            for receiver in &guests {
                receiver.expect(&format!("n{number}: hello"));
            }
        }
        guests[0].send("exit");
        for receiver in &guests[1..] {
            receiver.expect("n0 telah keluar dari chatroom.");
        }
    }
}

#[test]
fn a_member_that_uses_another_address_is_answered_from_it() {
    let server = Server::start(&["--host", "0.0.0.0"]);
    let port = server.address("room").port();
    let guest = member(&server, host(2), "ani");
    guest.0.connect((host(3), port)).expect("an address");
    guest.send("over here").expect("ani: over here");
    guest.send("USERNAME ani").expect("USERNAME OK");
}

/// Records the route of each datagram and answers it.
struct Answering(std::rc::Rc<std::cell::RefCell<Vec<Route>>>);

impl DatagramProtocol for Answering {
    fn on_datagram(&mut self, from: Route, bytes: &[u8], cx: &mut DatagramContext<'_>) {
        self.0.borrow_mut().push(from);
        cx.out.to_one(bytes, from);
    }

    fn on_refused(&mut self, _: SocketAddr, _: &mut DatagramContext<'_>) {}
}

/// The route of a datagram to 127.0.0.1, as a socket bound to this address sees it.
fn route_to(bound: IpAddr) -> Route {
    let routes = std::rc::Rc::default();
    let protocol = Box::new(Answering(std::rc::Rc::clone(&routes)));
    let limits = loket::config::room::DATAGRAMS;
    let mut server = Datagrams::bind("test", (bound, 0).into(), protocol, limits).expect("a port");
    server.reply_from_local_address().expect("an option");
    let port = server.local_address().port();
    let guest = Guest::between((host(9), 0).into(), (host(1), port).into());
    guest.send("hello");
    server.turn(&mut Vec::new(), Moment(0));
    guest.expect("hello");
    let routes = routes.borrow();
    assert_eq!(routes.len(), 1);
    routes[0]
}

#[test]
fn a_socket_bound_to_one_address_leaves_the_source_address_to_the_kernel() {
    assert_eq!(route_to(host(1)).local, None);
    assert_eq!(route_to(Ipv4Addr::UNSPECIFIED.into()).local, Some(host(1)));
}

#[test]
fn a_datagram_from_the_servers_own_address_is_not_answered() {
    for any in ["127.0.0.1", "0.0.0.0"] {
        let server = Server::start(&["--host", any]);
        let port = server.address("room").port();
        let member = Guest::between((host(9), 0).into(), (host(1), port).into());
        member.enter("ani");
        let claimed = if any == "0.0.0.0" { &[1, 2][..] } else { &[1] };
        for &last in claimed {
            let udp = socket2::Protocol::UDP;
            let raw = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, Some(udp));
            let Ok(raw) = raw else {
                eprintln!(
                    "SKIPPED a_datagram_from_the_servers_own_address_is_not_answered: no raw socket"
                );
                return;
            };
            let source = SocketAddr::new(host(last), 0);
            raw.bind(&source.into()).expect("an address");
            for text in [
                "PASSWORD x",
                "USERNAME me",
                "PASSWORD sesame",
                "USERNAME me",
            ] {
                let to = SocketAddr::new(host(1), 0);
                raw.send_to(&udp_datagram(port, text), &to.into())
                    .expect("sent");
            }
        }
        member.send("hello").expect("ani: hello");
        support::eventually("it is counted", || {
            server.log().contains("datagrams were dropped")
        });
        assert!(
            !server.log().contains("too many wrong passwords"),
            "{}",
            server.log()
        );
    }
}

/// A UDP datagram from a port to the same port, without a checksum (RFC 768).
fn udp_datagram(port: u16, text: &str) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(port.to_be_bytes());
    datagram.extend(port.to_be_bytes());
    datagram.extend((8 + text.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(text.as_bytes());
    datagram
}
