//! The control connection of an FTP client that stores a file.
//! It supports only anonymous login, binary type and passive mode.

use super::poller::connect;
use rustix::net::{SendFlags, send};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The upload directory; vsftpd refuses a writable root for anonymous users.
pub const FOLDER: &str = "up";

const TIMEOUT: Duration = Duration::from_secs(10);

pub struct Ftp {
    control: TcpStream,
}

impl Ftp {
    pub fn login(at: SocketAddr) -> Result<Ftp, String> {
        let tried = |e: std::io::Error| format!("cannot reach the FTP server at {at}: {e}");
        let control = TcpStream::connect(at).map_err(tried)?;
        control.set_read_timeout(Some(TIMEOUT)).map_err(tried)?;
        control.set_nodelay(true).map_err(tried)?;
        let mut ftp = Ftp { control };
        ftp.reply("220")?;
        ftp.command("USER anonymous", "")?;
        ftp.command("TYPE I", "200")?;
        Ok(ftp)
    }

    /// Opens a data connection for the next command.
    pub fn passive(&mut self) -> Result<TcpStream, String> {
        let reply = self.command("PASV", "227")?;
        let numbers = reply
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'));
        let numbers: Option<Vec<u16>> = numbers.and_then(|(numbers, _)| {
            numbers
                .split(',')
                .map(|number| number.parse().ok())
                .collect()
        });
        match numbers.as_deref() {
            Some(&[_, _, _, _, high, low]) => {
                connect(SocketAddr::from((Ipv4Addr::LOCALHOST, high << 8 | low)))
            }
            _ => Err(format!("no address in the answer to PASV: {reply:?}")),
        }
    }

    /// Sends the command that uses the data connection.
    pub fn begin(&mut self, command: &str) -> Result<(), String> {
        send(&self.control, command.as_bytes(), SendFlags::NOSIGNAL)
            .map_err(|e| format!("cannot send {command:?}: {e}"))?;
        self.reply("150")?;
        self.control
            .set_nonblocking(true)
            .map_err(|e| format!("cannot make the control connection non-blocking: {e}"))
    }

    pub fn control(&self) -> &TcpStream {
        &self.control
    }

    fn command(&mut self, command: &str, code: &str) -> Result<String, String> {
        let line = format!("{command}\r\n");
        let sent = self.control.write_all(line.as_bytes());
        sent.map_err(|e| format!("cannot send {command:?}: {e}"))?;
        let reply = match command.starts_with("USER") {
            true => self.reply("")?,
            false => self.reply(code)?,
        };
        match reply.get(..3) {
            Some("331") => self.command("PASS x@localhost", "230"),
            Some("230" | "200" | "227") => Ok(reply),
            _ => Err(format!(
                "the FTP server answered {command:?} with {reply:?}"
            )),
        }
    }

    /// Reads one reply byte by byte, so that no byte behind it is consumed.
    fn reply(&mut self, code: &str) -> Result<String, String> {
        let mut reply = Vec::new();
        loop {
            let start = reply.len();
            while reply.last() != Some(&b'\n') || reply.len() == start {
                let mut byte = [0];
                let read = self.control.read_exact(&mut byte);
                read.map_err(|e| format!("no answer from the FTP server: {e}"))?;
                reply.push(byte[0]);
            }
            // The last line of a reply has a space behind its code (RFC 959, 4.2).
            if reply.get(start + 3) == Some(&b' ') {
                break;
            }
        }
        let reply = String::from_utf8_lossy(&reply).trim_end().to_string();
        match reply.starts_with(code) {
            true => Ok(reply),
            false => Err(format!(
                "the FTP server answered {reply:?}, expected {code}"
            )),
        }
    }
}
