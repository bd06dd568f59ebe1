//! CPU pinning, the descriptor limit and the network namespace of the measurements.

use rustix::process::{Resource, Rlimit, Signal, geteuid, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::os::unix::process::CommandExt;
use std::process::Command;

pub const SERVER_CORE: usize = 0;
pub const LOAD_CORE: usize = 1;

/// Pins this process and its future children to one core.
pub fn pin_to(core: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|e| format!("cannot pin to core {core}: {e}"))
}

/// Executes the given program on the server's core; it gets SIGTERM when its parent exits.
pub fn pinned(args: &[String]) -> Result<(), String> {
    let [program, rest @ ..] = args else {
        return Err("pinned needs a program".to_string());
    };
    pin_to(SERVER_CORE)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|e| format!("cannot set the parent death signal: {e}"))?;
    Err(format!(
        "cannot start {program}: {}",
        Command::new(program).args(rest).exec()
    ))
}

/// Raises the descriptor limit to its maximum and returns it; child processes inherit it.
pub fn raise_fd_limit() -> Result<u64, String> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit)
        .map_err(|e| format!("cannot raise the descriptor limit to {maximum:?}: {e}"))?;
    Ok(maximum.unwrap_or(u64::MAX))
}

/// Executes this program again in a new network namespace that has only a loopback interface.
pub fn enter_namespace(args: &[String]) -> Result<(), String> {
    let program = std::env::current_exe()
        .map_err(|e| format!("cannot find the path of this program: {e}"))?;
    let mut unshare = Command::new("unshare");
    if !geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.arg("--net").arg(program).args(args);
    let failed = unshare.arg("--entered").exec();
    Err(format!(
        "cannot run unshare to create a network namespace: {failed}"
    ))
}

/// Sets up the loopback interface and the congestion control of the namespace.
pub fn prepare_namespace(congestion: &str) -> Result<(), String> {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    if !up.as_ref().is_ok_and(|status| status.success()) {
        return Err(format!(
            "cannot bring up the loopback interface with ip(8): {up:?}"
        ));
    }
    let path = "/proc/sys/net/ipv4/tcp_congestion_control";
    std::fs::write(path, congestion).map_err(|e| {
        format!(
            "cannot set {path} to {congestion:?}: {e} (reno and the system default always work)"
        )
    })
}
