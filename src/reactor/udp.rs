//! One UDP socket: datagrams with the addresses of both ends, and the ICMP errors they caused.
//!
//! An error belongs to one datagram, and must not cost another peer its copy. With `IP_RECVERR`
//! (ip(7)) the kernel puts the error and its address into the error queue, and the next call on the
//! socket fails once, whatever its destination is. The datagram of that call is sent again.

use mio::net::UdpSocket;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo, sock_extended_err, sockaddr_in6};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::Socket;
use std::collections::HashSet;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

/// A bound socket.
pub struct Udp {
    socket: UdpSocket,
    /// The address that it is bound to.
    local: SocketAddr,
    /// The addresses of this host that the socket receives on.
    own: HashSet<IpAddr>,
    /// Room for the control message with the local address; empty for a socket that is bound to one
    /// address.
    control: Vec<u8>,
}

/// One entry of the error queue.
pub struct QueuedError {
    /// The destination of the datagram, if that host replied that its port is closed.
    pub refused: Option<SocketAddr>,
    /// Bytes of the datagram that the error quotes.
    pub quoted: usize,
}

impl Udp {
    /// Binds a socket. The kernel chooses the source address of its datagrams.
    pub fn bind(address: SocketAddr, receive_buffer: usize) -> io::Result<Udp> {
        let socket = std::net::UdpSocket::bind(address)?;
        Udp::adopt(socket.into(), receive_buffer)
    }

    /// Takes over a socket that is bound already.
    pub fn adopt(socket: Socket, receive_buffer: usize) -> io::Result<Udp> {
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(receive_buffer)?;
        let socket = UdpSocket::from_std(socket.into());
        let local = socket.local_addr()?;
        // For an IPv6 socket as well: on `::` it also serves IPv4 peers.
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        if local.is_ipv6() {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        }
        Ok(Udp {
            local,
            socket,
            own: HashSet::from([local.ip().to_canonical()]),
            control: Vec::new(),
        })
    }

    /// From now on, [`Udp::receive`] returns the local address that a datagram was sent to
    /// (`IP_PKTINFO`, ip(7)). Not needed for a socket that is bound to one address.
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

    /// The address that it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The socket, to register it.
    pub fn source(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// Receives a datagram. Returns its length, at most that of the buffer, and the addresses of
    /// its sender and of this host, if the kernel reports that one.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
    ) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
        if self.control.is_empty() {
            let (length, peer) = self.socket.recv_from(buffer)?;
            return Ok((length, peer, None));
        }
        let mut data = [IoSliceMut::new(buffer)];
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::empty();
        let message = recvmsg::<SockaddrStorage>(fd, &mut data, Some(&mut self.control), flags)?;
        let peer = message.address.as_ref().and_then(address);
        let peer = peer.ok_or(io::ErrorKind::InvalidData)?;
        let local = message.cmsgs()?.find_map(local_address);
        Ok((message.bytes, peer, local))
    }

    /// Whether the source address of a datagram is this socket: a reply would arrive here again,
    /// and so on for ever. An address that the host got later is known once a datagram was sent to
    /// it.
    pub fn is_own(&self, peer: SocketAddr, local: Option<IpAddr>) -> bool {
        let ip = peer.ip().to_canonical();
        let is_ours = self.own.contains(&ip)
            || local.is_some_and(|local| local.to_canonical() == ip)
            || (self.local.ip().is_unspecified() && ip.is_loopback());
        is_ours && peer.port() == self.local.port()
    }

    /// Sends one datagram, from the address `local` where it is given.
    pub fn send(&self, bytes: &[u8], to: SocketAddr, local: Option<IpAddr>) -> io::Result<()> {
        if let Some(local) = local {
            match self.send_from(local, bytes, to) {
                // The host has lost the address, or it was a broadcast address.
                Err(Errno::EINVAL | Errno::EADDRNOTAVAIL | Errno::ENODEV) => {}
                sent => return Ok(sent.map(drop)?),
            }
        }
        self.socket.send_to(bytes, to).map(drop)
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

    /// The next entry of the error queue. The quoted bytes are in the buffer.
    ///
    /// The queue also holds transient errors, as of a router without a route. They must be read,
    /// because entries use the receive buffer, but they are no refusal.
    pub fn next_error(&self, buffer: &mut [u8]) -> Option<QueuedError> {
        // The control message with the local address comes first: without room for it, that of the
        // error would be truncated.
        let mut control = nix::cmsg_space!(in6_pktinfo, sock_extended_err, sockaddr_in6);
        let mut data = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut data, Some(&mut control), flags).ok()?;
        // With MSG_ERRQUEUE the address is the destination of the datagram.
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

/// The host that replied that its port is closed. Trap: any host can send an ICMP error about any
/// other, so the sender of the error must be compared with the destination.
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

/// The address of this host that a datagram was sent to. For a broadcast it is that of the
/// interface. A multicast group is left out: it cannot be a source address.
fn local_address(note: ControlMessageOwned) -> Option<IpAddr> {
    match note {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let bits = u32::from_be(info.ipi_spec_dst.s_addr);
            Some(Ipv4Addr::from_bits(bits).into())
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let local = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            Some(local.into()).filter(|_| !local.is_multicast())
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
