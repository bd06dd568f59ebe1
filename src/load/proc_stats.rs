//! Reads the CPU time and the memory of a process and its descendants from proc(5).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A process of this host that is sampled before and after the run, with all its descendants: the
/// workers of a server are often children of the process that was started.
#[derive(Debug, Clone)]
pub struct WatchedProcess {
    process: u32,
    with_descendants: bool,
}

/// The resources used by the processes up to one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcSample {
    /// Nanoseconds on a core, and runnable without a core, of each thread.
    threads: HashMap<PathBuf, (u64, u64)>,
    /// Bytes of anonymous memory.
    pub memory: u64,
}

/// The CPU time between two samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuSpent {
    /// Microseconds on a core, of all threads.
    pub cpu: u64,
    /// Microseconds in which a thread was runnable and another program had the core. Waiting for
    /// another of these threads does not count.
    pub kept_waiting: u64,
}

impl WatchedProcess {
    /// The process with this PID, and its descendants.
    pub fn new(process: u32) -> WatchedProcess {
        WatchedProcess {
            process,
            with_descendants: true,
        }
    }

    /// This process alone.
    pub fn own() -> WatchedProcess {
        WatchedProcess {
            process: std::process::id(),
            with_descendants: false,
        }
    }

    /// Samples the process; `None` if it has ended or belongs to another user.
    pub fn sample(&self) -> Option<ProcSample> {
        let mut sample = ProcSample {
            threads: HashMap::new(),
            memory: memory(self.process)?,
        };
        let mut processes = vec![self.process];
        while let Some(process) = processes.pop() {
            // A descendant, or a thread, may end between two reads.
            let threads = fs::read_dir(format!("/proc/{process}/task"));
            for task in threads.ok().into_iter().flatten().flatten() {
                let path = task.path();
                let children = fs::read_to_string(path.join("children")).unwrap_or_default();
                let children = children.split_whitespace().map(str::parse::<u32>);
                if self.with_descendants {
                    processes.extend(children.filter_map(Result::ok));
                }
                if let Some(times) = nanos(&path) {
                    sample.threads.insert(path, times);
                }
            }
            if process != self.process {
                sample.memory += memory(process).unwrap_or(0);
            }
        }
        Some(sample)
    }
}

impl ProcSample {
    /// What was spent since an earlier sample. Threads that have ended do not count.
    pub fn since(&self, before: &ProcSample) -> CpuSpent {
        let times = |task: &PathBuf, now: &(u64, u64)| {
            let then = before.threads.get(task).copied().unwrap_or_default();
            (now.0.saturating_sub(then.0), now.1.saturating_sub(then.1))
        };
        let all: Vec<_> = self
            .threads
            .iter()
            .map(|(task, now)| times(task, now))
            .collect();
        let ran: u64 = all.iter().map(|(ran, _)| ran).sum();
        let others = |(own, waited): &(u64, u64)| waited.saturating_sub(ran - own);
        CpuSpent {
            cpu: ran / 1_000,
            kept_waiting: all.iter().map(others).max().unwrap_or(0) / 1_000,
        }
    }
}

/// `status` sums per-core counters, and may be off by a quarter of a MiB.
fn memory(process: u32) -> Option<u64> {
    let pages = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let mut lines = pages.lines();
    let own = lines.find_map(|line| line.strip_prefix("Anonymous:"))?;
    let kib: u64 = own.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}

/// `schedstat` counts nanoseconds; `stat` counts 10 ms, too coarse for a low rate.
fn nanos(task: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn this_process_is_sampled_with_its_children_and_a_missing_one_is_not() {
        let own = WatchedProcess::new(std::process::id());
        let alone = own.sample().expect("it runs");
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("cat");
        let task = PathBuf::from(format!("/proc/{0}/task/{0}", child.id()));
        let both = own.sample().expect("it runs");
        let _ = child.kill();
        let _ = child.wait();
        assert!(alone.memory > 0 && !alone.threads.contains_key(&task));
        assert!(both.threads.contains_key(&task), "{both:?}");
        assert_eq!(WatchedProcess::new(0).sample(), None);
    }

    #[test]
    fn waiting_for_another_thread_of_the_same_server_does_not_count() {
        let sample = |threads: &[(u64, u64)]| ProcSample {
            threads: (0..)
                .map(|name: u32| name.to_string().into())
                .zip(threads.iter().copied())
                .collect(),
            memory: 0,
        };
        let before = sample(&[(0, 0), (1_000_000, 0)]);
        let after = sample(&[(3_000_000, 2_500_000), (3_000_000, 3_000_000)]);
        let (cpu, kept_waiting) = (5_000, 500);
        assert_eq!(after.since(&before), CpuSpent { cpu, kept_waiting });
    }
}
