//! A real nats-server with JetStream on a free port, for one test.

use super::{PATIENCE, eventually, skip};
use loket::services::link::owner::subject;
use loket::wire::nats;
use loket::wire::text::name_key;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A running nats-server. Dropping it kills the process.
pub struct Nats {
    child: Child,
    pub port: u16,
    folder: tempfile::TempDir,
}

impl Nats {
    /// Starts one; `None` if it is not installed.
    pub fn start(test: &str) -> Option<Nats> {
        if Command::new("nats-server").arg("-v").output().is_err() {
            skip(test, "nats-server is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let child = Nats::spawn(&folder, "-1");
        let path = folder
            .path()
            .join(format!("nats-server_{}.ports", child.id()));
        let mut port = None;
        eventually("nats-server listens", || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let number = text.split("127.0.0.1:").nth(1);
            let number = number.and_then(|rest| rest.split('"').next()?.parse().ok());
            port = number;
            port.is_some()
        });
        let port = port.expect("set above");
        Some(Nats {
            child,
            port,
            folder,
        })
    }

    fn spawn(folder: &tempfile::TempDir, port: &str) -> Child {
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", port, "-js"]);
        command.arg("-sd").arg(folder.path());
        command.arg("--ports_file_dir").arg(folder.path());
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("nats-server starts")
    }

    /// The value of `--link`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Stops it by SIGSTOP, and waits until all its threads have stopped.
    pub fn stop(&self) {
        let id = self.child.id();
        let pid = Pid::from_raw(i32::try_from(id).expect("a process id"));
        kill_process(pid.expect("a process id"), Signal::STOP).expect("our child");
        eventually("all threads have stopped", || {
            let threads = std::fs::read_dir(format!("/proc/{id}/task")).expect("a process");
            threads.flatten().all(|thread| {
                let stat = std::fs::read_to_string(thread.path().join("stat"));
                stat.is_ok_and(|stat| stat.contains(") T "))
            })
        });
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }

    /// Starts it again on the same port, with what it has stored.
    pub fn start_again(&mut self) {
        self.child = Nats::spawn(&self.folder, &self.port.to_string());
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that is no server, with a connection to the broker.
pub struct Program(BufReader<TcpStream>);

impl Program {
    pub fn of(nats: &Nats) -> Program {
        let socket = TcpStream::connect(("127.0.0.1", nats.port)).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        let mut program = Program(BufReader::new(socket));
        let options = json!({"verbose": false, "headers": true});
        let hello = [nats::connect(&options), nats::subscribe("answers", 1)];
        program.send(&hello.concat());
        program
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("a broker");
    }

    /// Sends a line to the room.
    pub fn say(&mut self, headers: &[(&str, &str)], line: &str) {
        self.send(&nats::publish(
            "loket.room.room",
            None,
            headers,
            line.as_bytes(),
        ));
    }

    /// Sends a request, and returns the answer.
    pub fn ask(&mut self, subject: &str, payload: &str) -> Value {
        self.send(&nats::publish(
            subject,
            Some("answers"),
            &[],
            payload.as_bytes(),
        ));
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a line");
            if line.starts_with("MSG answers") {
                let size = line.split_whitespace().last().expect("a size");
                let mut payload = vec![0; size.parse().expect("a number")];
                self.0.read_exact(&mut payload).expect("a payload");
                return serde_json::from_slice(&payload).expect("JSON");
            }
        }
    }

    /// Claims a name.
    pub fn claim(&mut self, name: &str, owner: &str) {
        let answer = self.ask(&subject(&name_key(name)), owner);
        assert!(answer.get("error").is_none(), "{answer}");
    }

    /// Gives a name back.
    pub fn release(&mut self, name: &str) {
        let request = json!({"filter": subject(&name_key(name))}).to_string();
        let answer = self.ask("$JS.API.STREAM.PURGE.KV_loket_names", &request);
        assert_eq!(answer["success"], true, "{answer}");
    }

    /// The owner of a name.
    pub fn owner(&mut self, name: &str) -> String {
        let request = json!({"last_by_subj": subject(&name_key(name))}).to_string();
        let answer = self.ask("$JS.API.STREAM.MSG.GET.KV_loket_names", &request);
        let owner = answer["message"]["data"].as_str().expect("an owner");
        let owner = <base64ct::Base64 as base64ct::Encoding>::decode_vec(owner);
        String::from_utf8(owner.expect("base64")).expect("text")
    }
}
