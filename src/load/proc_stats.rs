//! Reads from /proc what the server costs, when it is a process of this host.

use std::fs;
use std::path::{Path, PathBuf};

/// A process that is looked at before and after the run.
#[derive(Debug, Clone)]
pub struct Watched(PathBuf);

/// What it had cost at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Microseconds of CPU so far, of all its threads.
    pub cpu: u64,
    /// Microseconds so far in which they could have run and their core was taken.
    pub kept_waiting: u64,
    /// Bytes of memory that no file stands behind.
    pub memory: u64,
}

impl Watched {
    /// The process with this number.
    pub fn new(process: u32) -> Watched {
        Watched(PathBuf::from(format!("/proc/{process}")))
    }

    /// Looks at it; nothing is seen of a process that is gone or of another user.
    pub fn look(&self) -> Option<Seen> {
        let tasks = fs::read_dir(self.0.join("task")).ok()?;
        // `stat` beside it counts hundredths of a second: too coarse for a run at a small rate.
        let (mut cpu, mut kept_waiting) = (0, 0);
        for task in tasks.flatten() {
            // A thread that has just ended has no more to tell.
            if let Some((ran, waited)) = nanos(&task.path()) {
                cpu += ran;
                kept_waiting += waited;
            }
        }
        // `status` is counted on each core by itself, and may be off by a quarter of a MiB.
        let pages = fs::read_to_string(self.0.join("smaps_rollup")).ok()?;
        let own = pages
            .lines()
            .find_map(|line| line.strip_prefix("Anonymous:"))?;
        let kib: u64 = own.split_whitespace().next()?.parse().ok()?;
        Some(Seen {
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
    fn this_process_is_seen_and_no_process_is_not() {
        let seen = Watched::new(std::process::id()).look().expect("it runs");
        assert!(seen.cpu > 0 && seen.memory > 0, "{seen:?}");
        assert_eq!(Watched::new(0).look(), None);
    }
}
