//! Bare loop for the room: one UDP socket, and one sendto(2) per member and message.
//! It checks no password, keeps no names, notices no silent member and ignores send errors.

use super::EpollServer;
use loket::config::room::DATAGRAMS;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{RecvFlags, SendFlags, SocketType, recvfrom, sendto};

const MAX_MESSAGE: usize = 1024;

pub fn run(port: &str) -> Result<(), String> {
    let mut server = EpollServer::open(SocketType::DGRAM, port)?;
    // As loket: what all members send at once must fit.
    set_socket_recv_buffer_size(&server.socket, DATAGRAMS.receive_buffer)
        .map_err(|e| format!("cannot set SO_RCVBUF: {e}"))?;
    let mut buffer = [0; MAX_MESSAGE];
    let mut members = Vec::new();
    loop {
        server.wait(false)?;
        loop {
            let (message, from) = match recvfrom(&server.socket, &mut buffer, RecvFlags::empty()) {
                Ok((length, _, Some(from))) => (&buffer[..length], from),
                Ok(_) | Err(Errno::AGAIN) => break,
                Err(e) => return Err(format!("cannot receive: {e}")),
            };
            let send = |bytes, to| sendto(&server.socket, bytes, SendFlags::empty(), to);
            if message.starts_with(b"PASSWORD ") {
                let _ = send(b"PASSWORD OK", &from);
            } else if message.starts_with(b"USERNAME ") {
                // The client repeats a request whose answer was lost.
                if !members.contains(&from) {
                    members.push(from.clone());
                }
                let _ = send(b"USERNAME OK", &from);
            } else if message == b"exit" {
                members.retain(|member| *member != from);
            } else {
                for member in &members {
                    let _ = send(message, member);
                }
            }
        }
    }
}
