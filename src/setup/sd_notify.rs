//! Reports readiness and stopping to the service manager, for example systemd: sd_notify(3).
//!
//! The protocol is `sd_notify(3)`: datagrams to the socket that `NOTIFY_SOCKET` names. The socket
//! is connected once and early: an enclosed server cannot reach it any more.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Names the socket: a path, or with a leading `@` an abstract address (unix(7)).
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// The service manager that started this process: sd_notify(3).
pub struct ServiceManager(UnixDatagram);

impl ServiceManager {
    /// Connects to the socket that the environment names. A failure is logged; the server starts
    /// anyway.
    pub fn find(patience: Duration) -> Option<ServiceManager> {
        let name = std::env::var_os(NOTIFY_SOCKET).filter(|name| !name.is_empty())?;
        match connect(&name, patience) {
            Ok(socket) => Some(ServiceManager(socket)),
            Err(error) => {
                let name = name.to_string_lossy();
                log::warn!("cannot reach {NOTIFY_SOCKET}={name}: {error}; it gets no status");
                None
            }
        }
    }

    /// Reports that the server is ready; `status` is one line for people.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}\n"));
        // From now on a service manager that does not read must not block the loop.
        let _ = self.0.set_nonblocking(true);
    }

    /// Reports that the server is stopping.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=transfers under way are brought to their end\n");
    }

    fn tell(&self, text: &str) {
        if let Err(error) = self.0.send(text.as_bytes()) {
            log::warn!("cannot tell {NOTIFY_SOCKET} about the server: {error}");
        }
    }
}

fn connect(name: &OsStr, patience: Duration) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(patience))?;
    Ok(socket)
}
