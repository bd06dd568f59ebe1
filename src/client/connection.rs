//! A blocking connection to a server: bytes, lines and replies, each with a timeout.

use super::error::{ClientError, ExchangeError, reason};
use super::{ClientLimits, Keepalive};
use crate::wire::text::is_host_and_port;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The reply of a command service.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// `OK`, with the text after it.
    Yes(String),
    /// A line that begins with `ERROR`.
    No(String),
}

/// The address of a server: as it was given, and resolved.
#[derive(Debug, Clone)]
pub struct Address {
    text: String,
    resolved: Vec<SocketAddr>,
}

impl Address {
    /// Parses `HOST:PORT` and resolves the host.
    pub fn read(text: &str) -> Result<Address, ClientError> {
        if !is_host_and_port(text) {
            return Err(ClientError::usage(format!(
                "`{text}` is not a server address; write HOST:PORT, for example 127.0.0.1:8080"
            )));
        }
        let resolved: Vec<SocketAddr> = text
            .to_socket_addrs()
            .map_err(|error| {
                ClientError::failure(format!(
                    "cannot find the host of {text}: {}; is the name spelt right?",
                    reason(&error)
                ))
            })?
            .collect();
        Ok(Address {
            text: text.to_owned(),
            resolved,
        })
    }

    /// The address as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The resolved addresses, at least one.
    pub fn resolved(&self) -> &[SocketAddr] {
        &self.resolved
    }
}

/// One open connection to a server.
#[derive(Debug)]
pub struct BlockingConnection {
    stream: BufReader<TcpStream>,
    peer: String,
    limits: ClientLimits,
    rate: RateMeter,
}

/// Checks the transfer rate, counting only the time spent waiting for the server.
#[derive(Debug, Default)]
struct RateMeter {
    waited: Duration,
    moved: u64,
}

impl RateMeter {
    /// Records bytes that moved after this wait. Fails when a whole window moved too few: a server
    /// that sends a byte now and then never exceeds the other timeouts.
    fn count(
        &mut self,
        waited: Duration,
        moved: usize,
        limits: &ClientLimits,
    ) -> Result<(), ExchangeError> {
        self.waited += waited;
        self.moved += moved as u64;
        if self.waited < limits.rate_window {
            return Ok(());
        }
        let RateMeter { waited, moved } = std::mem::take(self);
        match moved < limits.min_rate * limits.rate_window.as_secs() {
            true => Err(ExchangeError::TooSlow { moved, waited }),
            false => Ok(()),
        }
    }
}

impl BlockingConnection {
    /// Connects to the first address that answers.
    pub fn open(
        address: &Address,
        limits: &ClientLimits,
    ) -> Result<BlockingConnection, ClientError> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for candidate in &address.resolved {
            match connect(candidate, limits) {
                Ok(stream) => {
                    return Ok(BlockingConnection {
                        stream: BufReader::new(stream),
                        peer: address.text.clone(),
                        limits: *limits,
                        rate: RateMeter::default(),
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(ClientError::failure(format!(
            "cannot connect to {}: {}; is the server running? start it with: loket serve",
            address.text,
            reason(&last)
        )))
    }

    /// The address of the server as it was given.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The plain stream, non-blocking and without timeouts: in a chat, silence is normal. TCP
    /// keepalive detects a dead peer instead.
    pub fn into_stream(self) -> io::Result<TcpStream> {
        let stream = self.stream.into_inner();
        stream.set_nonblocking(true)?;
        let Keepalive {
            idle,
            interval,
            probes,
        } = self.limits.talk.keepalive;
        let keepalive = TcpKeepalive::new()
            .with_time(idle)
            .with_interval(interval)
            .with_retries(probes);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        Ok(stream)
    }

    /// Sends all bytes. If the server has closed the connection, the error is its last line, if it
    /// sent one. The rate is measured from here, so the time between commands does not count.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        let mut rest = bytes;
        self.rate = RateMeter::default();
        while !rest.is_empty() {
            let begun = Instant::now();
            match self.stream.get_ref().write(rest) {
                Ok(0) => return Err(ExchangeError::Closed),
                Ok(count) => {
                    rest = &rest[count..];
                    self.rate.count(begun.elapsed(), count, &self.limits)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let refusal = self.take_refusal();
                    return Err(refusal.unwrap_or_else(|| self.request_error(error)));
                }
            }
        }
        Ok(())
    }

    /// Reads some bytes; 0 is end of stream.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ExchangeError> {
        loop {
            let begun = Instant::now();
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.request_error(error)),
                Ok(count) => {
                    self.rate.count(begun.elapsed(), count, &self.limits)?;
                    return Ok(count);
                }
            }
        }
    }

    /// Reads a line, without its line end.
    pub fn read_line(&mut self) -> Result<String, ExchangeError> {
        let mut line = Vec::new();
        loop {
            let begun = Instant::now();
            let found = match self.stream.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.request_error(error)),
            };
            if found.is_empty() {
                return Err(ExchangeError::Closed);
            }
            let end = found.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(found.len(), |end| end + 1);
            line.extend_from_slice(&found[..end.unwrap_or(taken)]);
            self.stream.consume(taken);
            self.rate.count(begun.elapsed(), taken, &self.limits)?;
            if line.len() > self.limits.reply_line {
                line.truncate(self.limits.reply_line);
                return Err(ExchangeError::NotAReply(shorten(&line)));
            }
            if end.is_some() {
                let text = line.strip_suffix(b"\r").unwrap_or(&line);
                return Ok(String::from_utf8_lossy(text).into_owned());
            }
        }
    }

    /// Reads a reply: `OK` or `ERROR`.
    pub fn read_reply(&mut self) -> Result<Reply, ExchangeError> {
        let line = self.read_line()?;
        if line.starts_with("ERROR") {
            return Ok(Reply::No(line));
        }
        match line.strip_prefix("OK") {
            Some("") => Ok(Reply::Yes(String::new())),
            Some(rest) if rest.starts_with(' ') => Ok(Reply::Yes(rest[1..].to_owned())),
            _ => Err(ExchangeError::NotAReply(shorten(line.as_bytes()))),
        }
    }

    /// The same for a reply that the server may compute for this time.
    pub fn read_late_reply(&mut self, patience: Duration) -> Result<Reply, ExchangeError> {
        let limits = self.limits;
        self.limits.quiet_timeout = patience;
        // Waiting is no low rate.
        self.limits.rate_window = 2 * patience;
        self.stream.get_ref().set_read_timeout(Some(patience))?;
        let reply = self.read_reply();
        self.limits = limits;
        let quiet = Some(limits.quiet_timeout);
        self.stream.get_ref().set_read_timeout(quiet)?;
        reply
    }

    /// Half-closes the connection.
    pub fn finish_writing(&mut self) -> Result<(), ExchangeError> {
        Ok(self.stream.get_ref().shutdown(Shutdown::Write)?)
    }

    /// Whether the connection is open and no unexpected bytes have arrived. Otherwise the next
    /// command needs a new connection.
    pub fn is_open(&mut self) -> bool {
        let stream = self.stream.get_ref();
        let quiet = self.stream.buffer().is_empty()
            && stream.set_nonblocking(true).is_ok()
            && matches!(stream.peek(&mut [0]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        quiet && stream.set_nonblocking(false).is_ok()
    }

    /// A server that refuses a body sends a line and closes; the write fails first. The line has
    /// arrived by then, so this does not wait.
    fn take_refusal(&mut self) -> Option<ExchangeError> {
        self.stream.get_ref().set_nonblocking(true).ok()?;
        loop {
            let line = self.read_line().ok()?;
            if line.starts_with("ERROR") {
                return Some(ExchangeError::Refused(line));
            }
        }
    }

    fn request_error(&self, error: io::Error) -> ExchangeError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ExchangeError::TimedOut(self.limits.quiet_timeout)
            }
            _ => ExchangeError::from(error),
        }
    }
}

fn connect(candidate: &SocketAddr, limits: &ClientLimits) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(candidate, limits.connect_timeout)?;
    // On loopback the kernel may choose the destination port as our own port; TCP then connects
    // the socket to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
    }
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(limits.quiet_timeout))?;
    stream.set_write_timeout(Some(limits.quiet_timeout))?;
    Ok(stream)
}

/// The beginning of an unexpected line, for an error message.
fn shorten(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    fn pair() -> (BlockingConnection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = listener.local_addr().unwrap().to_string();
        let address = Address::read(&text).unwrap();
        let connection = BlockingConnection::open(&address, &ClientLimits::short()).unwrap();
        (connection, listener.accept().unwrap().0)
    }

    #[test]
    fn an_address_needs_a_host_and_a_port() {
        for wrong in [
            "foo",
            "",
            ":80",
            "host:",
            "host:x",
            "host:70000",
            "::1",
            "a:0",
        ] {
            assert_eq!(Address::read(wrong).unwrap_err().status(), 2, "{wrong}");
        }
        assert!(Address::read("127.0.0.1:1").is_ok());
        assert!(Address::read("[::1]:1").is_ok());
    }

    #[test]
    fn a_refused_connection_names_the_address_and_gives_advice() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = listener.local_addr().unwrap().to_string();
        drop(listener);
        let address = Address::read(&text).unwrap();
        let error = BlockingConnection::open(&address, &ClientLimits::short()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot connect to {text}: Connection refused; \
                 is the server running? start it with: loket serve"
            )
        );
    }

    #[test]
    fn a_server_that_never_answers_times_out() {
        let (mut connection, _server) = pair();
        assert!(matches!(
            connection.read_line(),
            Err(ExchangeError::TimedOut(_))
        ));
        assert!(matches!(
            connection.read(&mut [0; 4]),
            Err(ExchangeError::TimedOut(_))
        ));
    }

    #[test]
    fn a_server_that_sends_a_byte_now_and_then_is_too_slow() {
        type Read = fn(&mut BlockingConnection) -> Result<(), ExchangeError>;
        let line: Read = |connection| connection.read_line().map(drop);
        let body: Read =
            |connection| (0..1000).try_for_each(|_| connection.read(&mut [0; 4]).map(drop));
        for read in [line, body] {
            let (mut connection, mut server) = pair();
            // On a busy machine, bytes are further apart than the patience of the other tests.
            let patience = Some(Duration::from_secs(20));
            let stream = connection.stream.get_ref();
            stream.set_read_timeout(patience).unwrap();
            let sender = thread::spawn(move || {
                while server.write_all(b"x").is_ok() {
                    thread::sleep(Duration::from_millis(20));
                }
            });
            match read(&mut connection) {
                Err(ExchangeError::TooSlow { moved, waited }) => {
                    assert!(moved < 1000 && waited >= connection.limits.rate_window);
                }
                other => panic!("{other:?}"),
            }
            drop(connection);
            sender.join().unwrap();
        }
    }

    #[test]
    fn a_moving_body_and_many_short_answers_are_not_too_slow() {
        let limits = ClientLimits::short();
        let window = limits.rate_window;
        let enough = (limits.min_rate * window.as_secs()) as usize;
        let mut rate = RateMeter::default();
        for _ in 0..3 {
            rate.count(window / 2, 1, &limits).unwrap();
            rate.count(window / 2, enough, &limits).unwrap();
        }
        let (mut connection, mut server) = pair();
        for _ in 0..3 {
            connection.rate.count(window / 2, 1, &limits).unwrap();
            connection.send(b"ls\n").unwrap();
            server.write_all(b"OK\n").unwrap();
            connection.read_reply().unwrap();
        }
    }

    #[test]
    fn a_server_that_never_reads_times_out() {
        let (mut connection, _server) = pair();
        let endless = vec![0; 64 << 20];
        assert!(matches!(
            connection.send(&endless),
            Err(ExchangeError::TimedOut(_))
        ));
    }

    #[test]
    fn the_refusal_of_a_server_that_does_not_read_is_received() {
        let (mut connection, mut server) = pair();
        server.write_all(b"ERROR too large\n").unwrap();
        let endless = vec![0; 64 << 20];
        match connection.send(&endless) {
            Err(ExchangeError::Refused(words)) => assert_eq!(words, "ERROR too large"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_that_is_not_a_reply_is_an_error() {
        let (mut connection, mut server) = pair();
        server.write_all(b"OK\r\nOK 7\nERROR: no\nOKAY\n").unwrap();
        let mut reply = || connection.read_reply();
        assert_eq!(reply().unwrap(), Reply::Yes(String::new()));
        assert_eq!(reply().unwrap(), Reply::Yes("7".to_owned()));
        assert_eq!(reply().unwrap(), Reply::No("ERROR: no".to_owned()));
        assert!(matches!(reply(), Err(ExchangeError::NotAReply(_))));
    }

    #[test]
    fn a_line_over_the_limit_is_an_error_and_not_stored() {
        let (mut connection, mut server) = pair();
        let writer = thread::spawn(move || server.write_all(&[b'x'; 100_000]));
        assert!(matches!(
            connection.read_line(),
            Err(ExchangeError::NotAReply(_))
        ));
        drop(connection);
        let _ = writer.join().unwrap();
    }

    #[test]
    fn a_closed_connection_is_detected_before_the_next_command() {
        let (mut connection, server) = pair();
        assert!(connection.is_open());
        drop(server);
        // The end of stream may still be in flight: wait for it.
        assert!(matches!(connection.read(&mut [0]), Ok(0)));
        assert!(!connection.is_open());
    }
}
