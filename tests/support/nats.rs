//! A real nats-server with JetStream on a free port, for one test.

use super::{eventually, skip};
use rustix::process::{Pid, Signal, kill_process};
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
