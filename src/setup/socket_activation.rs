//! Takes the sockets that a service manager has opened: sd_listen_fds(3), systemd.socket(5).
//!
//! They stay open in the service manager while the server restarts, so that clients wait in the
//! kernel's queue instead of being refused, and a port below 1024 needs no rights of the server.

use super::error::StartError;
use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket};
use std::env;
use std::io;
use std::net::SocketAddr;

/// A service that can be handed a socket: its name, which `LISTEN_FDNAMES` gives, and its protocol.
pub type Handable = (&'static str, Protocol);

/// A socket that was handed over.
#[derive(Debug)]
pub struct Inherited {
    /// The name of the service.
    pub name: &'static str,
    /// The address that the socket is bound to.
    pub address: SocketAddr,
    /// The socket, which is closed on execve(2).
    pub socket: Socket,
}

/// The sockets for this process, in their order; `None` if the variables are not for it.
///
/// # Errors
///
/// A socket that no service can use: of another kind, not listening, without a known name, or the
/// second of a service.
pub fn take(services: &[Handable]) -> Result<Option<Vec<Inherited>>, StartError> {
    // listenfd also accepts a missing LISTEN_PID, which sd_listen_fds(3) does not.
    if variable("LISTEN_PID").as_deref() != Some(&std::process::id().to_string()) {
        return Ok(None);
    }
    let Some(count) = variable("LISTEN_FDS") else {
        return Ok(None);
    };
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').filter(|name| !name.is_empty()).collect();
    if count != names.len().to_string() {
        let (names, known) = (names.len(), list(services));
        return Err(StartError::new(format!(
            "cannot use the sockets of the service manager: LISTEN_FDS={count}, but \
             LISTEN_FDNAMES has {names} names; give each socket the name of a service ({known}) \
             with FileDescriptorName="
        )));
    }
    let mut descriptors = ListenFd::from_env();
    let mut sockets: Vec<Inherited> = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let cannot = |why: String| {
            let text = format!("cannot use the socket {name:?} of the service manager");
            StartError::new(format!("{text} (number {number}): {why}"))
        };
        let service = services.iter().find(|(known, _)| known == name);
        let Some(&(service, protocol)) = service else {
            let known = list(services);
            let advice = format!("no service has this name; with FileDescriptorName= give {known}");
            return Err(cannot(advice));
        };
        let socket = descriptor(&mut descriptors, number).map_err(cannot)?;
        let address = usable(&socket, protocol).map_err(cannot)?;
        if sockets.iter().any(|other| other.name == service) {
            return Err(cannot(
                "the service has one already; a port without an address, ListenStream=80, \
                 listens on IPv4 and IPv6"
                    .to_owned(),
            ));
        }
        sockets.push(Inherited {
            name: service,
            address,
            socket,
        });
    }
    Ok(Some(sockets))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn list(services: &[Handable]) -> String {
    let names: Vec<&str> = services.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// Owns the descriptor of this number. The crate says of which kind it is not, so each is tried.
fn descriptor(descriptors: &mut ListenFd, number: usize) -> Result<Socket, String> {
    let socket = match descriptors.take_tcp_listener(number) {
        Ok(socket) => Ok(socket.map(Socket::from)),
        Err(_) => match descriptors.take_udp_socket(number) {
            Ok(socket) => Ok(socket.map(Socket::from)),
            Err(_) if descriptors.take_unix_listener(number).is_ok() => Err("a Unix stream socket"),
            Err(_) if descriptors.take_unix_datagram(number).is_ok() => {
                Err("a Unix datagram socket")
            }
            Err(_) => Err("neither a TCP nor a UDP socket"),
        },
    };
    let advice = "give one of ListenStream=PORT, or for room ListenDatagram=PORT";
    socket
        .map_err(|kind| format!("it is {kind}; {advice}"))?
        .ok_or_else(|| format!("there is none; {advice}"))
}

/// The address of a socket that the service can use.
fn usable(socket: &Socket, wanted: Protocol) -> Result<SocketAddr, String> {
    let failed = |error: io::Error| format!("the kernel says {error}; give another one");
    let (setting, kind) = match wanted {
        Protocol::UDP => ("ListenDatagram=PORT", "UDP"),
        _ => ("ListenStream=PORT", "TCP"),
    };
    let protocol = socket.protocol().map_err(failed)?;
    if protocol != Some(wanted) {
        let is = match protocol {
            Some(Protocol::UDP) => "UDP".to_owned(),
            Some(Protocol::TCP) => "TCP".to_owned(),
            other => format!("{other:?}"),
        };
        return Err(format!("it is {is}, not {kind}; use {setting}"));
    }
    let domain = socket.domain().map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?.as_socket();
    let address = address.filter(|_| [Domain::IPV4, Domain::IPV6].contains(&domain));
    let address =
        address.ok_or_else(|| format!("it is of the family {domain:?}; use {setting}"))?;
    if wanted == Protocol::TCP && !socket.is_listener().map_err(failed)? {
        return Err("it does not listen; use Accept=no".to_owned());
    }
    if address.port() == 0 {
        return Err(format!("it is bound to no port; use {setting}"));
    }
    Ok(address)
}
