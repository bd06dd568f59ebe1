//! Tells the program that started the server, systemd for example, when it is ready and stopping.
//! Starts, restarts and watches nothing itself.
//!
//! The protocol is `sd_notify(3)`: datagrams to the socket that `NOTIFY_SOCKET` names. The socket
//! is connected once and early: an enclosed server cannot reach it any more.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The variable that names the socket; with `@` in front it has no place in the file system.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Who wants to know.
pub struct Supervisor(UnixDatagram);

impl Supervisor {
    /// The one that the environment names. One that cannot be reached is no reason not to serve.
    pub fn find(patience: Duration) -> Option<Supervisor> {
        let name = std::env::var_os(NOTIFY_SOCKET).filter(|name| !name.is_empty())?;
        match connect(&name, patience) {
            Ok(socket) => Some(Supervisor(socket)),
            Err(error) => {
                let name = name.to_string_lossy();
                log::warn!("cannot reach {NOTIFY_SOCKET}={name}: {error}; it is told nothing");
                None
            }
        }
    }

    /// Everything stands; `status` is one line for people.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}\n"));
        // Later the loop must not wait for a supervisor that does not read.
        let _ = self.0.set_nonblocking(true);
    }

    /// The first signal has come.
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
