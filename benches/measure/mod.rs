//! Shared parts of the measurements: server processes, the load generator, cores, timeouts.
#![allow(dead_code)] // each bench uses only a part of it

pub mod contender;
pub mod drawing;
pub mod generator;
pub mod pinning;
pub mod plan;
pub mod scheduled_echo;
pub mod server;
pub mod spread;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Timeout of a run: a server that hangs is an error.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// Properties of the machine that a reader needs to compare two reports: names and values.
pub fn machine() -> Vec<(&'static str, String)> {
    let read = |path: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.trim().to_string()
    };
    let processor = read("/proc/cpuinfo");
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = read("/proc/meminfo");
    let kib = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let gib = kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / (1 << 20) as f64;
    let core = pinning::server_core();
    let siblings = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let cores = format!(
        "{}; server on core {core}, load on core {}{}",
        processor.matches("processor\t").count(),
        pinning::load_core(),
        match pinning::shares_core() {
            true => ": they disturb each other, use two cores",
            false => "",
        }
    );
    vec![
        (
            "processor",
            model.map_or("unknown", |(_, name)| name).to_string(),
        ),
        ("cores", cores),
        ("threads of the server's physical core", read(&siblings)),
        (
            "kernel",
            format!("Linux {}", read("/proc/sys/kernel/osrelease")),
        ),
        ("memory", format!("{gib:.1} GiB")),
        (
            "network",
            format!(
                "loopback, congestion control {}",
                read("/proc/sys/net/ipv4/tcp_congestion_control")
            ),
        ),
        (
            "loket",
            format!("{} {}", env!("CARGO_PKG_VERSION"), commit()),
        ),
        ("load average at the start", read("/proc/loadavg")),
    ]
}

/// The commit of the checkout, with a mark for changes.
fn commit() -> String {
    let git = |args: &[&str]| {
        let output = std::process::Command::new("git")
            .args(["-C", env!("CARGO_MANIFEST_DIR")])
            .args(args)
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.unwrap_or_default().trim().to_string()
    };
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changes.is_empty() {
        ""
    } else {
        ", with changes"
    };
    format!("({}{mark})", git(&["rev-parse", "--short=12", "HEAD"]))
}

/// Prints the port that the server has.
pub fn announce(port: u16) -> Result<(), String> {
    let mut out = std::io::stdout();
    let printed = writeln!(out, "listening on {port}").and_then(|()| out.flush());
    printed.map_err(|e| format!("cannot write to standard output: {e}"))
}

/// Writes files into a folder.
pub fn write_all(folder: &Path, files: [(&str, &str); 2]) -> Result<(), String> {
    for (name, text) in files {
        let path = folder.join(name);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
        written.map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    println!("report: {}", folder.join(files[0].0).display());
    Ok(())
}

/// A folder below `target` that is removed with its files.
pub fn scratch(prefix: &str) -> Result<TempDir, String> {
    let made = tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    made.map_err(|e| format!("cannot create a directory below target: {e}"))
}

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Turns SIGINT and SIGTERM into an error, so that servers are stopped and files removed.
pub fn stop_on_signals() -> Result<(), String> {
    let flag = STOP.get_or_init(Default::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(flag))
            .map_err(|e| format!("cannot catch signal {signal}: {e}"))?;
    }
    Ok(())
}

/// An error after SIGINT or SIGTERM.
pub fn check_stop() -> Result<(), String> {
    match STOP.get().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
        true => Err("stopped by a signal".to_string()),
        false => Ok(()),
    }
}

/// The deadline of one run.
pub struct Limit(Instant);

impl Limit {
    pub fn new() -> Limit {
        Limit(Instant::now() + RUN_LIMIT)
    }

    pub fn check(&self) -> Result<(), String> {
        check_stop()?;
        if Instant::now() > self.0 {
            return Err(format!("not finished within {} s", RUN_LIMIT.as_secs()));
        }
        Ok(())
    }
}
