//! Reads the CPU time and the memory of a server process from proc(5).

use std::fs;
use std::path::{Path, PathBuf};

/// A process of this host that is sampled before and after the run.
#[derive(Debug, Clone)]
pub struct WatchedProcess(PathBuf);

/// The resources used by a process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcSample {
    /// Microseconds of CPU so far, of all threads.
    pub cpu: u64,
    /// Microseconds so far in which a thread was runnable and waited for a core.
    pub kept_waiting: u64,
    /// Bytes of anonymous memory.
    pub memory: u64,
}

impl WatchedProcess {
    /// The process with this PID.
    pub fn new(process: u32) -> WatchedProcess {
        WatchedProcess(PathBuf::from(format!("/proc/{process}")))
    }

    /// Samples the process; `None` if it has ended or belongs to another user.
    pub fn sample(&self) -> Option<ProcSample> {
        let tasks = fs::read_dir(self.0.join("task")).ok()?;
        // `schedstat` counts nanoseconds; `stat` counts 10 ms, too coarse for a low rate.
        let (mut cpu, mut kept_waiting) = (0, 0);
        for task in tasks.flatten() {
            // A thread may end between the two reads.
            if let Some((ran, waited)) = nanos(&task.path()) {
                cpu += ran;
                kept_waiting += waited;
            }
        }
        // `status` sums per-core counters, and may be off by a quarter of a MiB.
        let pages = fs::read_to_string(self.0.join("smaps_rollup")).ok()?;
        let own = pages
            .lines()
            .find_map(|line| line.strip_prefix("Anonymous:"))?;
        let kib: u64 = own.split_whitespace().next()?.parse().ok()?;
        Some(ProcSample {
            cpu: cpu / 1_000,
            kept_waiting: kept_waiting / 1_000,
            memory: kib * 1_024,
        })
    }
}

fn nanos(task: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_sampled_and_a_missing_one_is_not() {
        let seen = WatchedProcess::new(std::process::id())
            .sample()
            .expect("it runs");
        assert!(seen.cpu > 0 && seen.memory > 0, "{seen:?}");
        assert_eq!(WatchedProcess::new(0).sample(), None);
    }
}
