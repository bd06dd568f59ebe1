//! Cores, the descriptor limit and the network namespace of the measurements.

use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setpriority_process, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

/// The cores that this process may use when it starts.
fn cores() -> &'static [usize] {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(|| {
        let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        let all = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core));
        let all: Vec<usize> = all.collect();
        if all.is_empty() { vec![0] } else { all }
    })
}

pub fn server_core() -> usize {
    cores()[0]
}

/// The core of the load: the same one if there is no other.
pub fn load_core() -> usize {
    cores()[cores().len().min(2) - 1]
}

/// Pins the calling thread and its future children to the core of the load.
pub fn pin_load() -> Result<(), String> {
    let core = load_core();
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|e| format!("cannot pin to core {core}: {e}"))
}

/// Moves the calling thread to a core without server and load; if there is none, it shares the core
/// of the load, and gives way to it.
pub fn give_way() {
    let mut set = CpuSet::new();
    set.set(cores().get(2).copied().unwrap_or(load_core()));
    let _ = sched_setaffinity(None, &set);
    // Linux sets it for the thread.
    let _ = setpriority_process(None, 19);
}

/// Whether server and load share a core: their figures disturb each other.
pub fn shares_core() -> bool {
    server_core() == load_core()
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
    Ok(maximum.unwrap_or(1 << 20))
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
