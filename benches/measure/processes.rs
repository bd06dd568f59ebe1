//! What a process and everything it has started cost: CPU, memory, threads, read from /proc.

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// User and system time of `stat` and its children's are counted in these.
const TICK: f64 = 0.01;

/// Of each thread: seconds on the core, and seconds ready for it. Of those that ended: the former.
#[derive(Default)]
pub struct Spent {
    tasks: HashMap<PathBuf, (f64, f64)>,
    ended: f64,
}

impl Spent {
    /// Seconds on the core since that moment, and seconds in which others had it while one of the
    /// threads stood ready. What the threads take from each other is no disturbance.
    pub fn since(&self, before: &Spent) -> (f64, f64) {
        let ran: f64 = self.total() - before.total();
        let held_up = self.tasks.iter().map(|(task, now)| {
            let then = before.tasks.get(task).copied().unwrap_or_default();
            (now.1 - then.1) - (ran - (now.0 - then.0))
        });
        (ran, held_up.fold(0.0, f64::max))
    }

    fn total(&self) -> f64 {
        self.ended + self.tasks.values().map(|times| times.0).sum::<f64>()
    }
}

/// A process with all its living descendants.
pub struct Processes(Vec<u32>);

impl Processes {
    pub fn under(first: u32) -> Result<Processes, String> {
        let list = std::fs::read_dir("/proc").map_err(|e| format!("cannot list /proc: {e}"))?;
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in list.filter_map(Result::ok) {
            // One that has ended meanwhile has no parent that matters.
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

    /// What all threads and the descendants that have ended had of the core since their start.
    pub fn spent(&self) -> Result<Spent, String> {
        let mut spent = Spent::default();
        for process in &self.0 {
            for task in tasks(*process)? {
                let times = match std::fs::read_to_string(task.join("schedstat")) {
                    Ok(text) => (
                        field(&text, 0).unwrap_or(0.0) / 1e9,
                        field(&text, 1).unwrap_or(0.0) / 1e9,
                    ),
                    // The coarse way, for a kernel without schedstat.
                    Err(_) => (times(&task, 11)?, 0.0),
                };
                spent.tasks.insert(task, times);
            }
            spent.ended += times(&PathBuf::from(format!("/proc/{process}")), 13)?;
        }
        Ok(spent)
    }

    /// All but the first, by descriptors that hold on to them.
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

    /// Bytes of anonymous memory. Not VmRSS or RssAnon of `status`: those are counted per core and
    /// may be off by a quarter of a MiB.
    pub fn memory(&self) -> Result<f64, String> {
        let mut sum = 0.0;
        for process in &self.0 {
            let path = format!("/proc/{process}/smaps_rollup");
            let text =
                std::fs::read_to_string(&path).map_err(|e| format!("cannot read {path}: {e}"))?;
            let line = text.lines().find(|line| line.starts_with("Anonymous:"));
            let kib = line.and_then(|line| field(line, 1));
            sum += kib.ok_or(format!("no anonymous memory in {path}"))? * 1024.0;
        }
        Ok(sum)
    }
}

fn tasks(process: u32) -> Result<Vec<PathBuf>, String> {
    let path = format!("/proc/{process}/task");
    let list = std::fs::read_dir(&path)
        .map_err(|e| format!("cannot list {path}, has process {process} ended? {e}"))?;
    Ok(list.filter_map(|entry| Some(entry.ok()?.path())).collect())
}

/// Seconds in two neighbouring fields of `stat`: user and system time.
fn times(folder: &Path, first: usize) -> Result<f64, String> {
    let path = folder.join("stat");
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let of = |index| stat(&text, index).unwrap_or(0.0);
    Ok((of(first) + of(first + 1)) * TICK)
}

/// A field of `stat`, counted from behind the name in parentheses, which may hold blanks.
fn stat(text: &str, index: usize) -> Option<f64> {
    field(text.rsplit(')').next()?, index)
}

pub fn field(text: &str, index: usize) -> Option<f64> {
    text.split_ascii_whitespace().nth(index)?.parse().ok()
}
