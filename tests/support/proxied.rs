//! Clients that arrive through a proxy, and headers of the PROXY protocol.

use super::{Client, PATIENCE, Server};
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The address of the proxy in tests.
pub const PROXY: &str = "127.0.0.9";

/// A client of a service whose own address is this one.
pub fn connect_from(host: &str, server: &Server, service: &str) -> Client {
    let host: IpAddr = host.parse().expect("an address");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let own = SocketAddr::new(host, 0);
    socket.bind(&own.into()).expect("an address of this host");
    let address = server.address(service).into();
    socket
        .connect_timeout(&address, PATIENCE)
        .expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    socket.set_tcp_nodelay(true).expect("an option");
    Client(socket.into())
}

/// A header of the command PROXY for a client at this address.
pub fn header(client: (Ipv4Addr, u16)) -> Vec<u8> {
    let (ip, port) = client;
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(ip.octets());
    header.extend([127, 0, 0, 1]);
    header.extend(port.to_be_bytes());
    header.extend([0, 80]);
    header
}

/// A header of the command LOCAL.
pub fn local() -> Vec<u8> {
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec()
}

/// A client of a service at the address 192.0.2.N, through the proxy.
pub fn through_proxy(server: &Server, service: &str, last: u8) -> Client {
    let mut client = connect_from(PROXY, server, service);
    let address = Ipv4Addr::new(192, 0, 2, last);
    client.send(header((address, 1_000 + u16::from(last))));
    client
}
