//! The lines on standard output at the start: addresses, generated secrets, the link and `ready`.

use super::options::ServeOptions;
use super::secrets::Secrets;
use super::window;
use std::fmt;
use std::net::SocketAddr;

/// Where a service listens.
pub struct Address {
    /// Its name.
    pub service: &'static str,
    /// `tcp` or `udp`.
    pub transport: &'static str,
    /// The address, with the port that the kernel chose.
    pub address: SocketAddr,
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address {
            service,
            transport,
            address,
        } = self;
        write!(out, "{service} listening on {transport} {address}")
    }
}

/// The lines.
pub fn announcement(addresses: &[Address], secrets: &Secrets, options: &ServeOptions) -> String {
    let mut lines: String = addresses.iter().map(|one| format!("{one}\n")).collect();
    let Secrets { room, token, .. } = secrets;
    for (name, secret) in [("room password", room), ("http token", token)] {
        if let Some(secret) = secret.as_ref().filter(|secret| secret.made) {
            lines.push_str(&format!("{name}: {}\n", secret.text));
        }
    }
    let http = addresses.iter().find(|one| one.service == "http");
    if let (Some(token), Some(http)) = (token, http) {
        lines.push_str(&window::link(http.address, token, &options.http_names));
    }
    lines + "ready\n"
}
