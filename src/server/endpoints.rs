//! Where each service listens: on a port to open, or on a socket of the service manager.

use super::TCP_SERVICES;
use super::options::{PortChoice, ServeOptions};
use crate::setup::error::StartError;
use crate::setup::host;
use crate::setup::socket_activation::{self, Handable, Inherited};
use socket2::{Protocol, Socket};
use std::net::SocketAddr;

/// Where one service listens.
#[derive(Debug)]
pub struct Endpoint {
    /// The name of the service.
    pub name: &'static str,
    /// The address; its port is 0 if the kernel is to choose one.
    pub address: SocketAddr,
    /// The open socket that was handed over.
    pub socket: Option<Socket>,
    /// Whether clients arrive through proxies.
    pub proxied: bool,
}

impl Endpoint {
    /// Whether other machines may reach it: also on a loopback address, if a proxy brings them.
    pub fn is_exposed(&self) -> bool {
        self.proxied || !self.address.ip().to_canonical().is_loopback()
    }

    /// What other machines reach, for a sentence.
    pub fn reached_at(&self) -> String {
        let host = self.address.ip();
        match self.proxied {
            true => format!("a proxy in front of {host}"),
            false => host.to_string(),
        }
    }
}

/// The services that are on, the TCP services before the room. Opens nothing.
///
/// # Errors
///
/// A host that cannot be found, a socket that cannot be used, or no service at all.
pub fn plan(options: &ServeOptions) -> Result<Vec<Endpoint>, StartError> {
    let tcp = TCP_SERVICES.iter();
    let tcp = tcp.map(|service| (service.name, Protocol::TCP));
    let services: Vec<Handable> = tcp.chain([("room", Protocol::UDP)]).collect();
    let mut inherited = socket_activation::take(&services)?;
    let host = host::find(&options.host)?;
    let mut endpoints = Vec::new();
    for (name, _) in services {
        let is_named = |socket: &mut Inherited| socket.name == name;
        let socket = inherited
            .as_mut()
            .and_then(|sockets| sockets.extract_if(.., is_named).next());
        // Beside sockets that were handed over, a default is no reason to open another one.
        let given = options.ports.given(name);
        let choice = match (&inherited, &socket, given) {
            (_, Some(_), Some(_)) => return Err(given_twice(name)),
            (Some(_), _, given) => given.unwrap_or(PortChoice::Off),
            (None, _, _) => options.ports.choice(name),
        };
        let endpoint = match (socket, choice) {
            (
                Some(Inherited {
                    address, socket, ..
                }),
                _,
            ) => (address, Some(socket)),
            (None, PortChoice::On(port)) => (SocketAddr::new(host, port), None),
            (None, PortChoice::Off) => continue,
        };
        let (address, socket) = endpoint;
        endpoints.push(Endpoint {
            name,
            address,
            socket,
            proxied: !options.proxy_from.is_empty() && name != "room",
        });
    }
    if endpoints.is_empty() {
        let text = "all services are off; give at least one a port";
        return Err(StartError::new(text));
    }
    Ok(endpoints)
}

fn given_twice(name: &str) -> StartError {
    StartError::new(format!(
        "{name} has a socket of the service manager, and --{name} says otherwise; leave out \
         --{name}, or disable the socket's unit"
    ))
}
