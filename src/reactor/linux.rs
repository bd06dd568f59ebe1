//! Makes the system calls of a turn on real TCP sockets.
//! Decides nothing: how much and when is the turn's business.

use super::body_in::BodyPipe;
use super::body_out;
use super::kernel::{Kernel, TakeError};
use crate::session::world::Blob;
use mio::net::TcpStream;
use rustix::net::sockopt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

/// Linux, with the one pipe or the one buffer that bodies pass through.
pub struct Linux {
    pipe: BodyPipe,
    /// Only where bodies go the plain way, or a blob has no descriptor.
    copy: Box<[u8]>,
    direct: bool,
}

impl Linux {
    /// `direct` moves bodies by `sendfile` and `splice`, otherwise by reading and writing.
    pub fn new(direct: bool, take_step: usize, copy_step: usize) -> Linux {
        let copy = if direct {
            Box::default()
        } else {
            vec![0; copy_step].into()
        };
        Linux {
            pipe: BodyPipe::new(take_step),
            copy,
            direct,
        }
    }
}

impl Kernel for Linux {
    type Socket = TcpStream;

    fn read(&mut self, socket: &mut TcpStream, into: &mut [u8]) -> io::Result<usize> {
        socket.read(into)
    }

    fn write(&mut self, socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        socket.write(bytes)
    }

    fn send_body(
        &mut self,
        socket: &mut TcpStream,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> io::Result<usize> {
        match blob.fd().filter(|_| self.direct) {
            Some(file) => body_out::send(socket.as_fd(), file, at, most),
            None => body_out::copy(socket, blob, at, most, &mut self.copy),
        }
    }

    fn can_take_body(&self, blob: &dyn Blob) -> bool {
        self.direct && blob.fd().is_some()
    }

    fn take_body(
        &mut self,
        socket: &mut TcpStream,
        blob: &dyn Blob,
        at: u64,
        most: usize,
    ) -> Result<usize, TakeError> {
        let file = blob.fd().expect("asked by can_take_body");
        self.pipe.take(socket.as_fd(), file, at, most)
    }

    // The three options below only shape packets: without them the peer gets the same bytes.

    fn cork(&mut self, socket: &mut TcpStream, corked: bool) {
        let _ = sockopt::set_tcp_cork(&*socket, corked);
    }

    fn acknowledge_now(&mut self, socket: &mut TcpStream) {
        let _ = sockopt::set_tcp_quickack(&*socket, true);
    }

    fn finish_writing(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        socket.shutdown(std::net::Shutdown::Write)
    }
}
