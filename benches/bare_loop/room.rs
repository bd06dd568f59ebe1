//! Bare loop for the room: one UDP socket, and one sendto(2) per member and message.
//! It checks no password, keeps no names, never removes a member and ignores send errors.

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::Errno;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, UdpSocket};

const MAX_MESSAGE: usize = 1024;

pub fn run(port: &str) -> Result<(), String> {
    let number: u16 = port
        .parse()
        .map_err(|_| format!("{port:?} is not a port number"))?;
    let tried = |e: std::io::Error| format!("cannot open UDP 127.0.0.1:{number}: {e}");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).map_err(tried)?;
    socket.set_nonblocking(true).map_err(tried)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
        .map_err(|e| format!("cannot create an epoll instance: {e}"))?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&epoll, &socket, epoll::EventData::new_u64(0), flags)
        .map_err(|e| format!("cannot add the socket to epoll: {e}"))?;
    println!(
        "listening on {}",
        socket.local_addr().map_err(tried)?.port()
    );
    std::io::stdout()
        .flush()
        .map_err(|e| format!("cannot write to standard output: {e}"))?;
    let mut events = Vec::with_capacity(1);
    let mut buffer = [0; MAX_MESSAGE];
    let mut members = Vec::new();
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(format!("cannot wait on the epoll: {e}")),
        }
        loop {
            let (length, from) = match socket.recv_from(&mut buffer) {
                Ok(got) => got,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(format!("cannot receive: {e}")),
            };
            let message = &buffer[..length];
            if message.starts_with(b"PASSWORD ") {
                let _ = socket.send_to(b"PASSWORD OK", from);
            } else if message.starts_with(b"USERNAME ") {
                // The client repeats a request whose answer was lost.
                if !members.contains(&from) {
                    members.push(from);
                }
                let _ = socket.send_to(b"USERNAME OK", from);
            } else {
                for &member in &members {
                    let _ = socket.send_to(message, member);
                }
            }
        }
    }
}
