//! The control connection of one FTP user who stores a file.
//! It knows only what an upload takes: anonymous login, binary, passive.

use super::load::connect;
use rustix::net::{SendFlags, send};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Below the root of anonymous users, which they may not write to.
pub const FOLDER: &str = "up";

const PATIENCE: Duration = Duration::from_secs(10);

pub struct Ftp {
    control: TcpStream,
}

impl Ftp {
    pub fn login(at: SocketAddr) -> Result<Ftp, String> {
        let tried = |e: std::io::Error| format!("cannot reach the FTP server at {at}: {e}");
        let control = TcpStream::connect(at).map_err(tried)?;
        control.set_read_timeout(Some(PATIENCE)).map_err(tried)?;
        control.set_nodelay(true).map_err(tried)?;
        let mut ftp = Ftp { control };
        ftp.answer("220")?;
        ftp.ask("USER anonymous", "")?;
        ftp.ask("TYPE I", "200")?;
        Ok(ftp)
    }

    /// Opens the data connection; the server waits on it for what is asked next.
    pub fn passive(&mut self) -> Result<TcpStream, String> {
        let said = self.ask("PASV", "227")?;
        let numbers = said
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
            _ => Err(format!("no address of a data connection in {said:?}")),
        }
    }

    /// Sends the command that the data belongs to.
    pub fn begin(&mut self, command: &str) -> Result<(), String> {
        send(&self.control, command.as_bytes(), SendFlags::NOSIGNAL)
            .map_err(|e| format!("cannot send {command:?}: {e}"))?;
        self.answer("150")?;
        self.control
            .set_nonblocking(true)
            .map_err(|e| format!("cannot prepare a control connection: {e}"))
    }

    pub fn control(&self) -> &TcpStream {
        &self.control
    }

    fn ask(&mut self, question: &str, code: &str) -> Result<String, String> {
        let line = format!("{question}\r\n");
        let sent = self.control.write_all(line.as_bytes());
        sent.map_err(|e| format!("cannot send {question:?}: {e}"))?;
        let said = match question.starts_with("USER") {
            true => self.answer("")?,
            false => self.answer(code)?,
        };
        match said.get(..3) {
            Some("331") => self.ask("PASS x@localhost", "230"),
            Some("230" | "200" | "227") => Ok(said),
            _ => Err(format!("the FTP server says {said:?} to {question:?}")),
        }
    }

    /// A whole answer, byte by byte, so that nothing behind it is taken.
    fn answer(&mut self, code: &str) -> Result<String, String> {
        let mut said = Vec::new();
        loop {
            let start = said.len();
            while said.last() != Some(&b'\n') || said.len() == start {
                let mut byte = [0];
                let read = self.control.read_exact(&mut byte);
                read.map_err(|e| format!("no answer from the FTP server: {e}"))?;
                said.push(byte[0]);
            }
            // The last line of an answer has a blank behind its code.
            if said.get(start + 3) == Some(&b' ') {
                break;
            }
        }
        let said = String::from_utf8_lossy(&said).trim_end().to_string();
        match said.starts_with(code) {
            true => Ok(said),
            false => Err(format!("the FTP server says {said:?}, not {code}")),
        }
    }
}
