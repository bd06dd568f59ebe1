//! Plays a server from a script, one connection after the other, and runs the client against it.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Far beyond what anything here takes: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// The server's end of one connection.
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

    /// The client closes its side, and sends nothing before that.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert_eq!(rest.escape_ascii().to_string(), "");
    }

    /// Everything up to the client's end, however it ends.
    pub fn read_away(&mut self) -> usize {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        rest.len()
    }

    /// Sends everything back until the client's end.
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

/// What must come and what it is answered, in turn; then the client's end, or the server's.
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

/// A server that plays one script a connection.
pub struct FakeServer {
    pub address: String,
    worker: JoinHandle<()>,
    over: mpsc::Receiver<()>,
}

impl FakeServer {
    pub fn new(scripts: Vec<Script>) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (done, over) = mpsc::channel();
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
            over,
        }
    }

    pub fn once(script: impl FnOnce(&mut Peer) + Send + 'static) -> FakeServer {
        FakeServer::new(vec![Box::new(script)])
    }

    /// Plays one connection: what must come and what it is answered, then the client's end.
    pub fn plays(steps: &[(&str, &str)]) -> FakeServer {
        FakeServer::new(vec![replies(steps, true)])
    }

    /// Plays one connection, and closes it.
    pub fn closes_after(steps: &[(&str, &str)]) -> FakeServer {
        FakeServer::new(vec![replies(steps, false)])
    }

    /// Runs a client to the end of both; the server's address is its last argument.
    pub fn run(self, folder: &Path, arguments: &[&str]) -> Ended {
        self.run_with(folder, arguments, b"")
    }

    /// Runs a client with this on its standard input.
    pub fn run_with(self, folder: &Path, arguments: &[&str], input: &[u8]) -> Ended {
        let arguments = [arguments, &[&self.address]].concat();
        let ended = run_with(folder, &arguments, input);
        self.finish();
        ended
    }

    /// One more script is over and its connection is closed.
    pub fn wait_for_a_script(&self) {
        self.over.recv_timeout(DEADLINE).unwrap();
    }

    /// Every script was played to its end.
    pub fn finish(self) {
        // A script that waits for a client that never came gets a caller who says nothing.
        let _ = TcpStream::connect(&self.address);
        if let Err(panic) = self.worker.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// An address at which nobody has called when the test asks.
pub struct Nobody(TcpListener);

impl Nobody {
    pub fn new() -> Nobody {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Nobody(listener)
    }

    pub fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    pub fn was_not_called(&self) {
        assert!(self.0.accept().is_err(), "a connection was opened");
    }
}

/// What the client printed and how it ended.
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

    /// It failed, and said so in words that hold these.
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

/// Reads exactly this from the client's standard output.
pub fn hear(child: &mut Child, words: &str) {
    let mut heard = vec![0; words.len()];
    let output = child.stdout.as_mut().unwrap();
    output.read_exact(&mut heard).unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), words);
}

/// Waits for the client, and ends the test if that takes too long.
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

/// Runs the client with this on its standard input.
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

/// Bytes in which every cut shows.
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
