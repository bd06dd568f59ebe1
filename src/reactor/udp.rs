//! One UDP socket: datagrams with the addresses of both ends, and the refusals that came back.
//!
//! Errors belong to a datagram, not to the socket: one address that refuses must not cost another
//! its copy. With `IP_RECVERR` (ip(7)) the kernel names the refusing address in the error queue,
//! and fails the next call on the socket once, whatever its destination: that copy is sent again.

use crate::session::datagram::Route;
use mio::net::UdpSocket;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo, sock_extended_err, sockaddr_in6};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::SockRef;
use std::collections::HashSet;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

/// A bound socket.
pub struct Udp {
    socket: UdpSocket,
    /// Where it is bound.
    local: SocketAddr,
    /// The addresses of this machine that the socket serves.
    own: HashSet<IpAddr>,
    /// Room for the address that was asked; empty where there is but one.
    control: Vec<u8>,
}

/// What the error queue told of a datagram.
pub struct QueuedError {
    /// Where the datagram was going, when the host there answered that the port is closed.
    pub refused: Option<SocketAddr>,
    /// How much of the datagram was quoted, in bytes.
    pub quoted: usize,
}

impl Udp {
    /// Binds a socket. The kernel chooses the address that its datagrams come from.
    pub fn bind(address: SocketAddr, receive_buffer: usize) -> io::Result<Udp> {
        let socket = UdpSocket::bind(address)?;
        SockRef::from(&socket).set_recv_buffer_size(receive_buffer)?;
        // Also for a socket of version 6: on `::` it serves peers of version 4 too.
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        if address.is_ipv6() {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        }
        Ok(Udp {
            local: socket.local_addr()?,
            socket,
            own: HashSet::from([address.ip().to_canonical()]),
            control: Vec::new(),
        })
    }

    /// From now on each datagram tells which address of this machine was asked. A socket that is
    /// bound to one address knows that already.
    pub fn report_local_address(&mut self) -> io::Result<()> {
        if !self.local.ip().is_unspecified() {
            return Ok(());
        }
        if self.local.is_ipv6() {
            setsockopt(&self.socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        } else {
            setsockopt(&self.socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        self.control = nix::cmsg_space!(in6_pktinfo);
        let interfaces = getifaddrs()?.filter_map(|interface| interface.address);
        self.own
            .extend(interfaces.filter_map(|storage| Some(address(&storage)?.ip().to_canonical())));
        Ok(())
    }

    /// Where it is bound.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The socket, to be registered.
    pub fn source(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// The next datagram: its length, cut to the buffer, and where it came from.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Route)> {
        if self.control.is_empty() {
            let (length, peer) = self.socket.recv_from(buffer)?;
            return Ok((length, peer.into()));
        }
        let mut data = [IoSliceMut::new(buffer)];
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::empty();
        let message = recvmsg::<SockaddrStorage>(fd, &mut data, Some(&mut self.control), flags)?;
        let peer = message.address.as_ref().and_then(address);
        let peer = peer.ok_or(io::ErrorKind::InvalidData)?;
        let local = message.cmsgs()?.find_map(local_address);
        Ok((message.bytes, Route { peer, local }))
    }

    /// Whether a datagram claims to come from this socket itself: an answer would come back as the
    /// next question. Addresses that the machine got later count once they were asked.
    pub fn is_own(&self, from: Route) -> bool {
        let ip = from.peer.ip().to_canonical();
        let is_ours = self.own.contains(&ip)
            || from.local.is_some_and(|local| local.to_canonical() == ip)
            || (self.local.ip().is_unspecified() && ip.is_loopback());
        is_ours && from.peer.port() == self.local.port()
    }

    /// Sends one datagram.
    pub fn send(&self, bytes: &[u8], to: Route) -> io::Result<()> {
        if let Some(local) = to.local {
            match self.send_from(local, bytes, to.peer) {
                // The machine has lost the address, or it was a broadcast address.
                Err(Errno::EINVAL | Errno::EADDRNOTAVAIL | Errno::ENODEV) => {}
                sent => return Ok(sent.map(drop)?),
            }
        }
        self.socket.send_to(bytes, to.peer).map(drop)
    }

    fn send_from(&self, local: IpAddr, bytes: &[u8], to: SocketAddr) -> nix::Result<usize> {
        let data = [IoSlice::new(bytes)];
        let send = |source: ControlMessage<'_>| {
            let to = SockaddrStorage::from(to);
            let fd = self.socket.as_raw_fd();
            sendmsg(fd, &data, &[source], MsgFlags::empty(), Some(&to))
        };
        match local {
            IpAddr::V4(local) => {
                let s_addr = local.to_bits().to_be();
                send(ControlMessage::Ipv4PacketInfo(&in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: in_addr { s_addr },
                    ipi_addr: in_addr { s_addr: 0 },
                }))
            }
            IpAddr::V6(local) => send(ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
                ipi6_addr: in6_addr {
                    s6_addr: local.octets(),
                },
                ipi6_ifindex: 0,
            })),
        }
    }

    /// The next entry of the error queue; what it quotes is in the buffer then.
    ///
    /// Other errors stand there too, of a router that has lost its way for example, and have to be
    /// read: what is left takes room from datagrams. They pass, so they refuse nothing.
    pub fn next_error(&self, buffer: &mut [u8]) -> Option<QueuedError> {
        // Where the asked address is told, it comes first: without room for it the error is cut.
        let mut control = nix::cmsg_space!(in6_pktinfo, sock_extended_err, sockaddr_in6);
        let mut data = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut data, Some(&mut control), flags).ok()?;
        // With MSG_ERRQUEUE the address is where the datagram was going.
        let to = message.address.as_ref().and_then(address);
        let refused = to.filter(|to| {
            let mut notes = message.cmsgs().into_iter().flatten();
            notes.any(|note| refusing_host(note) == Some(to.ip().to_canonical()))
        });
        Some(QueuedError {
            refused,
            quoted: message.bytes,
        })
    }
}

/// The host that answered that its port is closed. Trap: the kernel passes on what any host says
/// about any other, so that the sender of the report has to be compared.
fn refusing_host(note: ControlMessageOwned) -> Option<IpAddr> {
    let (error, host) = match note {
        ControlMessageOwned::Ipv4RecvErr(error, host) => {
            let ip = host.map(|host| Ipv4Addr::from_bits(u32::from_be(host.sin_addr.s_addr)));
            (error, ip.map(IpAddr::V4))
        }
        ControlMessageOwned::Ipv6RecvErr(error, host) => {
            let ip = host.map(|host| Ipv6Addr::from(host.sin6_addr.s6_addr));
            (error, ip.map(IpAddr::V6))
        }
        _ => return None,
    };
    let refuses = error.ee_errno == nix::libc::ECONNREFUSED as u32;
    host.filter(|_| refuses).map(|host| host.to_canonical())
}

/// The address of this machine that a datagram was sent to. For a broadcast it is that of the
/// interface; a multicast group is no address to answer from.
fn local_address(note: ControlMessageOwned) -> Option<IpAddr> {
    match note {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let bits = u32::from_be(info.ipi_spec_dst.s_addr);
            Some(Ipv4Addr::from_bits(bits).into())
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let asked = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            Some(asked.into()).filter(|_| !asked.is_multicast())
        }
        _ => None,
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage
        .as_sockaddr_in()
        .map(|address| SocketAddrV4::from(*address).into());
    v4.or_else(|| {
        storage
            .as_sockaddr_in6()
            .map(|address| SocketAddrV6::from(*address).into())
    })
}
