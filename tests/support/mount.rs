//! A FUSE mount that can be stopped or slow: bindfs(1), with strace(1) for delays.
//!
//! It is in a mount namespace of its own, which ends with its last process.

use rustix::process::{Pid, Signal};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Most time for one step of bindfs, on a slow machine, too.
const DEADLINE: Duration = Duration::from_secs(20);

/// A daemon that does nothing for this time has no request.
const QUIET: Duration = Duration::from_millis(20);

/// A mount that can be stopped.
pub const PLAIN: &str = "bindfs -f";
/// Attributes are asked each time and take 0.3 s, side by side. Names that are new take that long
/// one after the other in each folder.
pub const SLOW: &str = "strace -D -f -qq -o /dev/null -e trace=%lstat \
    -e inject=%lstat:delay_enter=300ms bindfs -f --multithreaded \
    -o entry_timeout=600,attr_timeout=0";

/// The daemon of the mount.
pub struct Mount(Child);

impl Mount {
    /// Mounts the folder `behind` at `at` with one of the commands above.
    pub fn new(command: &str, behind: &Path, at: &Path) -> Result<Mount, String> {
        let failed = |error| format!("`{command}` for {} failed: {error}", at.display());
        // The daemon ends with the calling thread, also when that is killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--mount"])
            .args(command.split_whitespace())
            .args([behind, at])
            .stderr(Stdio::null())
            .spawn();
        let mut mount = Mount(child.map_err(|e| failed(e.to_string()))?);
        // Other mounts are no proof: before it has its own namespace, it sees those of the caller.
        let place = at.canonicalize().map_err(|e| failed(e.to_string()))?;
        let place = format!(" {} ", place.display());
        let is_own = |line: &str| line.contains(&place) && line.contains(" - fuse");
        let mut ended = None;
        let is_up = wait_until(|| {
            ended = mount.0.try_wait().unwrap_or_default();
            ended.is_some() || mount.read("mountinfo").lines().any(is_own)
        });
        match ended {
            None if is_up => Ok(mount),
            None => Err(failed("it mounts nothing".to_owned())),
            Some(status) => Err(failed(status.to_string())),
        }
    }

    /// The words before a program that sees the mount.
    pub fn inside(&self) -> String {
        format!("nsenter --mount --target {}", self.0.id())
    }

    /// From now on it answers no request. It has begun none: until such a one is answered, the
    /// kernel would not even let the process that waits for it exit.
    pub fn stop(&self) -> Result<(), String> {
        let is_idle = wait_until(|| {
            // The number of its context switches is a part of this.
            let before = self.read("status");
            std::thread::park_timeout(QUIET);
            self.read("status") == before && self.read("wchan").contains("fuse")
        });
        self.signal(Signal::STOP);
        match is_idle && wait_until(|| self.read("stat").contains(") T ")) {
            true => Ok(()),
            false => Err("bindfs is never idle, or does not stop".to_owned()),
        }
    }

    /// It answers again, also what was asked meanwhile.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(Pid::from_child(&self.0), signal);
    }

    fn read(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.0.id());
        std::fs::read_to_string(path).unwrap_or_default()
    }
}

fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
