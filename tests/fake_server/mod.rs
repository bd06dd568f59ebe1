//! A TCP server that follows a script, one connection after another, and the client run against it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Much longer than any step of a test: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// The server side of one connection.
pub struct Peer(BufReader<TcpStream>);

impl Peer {
    pub fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let expected = bytes.as_ref();
        let mut found = vec![0; expected.len()];
        if let Err(error) = self.0.read_exact(&mut found) {
            panic!("{error} instead of {}", expected.escape_ascii());
        }
        assert!(
            found == expected,
            "{} instead of {}",
            found[..found.len().min(100)].escape_ascii(),
            expected[..expected.len().min(100)].escape_ascii()
        );
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Expects that the client closes its side without sending more bytes.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert_eq!(rest.escape_ascii().to_string(), "");
    }

    /// Reads until the client closes or resets the connection. Returns the number of bytes.
    pub fn discard_rest(&mut self) -> usize {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        rest.len()
    }

    /// Sends all bytes back until the client closes its side.
    pub fn echo(&mut self) {
        loop {
            let piece = self.0.fill_buf().unwrap();
            let count = piece.len();
            if count == 0 {
                return;
            }
            let piece = piece.to_vec();
            self.send(piece);
            self.0.consume(count);
        }
    }

    pub fn finish_writing(&mut self) {
        self.0.get_mut().shutdown(Shutdown::Write).unwrap();
    }
}

pub type Script = Box<dyn FnOnce(&mut Peer) + Send>;

/// Pairs of expected bytes and their answer. At the end the client closes, or else the server.
pub fn replies(steps: &[(&str, &str)], expects_end: bool) -> Script {
    let owned = |(expected, answer): &(&str, &str)| ((*expected).to_owned(), (*answer).to_owned());
    let steps: Vec<(String, String)> = steps.iter().map(owned).collect();
    Box::new(move |peer| {
        for (expected, answer) in steps {
            peer.expect(expected);
            peer.send(answer);
        }
        if expects_end {
            peer.expect_end();
        }
    })
}

/// A server that runs one script for each connection.
pub struct FakeServer {
    pub address: String,
    worker: JoinHandle<()>,
    ended: mpsc::Receiver<()>,
}

impl FakeServer {
    pub fn new(scripts: Vec<Script>) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (done, ended) = mpsc::channel();
        let worker = thread::spawn(move || {
            for script in scripts {
                let stream = listener.accept().unwrap().0;
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                stream.set_write_timeout(Some(DEADLINE)).unwrap();
                script(&mut Peer(BufReader::new(stream)));
                let _ = done.send(());
            }
        });
        FakeServer {
            address,
            worker,
            ended,
        }
    }

    pub fn once(script: impl FnOnce(&mut Peer) + Send + 'static) -> FakeServer {
        FakeServer::new(vec![Box::new(script)])
    }

    /// One connection: pairs of expected bytes and their answer, and then the client closes.
    pub fn plays(steps: &[(&str, &str)]) -> FakeServer {
        FakeServer::new(vec![replies(steps, true)])
    }

    /// One connection: pairs of expected bytes and their answer, and then the server closes.
    pub fn closes_after(steps: &[(&str, &str)]) -> FakeServer {
        FakeServer::new(vec![replies(steps, false)])
    }

    /// Runs a client with the address of this server as its last argument, until both have ended.
    pub fn run(self, folder: &Path, arguments: &[&str]) -> Ended {
        self.run_with(folder, arguments, b"")
    }

    /// [`FakeServer::run`] with this standard input.
    pub fn run_with(self, folder: &Path, arguments: &[&str], input: &[u8]) -> Ended {
        let arguments = [arguments, &[&self.address]].concat();
        let ended = run_with(folder, &arguments, input);
        self.finish();
        ended
    }

    /// Waits until one more script has ended and its connection is closed.
    pub fn wait_for_script(&self) {
        self.ended.recv_timeout(DEADLINE).unwrap();
    }

    /// Waits until all scripts have ended.
    pub fn finish(self) {
        // Ends a script that waits for a client: it gets a connection that closes at once.
        let _ = TcpStream::connect(&self.address);
        if let Err(panic) = self.worker.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A listening address to which no client may connect.
pub struct UnusedAddress(TcpListener);

impl UnusedAddress {
    pub fn new() -> UnusedAddress {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        UnusedAddress(listener)
    }

    pub fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    pub fn assert_no_connection(&self) {
        assert!(self.0.accept().is_err(), "a connection was opened");
    }
}

/// The output and the exit status of a client.
#[derive(Debug)]
pub struct Ended {
    pub out: String,
    pub err: String,
    pub status: Option<i32>,
}

impl Ended {
    #[track_caller]
    pub fn expect(&self, status: i32, out: &str, err: &str) {
        assert_eq!(
            (self.status, &self.out[..], &self.err[..]),
            (Some(status), out, err)
        );
    }

    /// Expects this exit status, and a standard error that contains these texts.
    #[track_caller]
    pub fn expect_failure(&self, status: i32, words: &[&str]) {
        assert_eq!(self.status, Some(status), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing in {self:?}");
        }
    }
}

pub fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_loket"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Expects exactly this text on the client's standard output.
pub fn expect_output(child: &mut Child, words: &str) {
    let mut found = vec![0; words.len()];
    let output = child.stdout.as_mut().unwrap();
    output.read_exact(&mut found).unwrap();
    assert_eq!(String::from_utf8_lossy(&found), words);
}

/// Waits for the client to exit. Kills it and panics at the deadline.
pub fn wait(child: Child) -> Ended {
    let pid = rustix::process::Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(DEADLINE) else {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        panic!("the client hangs");
    };
    let Output {
        status,
        stdout,
        stderr,
    } = output.unwrap();
    Ended {
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
        status: status.code(),
    }
}

pub fn run(folder: &Path, arguments: &[&str]) -> Ended {
    run_with(folder, arguments, b"")
}

/// [`run`] with this standard input.
pub fn run_with(folder: &Path, arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = start(folder, arguments);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let ended = wait(child);
    writer.join().unwrap();
    ended
}

pub fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Pseudo-random bytes, so that a missing or moved part is noticed.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(|_| step()).collect()
}
