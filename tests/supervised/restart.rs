//! Restarts of a server whose sockets a supervisor keeps open: no client is refused or reset, and
//! transfers that run end whole.

use crate::support;
use crate::support::python::{interpreter, python};
use crate::support::{Client, Prepared, Server, eventually, noise};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};

const HAND_OVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/supervised/hand_over.py");

/// A supervisor with the sockets of echo and http.
struct Supervisor {
    sockets: [(&'static str, TcpListener); 2],
    folder: tempfile::TempDir,
}

impl Supervisor {
    fn new() -> Supervisor {
        let sockets = ["echo", "http"].map(|name| {
            let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
            rustix::net::listen(&socket, 4096).expect("a longer queue");
            fcntl_setfd(&socket, FdFlags::empty()).expect("an option");
            (name, socket)
        });
        Supervisor {
            sockets,
            folder: support::rooted(),
        }
    }

    fn address(&self, number: usize) -> std::net::SocketAddr {
        self.sockets[number].1.local_addr().expect("an address")
    }

    fn start(&self) -> Server {
        let handed = self.sockets.iter();
        let handed = handed.map(|(name, socket)| format!("{name}=fd@{}", socket.as_raw_fd()));
        let handed: Vec<String> = handed.collect();
        let words = handed.iter().map(String::as_str);
        let above: Vec<&str> = [interpreter(), HAND_OVER]
            .into_iter()
            .chain(words)
            .chain(["--"])
            .collect();
        let prepared = Prepared::without_ports(&above);
        let root = prepared.folder().join("root");
        std::fs::remove_dir(&root).expect("an empty folder");
        std::os::unix::fs::symlink(self.folder.path().join("root"), root).expect("a link");
        prepared.launch()
    }

    fn load(&self, words: &[&str], number: usize) -> Child {
        Command::new(env!("CARGO_BIN_EXE_loket"))
            .arg("load")
            .args(words)
            .args(["--at", &self.address(number).to_string()])
            .args(["-c", "8", "-d", "600", "--fail-if", "errors=0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts")
    }
}

/// How often the server is restarted; LOKET_RESTARTS changes it.
fn restarts() -> usize {
    let given = std::env::var("LOKET_RESTARTS").ok();
    given.map_or(3, |given| given.parse().expect("a number"))
}

/// Ends a run of the load generator, and checks that no request failed.
#[track_caller]
fn no_request_failed(load: Child) {
    kill_process(Pid::from_child(&load), Signal::INT).expect("it runs");
    let ended = load.wait_with_output().expect("our child");
    let report = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{report}");
    if restarts() > 3 {
        println!("{report}");
    }
}

#[test]
fn restarts_refuse_and_reset_no_client_and_cut_no_transfer() {
    if !python("restarts_refuse_and_reset_no_client_and_cut_no_transfer") {
        return;
    }
    let supervisor = Supervisor::new();
    let body = noise(8_000_000);
    std::fs::write(supervisor.folder.path().join("root/big"), &body).expect("room");
    let mut server = supervisor.start();
    let churn = supervisor.load(&["churn"], 0);
    let http = supervisor.load(&["http", "--close", "--put", "--size", "100"], 1);
    // Before, the load generator prepares over connections that it keeps.
    for service in ["echo", "http"] {
        let count = format!("loket_accepted_connections_total{{service=\"{service}\"}} ");
        eventually("the load runs", || {
            let mut client = Client::connect(supervisor.address(1));
            let metrics = client.send("GET /-/metrics HTTP/1.0\r\n\r\n").text();
            let value = metrics.lines().find_map(|line| line.strip_prefix(&count));
            value.expect("a counter").parse::<u64>().expect("a number") > 300
        });
    }
    for number in 0..restarts() {
        let mut download = Client::connect(supervisor.address(1));
        download
            .send("GET /big HTTP/1.0\r\n\r\n")
            .expect("HTTP/1.1 200");
        // SIGHUP ends a server under a supervisor as SIGTERM does.
        server.signal([Signal::TERM, Signal::HUP][number % 2]);
        let got = download.rest();
        assert!(got.ends_with(&body), "{} bytes", got.len());
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
        assert!(
            !server.log().contains("unfinished connections"),
            "{}",
            server.log()
        );
        server = supervisor.start();
    }
    no_request_failed(churn);
    no_request_failed(http);
}
