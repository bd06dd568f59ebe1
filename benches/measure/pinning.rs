//! Where programs run while they are measured: on which core, in which network namespace.

use rustix::process::{Resource, Rlimit, Signal, geteuid, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::os::unix::process::CommandExt;
use std::process::Command;

pub const SERVER_CORE: usize = 0;
pub const LOAD_CORE: usize = 1;

/// Puts this process on one core, and with it everything that it starts.
pub fn pin_to(core: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|e| format!("cannot move to core {core}: {e}"))
}

/// Becomes the program that the words name, on the server's core, and dies with its parent.
pub fn pinned(words: &[String]) -> Result<(), String> {
    let [program, args @ ..] = words else {
        return Err("pinned needs a program".to_string());
    };
    pin_to(SERVER_CORE)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|e| format!("cannot ask to die with the parent: {e}"))?;
    Err(format!(
        "cannot start {program}: {}",
        Command::new(program).args(args).exec()
    ))
}

/// Ten thousand connections at both ends: every process that starts here inherits the limit.
pub fn raise_descriptors() -> Result<u64, String> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit)
        .map_err(|e| format!("cannot raise the descriptor limit to {maximum:?}: {e}"))?;
    Ok(maximum.unwrap_or(u64::MAX))
}

/// Becomes this program once more, in a network namespace that has nothing but a loopback.
pub fn enter(words: &[String]) -> Result<(), String> {
    let program = std::env::current_exe()
        .map_err(|e| format!("cannot find the path of this very program: {e}"))?;
    let mut unshare = Command::new("unshare");
    if !geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.arg("--net").arg(program).args(words);
    let failed = unshare.arg("--entered").exec();
    Err(format!(
        "cannot start unshare, which makes a network namespace: {failed}"
    ))
}

/// Makes the namespace ready.
pub fn prepare(congestion: &str) -> Result<(), String> {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    if !up.as_ref().is_ok_and(|status| status.success()) {
        return Err(format!(
            "cannot bring up the loopback of the namespace with ip: {up:?}"
        ));
    }
    let path = "/proc/sys/net/ipv4/tcp_congestion_control";
    std::fs::write(path, congestion).map_err(|e| {
        format!(
            "cannot set {path} to {congestion:?}: {e} (reno and the system's default always work)"
        )
    })
}
