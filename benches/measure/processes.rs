//! CPU time, memory and threads of a process and its descendants, read from /proc.

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Unit of the CPU times in /proc/PID/stat, in seconds.
const TICK: f64 = 0.01;

/// For each thread, seconds on a core and seconds runnable; seconds of ended children on a core.
#[derive(Default)]
pub struct CpuTime {
    tasks: HashMap<PathBuf, (f64, f64)>,
    ended: f64,
}

impl CpuTime {
    /// Seconds on a core since `before`, and seconds in which a thread was runnable while another
    /// program had the core. Waiting for a thread of the same server does not count.
    pub fn since(&self, before: &CpuTime) -> (f64, f64) {
        let ran: f64 = self.total() - before.total();
        let core_wait = self.tasks.iter().map(|(task, now)| {
            let then = before.tasks.get(task).copied().unwrap_or_default();
            (now.1 - then.1) - (ran - (now.0 - then.0))
        });
        (ran, core_wait.fold(0.0, f64::max))
    }

    fn total(&self) -> f64 {
        self.ended + self.tasks.values().map(|times| times.0).sum::<f64>()
    }
}

/// A process and all its running descendants.
pub struct Processes(Vec<u32>);

impl Processes {
    pub fn under(first: u32) -> Result<Processes, String> {
        let list = std::fs::read_dir("/proc").map_err(|e| format!("cannot list /proc: {e}"))?;
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in list.filter_map(Result::ok) {
            // A process that has ended meanwhile is skipped.
            if let Some(process) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
                && let Ok(text) = std::fs::read_to_string(entry.path().join("stat"))
                && let Some(parent) = stat(&text, 1)
            {
                children.entry(parent as u32).or_default().push(process);
            }
        }
        let mut all = vec![first];
        let mut next = 0;
        while next < all.len() {
            all.extend(children.remove(&all[next]).unwrap_or_default());
            next += 1;
        }
        Ok(Processes(all))
    }

    /// CPU time of all threads and of ended descendants since their start.
    pub fn cpu_time(&self) -> Result<CpuTime, String> {
        let mut spent = CpuTime::default();
        for process in &self.0 {
            for task in tasks(*process)? {
                let times = match std::fs::read_to_string(task.join("schedstat")) {
                    Ok(text) => (
                        field(&text, 0).unwrap_or(0.0) / 1e9,
                        field(&text, 1).unwrap_or(0.0) / 1e9,
                    ),
                    // Without schedstat in the kernel: coarse, and without waiting times.
                    Err(_) => (times(&task, 11)?, 0.0),
                };
                spent.tasks.insert(task, times);
            }
            spent.ended += times(&PathBuf::from(format!("/proc/{process}")), 13)?;
        }
        Ok(spent)
    }

    /// Pidfds of all processes but the first.
    pub fn descendants(&self) -> Vec<OwnedFd> {
        let ids = self.0.iter().skip(1);
        let known = ids.filter_map(|process| Pid::from_raw(*process as i32));
        known
            .filter_map(|process| pidfd_open(process, PidfdFlags::empty()).ok())
            .collect()
    }

    pub fn threads(&self) -> Result<usize, String> {
        let counts = self.0.iter().map(|process| Ok(tasks(*process)?.len()));
        counts.sum()
    }

    /// Bytes of anonymous memory. VmRSS and RssAnon in `status` are counted per core and may be off
    /// by a quarter of a MiB.
    pub fn memory(&self) -> Result<f64, String> {
        let mut sum = 0.0;
        for process in &self.0 {
            let path = format!("/proc/{process}/smaps_rollup");
            let text =
                std::fs::read_to_string(&path).map_err(|e| format!("cannot read {path}: {e}"))?;
            let line = text.lines().find(|line| line.starts_with("Anonymous:"));
            let kib = line.and_then(|line| field(line, 1));
            sum += kib.ok_or(format!("no line Anonymous in {path}"))? * 1024.0;
        }
        Ok(sum)
    }
}

fn tasks(process: u32) -> Result<Vec<PathBuf>, String> {
    let path = format!("/proc/{process}/task");
    let list = std::fs::read_dir(&path)
        .map_err(|e| format!("cannot list {path}: {e}; has process {process} ended?"))?;
    Ok(list.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

/// Sum in seconds of two adjacent fields of `stat`: user and system time.
fn times(folder: &Path, first: usize) -> Result<f64, String> {
    let path = folder.join("stat");
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let of = |index| stat(&text, index).unwrap_or(0.0);
    Ok((of(first) + of(first + 1)) * TICK)
}

/// A field of `stat`, counted from behind the name in parentheses, which may contain spaces.
fn stat(text: &str, index: usize) -> Option<f64> {
    field(text.rsplit(')').next()?, index)
}

pub fn field(text: &str, index: usize) -> Option<f64> {
    text.split_ascii_whitespace().nth(index)?.parse().ok()
}
