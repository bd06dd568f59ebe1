//! A load run removes its files, however it ends; `transfer` leaves at most empty ones.

use crate::fake_server::{Ended, start, wait};
use crate::support;
use crate::support::{Server, eventually, tree};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const SERVICES: [&str; 2] = ["files", "transfer"];

/// Starts a run of one hour.
fn endless(server: &Server, service: &str, flags: &[&str]) -> (tempfile::TempDir, Child) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = server.address(service).to_string();
    let all = ["load", service, "--at", &at, "-d", "3600", "-s", "10K"];
    let child = start(folder.path(), &[&all[..], flags].concat());
    (folder, child)
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it runs");
}

/// The files of a root that are not empty. An unfinished upload has no name.
fn full(root: &Path) -> Vec<PathBuf> {
    let files = tree(root).into_iter();
    let full = files.filter(|(_, bytes)| !bytes.is_empty());
    full.map(|(path, _)| path).collect()
}

#[track_caller]
fn nothing_is_left(server: &Server, service: &str, ended: &Ended) {
    let left = match service {
        "files" => tree(&server.root()).into_keys().collect(),
        _ => full(&server.root()),
    };
    assert_eq!(left, Vec::<PathBuf>::new(), "{ended:?}");
    assert!(!ended.out.contains("still be on"), "{ended:?}");
    assert!(!ended.err.contains("still be on"), "{ended:?}");
}

#[test]
fn a_run_stopped_by_a_signal_leaves_no_files() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        for service in SERVICES {
            for flags in [&["-c", "4"][..], &["-c", "4", "--reconnect"]] {
                let server = Server::start(&[]);
                let (_folder, child) = endless(&server, service, flags);
                eventually("files are stored", || full(&server.root()).len() >= 3);
                send(&child, signal);
                let ended = wait(child);
                // The measurement may not have started yet.
                let output = [&ended.out[..], &ended.err].concat();
                assert!(output.contains("interrupted"), "{ended:?}");
                nothing_is_left(&server, service, &ended);
            }
        }
    }
}

#[test]
fn a_run_with_unserved_connections_leaves_no_files() {
    for service in SERVICES {
        let server = Server::start(&["--max-connections", "2"]);
        let (_folder, child) = endless(&server, service, &["-c", "6"]);
        eventually("the served connections have stored files", || {
            full(&server.root()).len() == 2
        });
        send(&child, Signal::INT);
        let ended = wait(child);
        ended.expect_failure(1, &["interrupted before all connections were open"]);
        // All connections in the accept queue are served before this one.
        server.connect(service).send("byebye\n").finish().rest();
        nothing_is_left(&server, service, &ended);
    }
}

#[test]
fn a_run_that_cannot_start_leaves_no_files() {
    // A run uses 250 source addresses; the server accepts one connection from each.
    let server = Server::start(&["--max-per-address", "1"]);
    for service in SERVICES {
        let at = server.address(service).to_string();
        let folder = tempfile::tempdir().expect("a folder");
        let child = start(
            folder.path(),
            &["load", service, "--at", &at, "-c", "600", "-d", "1"],
        );
        let ended = wait(child);
        ended.expect_failure(1, &["cannot start"]);
        nothing_is_left(&server, service, &ended);
    }
}

#[test]
fn files_are_removed_from_a_restarted_server() {
    for service in SERVICES {
        let mut server = Server::start(&[]);
        let address = server.address(service);
        let (_folder, child) = endless(&server, service, &["-c", "4"]);
        eventually("files are stored", || full(&server.root()).len() >= 3);
        server.kill();
        let _again = Again::start(&server.root(), service, address.port());
        let ended = wait_or_interrupt(child);
        nothing_is_left(&server, service, &ended);
    }
}

/// A second server on the same root, with one service on the old port.
struct Again(Child);

impl Again {
    fn start(root: &Path, service: &str, port: u16) -> Again {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loket"));
        command.arg("serve").arg("--root").arg(root);
        for other in ["echo", "transfer", "files", "talk", "http", "room"] {
            let port = match other == service {
                true => port.to_string(),
                false => "off".to_owned(),
            };
            command.args([format!("--{other}"), port]);
        }
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
        Again(quiet.stderr(Stdio::null()).spawn().expect("loket starts"))
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The run may not notice that the server restarted.
fn wait_or_interrupt(mut child: Child) -> Ended {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while std::time::Instant::now() < until {
        if child.try_wait().expect("our child").is_some() {
            return wait(child);
        }
        support::pause();
    }
    send(&child, Signal::INT);
    wait(child)
}

#[test]
fn files_left_on_a_lost_server_are_reported() {
    let mut server = Server::start(&[]);
    let (_folder, child) = endless(&server, "files", &["-c", "4", "--only", "size"]);
    eventually("files are stored", || full(&server.root()).len() == 4);
    server.kill();
    let ended = wait(child);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    // The measurement may not have started yet.
    let output = [&ended.out[..], &ended.err].concat();
    let words = " and 3 more of this run may still be on the server";
    assert!(output.contains(words), "{ended:?}");
}
