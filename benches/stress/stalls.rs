//! Echo latency while other clients wait for a disk: large transfers, cold files and folders,
//! uploads that are given up, a mount that answers nothing, a slow folder. Each is compared with
//! the echo on the idle server. The target is printed, not enforced.

use super::mount::{self, Mount};
use super::{echo_alone, late_lines, rounds, start_in};
use crate::measure::Limit;
use crate::measure::background_load::{Load, Task};
use crate::measure::contender::folder;
use crate::measure::plan::Plan;
use crate::measure::scheduled_echo::{ScheduledEcho, measured, print_row, wait_until_idle};
use crate::measure::server::Server;
use Course::{ColdFile, ColdFolder, GivenUp, Once, Slow, Steady, Stopped};
use Task::{Get, Put};
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// When the loads begin and end.
#[derive(Clone, Copy, PartialEq)]
enum Course {
    /// They repeat their tasks during the whole run.
    Steady,
    /// They do their task once.
    Once,
    /// The same, from a file or a folder that is not in memory.
    ColdFile,
    ColdFolder,
    /// They close their connections before the end of the upload, all at once.
    GivenUp,
    /// They repeat their tasks on a mount that stops, and complete them when it goes on.
    Stopped,
    /// They do their task once, on a mount that is slow to tell attributes.
    Slow,
}

/// Title, flags of the server, loads and the number of clients of each, course.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [(usize, Task)],
    Course,
);

const TARGET: &str = "p99 <= 5 ms";
const GIB: u64 = 1 << 30;
/// Large enough that its commit takes long.
const LARGE: Task = Put(GIB / 4);
const SLOW: Task = Get("download far/dN/small");
/// Otherwise the server asks for all folders, to look for the files of a crash.
const NO_SWEEP: &[&str] = &["--read-only"];

#[rustfmt::skip] // a table
const ROWS: [Row; 18] = [
    ("uploads", &[], &[(8, LARGE)], Steady),
    ("uploads no-sync", &["--no-sync"], &[(8, LARGE)], Steady),
    ("small uploads", &[], &[(8, Put(GIB / 64))], Steady),
    ("6 uploads of 1 GiB", &[], &[(6, Put(GIB))], Once),
    ("300 uploads given up", &[], &[(300, Put(GIVEN_UP + 1))], GivenUp),
    ("downloads", &[], &[(8, Get("download big"))], Steady),
    ("both", &[], &[(8, Get("download big")), (8, LARGE)], Steady),
    ("cold file, 1 reader", &[], &[(1, Get("download big"))], ColdFile),
    ("cold file, 20 readers", &[], &[(20, Get("download big"))], ColdFile),
    ("cold file, 300 readers", &[], &[(300, Get("download big"))], ColdFile),
    ("cold folder", &[], &[(1, Get("ls many"))], ColdFolder),
    ("stopped downloads", &[], &[(8, Get("download big"))], Stopped),
    ("stopped uploads", &[], &[(8, LARGE)], Stopped),
    ("stopped lists", &[], &[(8, Get("ls dN"))], Stopped),
    ("stopped look-ups", &[], &[(8, Get("download dN/small"))], Stopped),
    ("stopped commits", &[], &[(8, Put(4096))], Stopped),
    ("slow look-ups", NO_SWEEP, &[(20, SLOW)], Slow),
    ("slow look-ups and a list", NO_SWEEP, &[(20, SLOW), (1, Get("ls far"))], Slow),
];
const GIVEN_UP: u64 = 4 << 20;
const FOLDERS: usize = 20;
const ENTRIES: usize = 200_000;
/// Fills all buffers, and the first commits start.
const WARM_UP: Duration = Duration::from_secs(1);
/// The server frees what a load used.
const AFTERMATH: Duration = Duration::from_millis(500);

pub fn run(plan: &Plan, scratch: &Path) -> Result<(), String> {
    for row in ROWS.iter().filter(|row| row.0.contains(&plan.only)) {
        let (title, _, _, course) = row;
        println!(
            "\nstalls: {title}; 1000 echoes/s on a schedule, {} s per run; target: {TARGET}",
            plan.seconds
        );
        if *course == ColdFolder && !forget_folders() {
            println!("SKIPPED cold_folder: only root can drop the kernel's dentry cache");
            continue;
        }
        let files = folder(scratch, "files")?;
        prepare(&files, *course).map_err(|e| format!("cannot create files to serve: {e}"))?;
        let mounted = folder(scratch, "mounted")?;
        let mount = match course {
            Stopped => Some(Mount::new(mount::PLAIN, &files, &mounted)),
            Slow => Some(Mount::new(mount::SLOW, &files, &folder(&mounted, "far")?)),
            _ => None,
        };
        match mount.transpose() {
            Ok(mount) => Stalls::start(row, scratch, files.clone(), mount)?.measure(plan)?,
            Err(reason) => println!("SKIPPED {title}: {reason}"),
        }
        println!(
            "  warnings of the server that its loop was late: {}",
            late_lines(scratch)
        );
        std::fs::remove_dir_all(&files)
            .map_err(|e| format!("cannot remove the files of a test: {e}"))?;
    }
    Ok(())
}

fn prepare(root: &Path, course: Course) -> std::io::Result<()> {
    let mut big = File::create(root.join("big"))?;
    for _ in 0..256 {
        big.write_all(&[7; 1 << 20])?;
    }
    // Only pages that are on the disk can be dropped.
    big.sync_all()?;
    for number in 0..FOLDERS {
        let folder = root.join(format!("d{number}"));
        std::fs::create_dir(&folder)?;
        std::fs::write(folder.join("small"), "small")?;
    }
    if course == ColdFolder {
        std::fs::create_dir(root.join("many"))?;
        for number in 0..ENTRIES {
            File::create(root.join(format!("many/entry-{number:07}")))?;
        }
        File::open(root.join("many"))?.sync_all()?;
    }
    Ok(())
}

/// A server and its loads. The mount ends first: a server cannot exit while it waits for one.
struct Stalls {
    mount: Option<Mount>,
    server: Server,
    files: PathBuf,
    loads: &'static [(usize, Task)],
    course: Course,
}

impl Stalls {
    fn start(
        &(_, flags, loads, course): &Row,
        scratch: &Path,
        files: PathBuf,
        mount: Option<Mount>,
    ) -> Result<Stalls, String> {
        let inside = mount.as_ref().map_or(String::new(), Mount::inside);
        let root = if inside.is_empty() {
            &files
        } else {
            &scratch.join("mounted")
        };
        Ok(Stalls {
            server: start_in(&inside, root, scratch, flags)?,
            mount,
            files,
            loads,
            course,
        })
    }

    fn measure(&self, plan: &Plan) -> Result<(), String> {
        let server = &self.server;
        let echo = ScheduledEcho::connect(server.at)?;
        if self.course == Slow {
            // Names that are new take longer.
            self.once(&echo, plan.seconds, &mut (0, 0))?;
        }
        let [idle, stalls] = rounds(plan, ["idle", "stalls"], |round| {
            let idle = echo_alone(plan, server, &echo, round, "idle")?;
            let (begin, mut moved) = (Instant::now(), (0, 0));
            let run = measured(server, || {
                let mut times = Vec::new();
                while times.is_empty() || begin.elapsed().as_secs_f64() < plan.seconds {
                    times.extend(self.once(&echo, plan.seconds, &mut moved)?);
                }
                Ok(times)
            })?;
            let rate = moved.0 as f64 / GIB as f64 / begin.elapsed().as_secs_f64();
            let note = format!("   {rate:.2} GiB/s, {} completed{}", moved.1, run.note());
            print_row(&round.to_string(), "stalls", run.percentiles, &note);
            wait_until_idle(server)?;
            Ok([idle, run])
        })?;
        println!("  stalls / idle: p99 ratio {:.2}", stalls[1] / idle[1]);
        Ok(())
    }

    /// Echo latencies in microseconds during the loads; adds their bytes and completed tasks.
    fn once(
        &self,
        echo: &ScheduledEcho,
        seconds: f64,
        moved: &mut (u64, u64),
    ) -> Result<Vec<f64>, String> {
        match self.course {
            ColdFile => make_cold(&self.files.join("big"))?,
            ColdFolder => drop(forget_folders()),
            _ => {}
        }
        let repeats = matches!(self.course, Steady | Stopped);
        let at = self.server.address("files")?;
        let begin = |&(count, task): &(usize, Task)| {
            Load::new(at, count, task, if repeats { u64::MAX } else { 1 })
        };
        let loads: Result<Vec<Load>, String> = self.loads.iter().map(begin).collect();
        let mut loads = loads?;
        let time = Duration::from_secs_f64(seconds);
        let times = match self.course {
            Steady => {
                echo.run(WARM_UP, || step(&mut loads))?;
                echo.run(time, || step(&mut loads))?
            }
            Stopped => self.stopped(echo, time, &mut loads)?,
            GivenUp => given_up(echo, &mut loads)?,
            _ => {
                let begin = Instant::now();
                let mut last = None;
                let times = echo.run_until(|| {
                    step(&mut loads)?;
                    if loads[loads.len() - 1].is_over() {
                        last.get_or_insert_with(|| begin.elapsed());
                    }
                    Ok(loads.iter().all(Load::is_over))
                })?;
                let (all, last) = (begin.elapsed(), last.unwrap_or_default());
                println!("        all loads took {all:.1?}, the last named one {last:.1?}");
                times
            }
        };
        for load in &loads {
            moved.0 += load.moved;
            moved.1 += load.completed();
        }
        Ok(times)
    }

    fn stopped(
        &self,
        echo: &ScheduledEcho,
        time: Duration,
        loads: &mut [Load],
    ) -> Result<Vec<f64>, String> {
        let mount = self.mount.as_ref().expect("a mount is part of this course");
        echo.run(WARM_UP, || step(loads))?;
        mount.stop()?;
        let times = echo.run(time, || step(loads))?;
        mount.resume();
        loads.iter_mut().for_each(Load::finish);
        let limit = Limit::new();
        while !loads.iter().all(Load::is_over) {
            limit.check()?;
            step(loads)?;
        }
        Ok(times)
    }
}

/// Sends all but the last byte of all uploads, and then closes their connections.
fn given_up(echo: &ScheduledEcho, loads: &mut [Load]) -> Result<Vec<f64>, String> {
    let limit = Limit::new();
    while loads[0].moved < 300 * GIVEN_UP {
        limit.check()?;
        step(loads)?;
    }
    let mut end = None;
    echo.run_until(|| {
        if loads[0].leave() {
            return Ok(false);
        }
        let end = end.get_or_insert_with(|| Instant::now() + AFTERMATH);
        Ok(Instant::now() >= *end)
    })
}

fn step(loads: &mut [Load]) -> Result<(), String> {
    loads.iter_mut().try_for_each(Load::step)
}

/// Drops a file from the page cache.
fn make_cold(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|e| format!("cannot open {}: {e}", path.display()))?;
    fadvise(&file, 0, None, Advice::DontNeed)
        .map_err(|e| format!("cannot drop {} from the page cache: {e}", path.display()))
}

/// Drops cached dentries and inodes; the page cache stays.
fn forget_folders() -> bool {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "2").is_ok()
}
