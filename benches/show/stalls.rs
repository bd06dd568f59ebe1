//! An echo beside everything that may wait for a disk: commits, cold files, cold folders.
//! Each beside the same echo on the idle server; the aims are printed, the reader judges.

use super::burden::Burden;
use super::pulse::Pulse;
use super::{Figures, Plan, alone, head, late_lines, line, measured, medians, noise, rest, start};
use crate::measure::server::Server;
use rustix::fs::Advice;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const BODY: u64 = 256 << 20;
const PEERS: usize = 8;
const ENTRIES: usize = 200_000;
/// Until all buffers are full and the first commits have begun.
const WARM_UP: Duration = Duration::from_secs(1);
/// What is over within a second is done so often in one run.
const TIMES: u64 = 3;

/// What happens beside the echo.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Uploads,
    Downloads,
    Both,
    ColdFile,
    ColdFolder,
}

const STALLS: [(&str, &[&str], Beside, &str); 7] = [
    ("uploads", &[], Beside::Uploads, "p99 within 5 times idle"),
    ("uploads no-sync", &["--no-sync"], Beside::Uploads, "none"),
    ("downloads", &[], Beside::Downloads, "p99 < 500 us"),
    ("both", &[], Beside::Both, "p99 < 500 us"),
    ("both no-sync", &["--no-sync"], Beside::Both, "p99 < 500 us"),
    ("cold file", &[], Beside::ColdFile, "p99 < 500 us"),
    ("cold folder", &[], Beside::ColdFolder, "none"),
];

pub fn show(plan: &Plan, scratch: &Path) -> Result<(), String> {
    for (title, flags, beside, aim) in STALLS {
        if !title.contains(&plan.only) {
            continue;
        }
        println!(
            "\nstalls: {title}; {PEERS} of each kind, {} MiB a body; echo of 64 bytes, 1000 a \
             second on schedule, {} s a run; aim: {aim}",
            BODY >> 20,
            plan.seconds
        );
        if beside == Beside::ColdFolder && !forget_folders() {
            println!("SKIPPED cold_folder: only root can empty the kernel's memory of names");
            continue;
        }
        let name = title.replace(' ', "-");
        let server = start(scratch, &name, flags)?;
        let root = scratch.join(&name);
        prepare(&root, beside)?;
        one(plan, &server, &root, beside)?;
        let late = late_lines(scratch, &name);
        drop(server);
        println!("  the server said {late} times that it served nobody for 50 ms");
        std::fs::remove_dir_all(&root).map_err(|e| format!("cannot clear away: {e}"))?;
    }
    Ok(())
}

fn prepare(root: &Path, beside: Beside) -> Result<(), String> {
    let tried = |e: std::io::Error| format!("cannot prepare {}: {e}", root.display());
    match beside {
        Beside::Uploads => {}
        Beside::Downloads | Beside::Both | Beside::ColdFile => {
            let mut file = File::create(root.join("big")).map_err(tried)?;
            let piece = vec![7; 1 << 20];
            for _ in 0..BODY >> 20 {
                file.write_all(&piece).map_err(tried)?;
            }
            file.sync_all().map_err(tried)?;
        }
        Beside::ColdFolder => {
            std::fs::create_dir(root.join("many")).map_err(tried)?;
            for number in 0..ENTRIES {
                File::create(root.join(format!("many/entry-{number:07}"))).map_err(tried)?;
            }
            File::open(root.join("many"))
                .and_then(|folder| folder.sync_all())
                .map_err(tried)?;
        }
    }
    Ok(())
}

fn one(plan: &Plan, server: &Server, root: &Path, beside: Beside) -> Result<(), String> {
    let pulse = Pulse::connect(server.at)?;
    let mut all: [Vec<Figures>; 2] = Default::default();
    head();
    for round in 1..=plan.runs {
        let round = round.to_string();
        let (figures, disturbed) = alone(server, &pulse, plan.seconds)?;
        line(&round, "idle", figures, noise(disturbed));
        all[0].push(figures);
        let mut moved = (0, 0, 0.0);
        let (figures, _) = measured(server, || {
            burdened(plan, server, root, beside, &pulse, &mut moved)
        })?;
        let (bytes, rounds, seconds) = moved;
        let note = format!(
            "   {:.2} GiB/s, {rounds} whole",
            bytes as f64 / seconds / f64::from(1 << 30)
        );
        line(&round, "stalls", figures, &note);
        all[1].push(figures);
        rest(server)?;
    }
    let [idle, stalls] = all.map(|runs| medians(&runs));
    line("median", "idle", idle, "");
    line("median", "stalls", stalls, "");
    let ratio = stalls[1] / idle[1];
    println!("  stalls / idle: {ratio:.2} of the p99");
    Ok(())
}

/// The latencies, and what was moved meanwhile: bytes, whole bodies, seconds.
fn burdened(
    plan: &Plan,
    server: &Server,
    root: &Path,
    beside: Beside,
    pulse: &Pulse,
    moved: &mut (u64, u64, f64),
) -> Result<Vec<f64>, String> {
    let files = server.address("files")?;
    if matches!(beside, Beside::ColdFile | Beside::ColdFolder) {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            forget(root, beside)?;
            let command = match beside {
                Beside::ColdFile => "download big",
                _ => "ls many",
            };
            let mut burden = Burden::downloads(files, 1, command)?;
            let begin = Instant::now();
            let over = std::cell::Cell::new(false);
            times.extend(pulse.beat_while(
                || !over.get(),
                || {
                    if !over.get() {
                        burden.step()?;
                        over.set(burden.rounds() > 0);
                    }
                    Ok(())
                },
            )?);
            moved.0 += burden.moved;
            moved.1 += burden.rounds();
            moved.2 += begin.elapsed().as_secs_f64();
        }
        return Ok(times);
    }
    let mut burdens = Vec::new();
    if beside != Beside::Uploads {
        burdens.push(Burden::downloads(files, PEERS, "download big")?);
    }
    if beside != Beside::Downloads {
        burdens.push(Burden::uploads(files, PEERS, BODY)?);
    }
    let mut step = || burdens.iter_mut().try_for_each(Burden::step);
    pulse.beat(WARM_UP, &mut step)?;
    let before: (u64, u64) = sums(&burdens);
    let begin = Instant::now();
    let mut step = || burdens.iter_mut().try_for_each(Burden::step);
    let times = pulse.beat(Duration::from_secs_f64(plan.seconds), &mut step)?;
    let after = sums(&burdens);
    let seconds = begin.elapsed().as_secs_f64();
    *moved = (after.0 - before.0, after.1 - before.1, seconds);
    Ok(times)
}

fn sums(burdens: &[Burden]) -> (u64, u64) {
    let sum = |of: fn(&Burden) -> u64| burdens.iter().map(of).sum();
    (sum(|burden| burden.moved), sum(Burden::rounds))
}

/// Takes out of the kernel's memory what is to be cold.
fn forget(root: &Path, beside: Beside) -> Result<(), String> {
    if beside == Beside::ColdFolder {
        forget_folders();
        return Ok(());
    }
    let big = File::open(root.join("big")).map_err(|e| format!("cannot open the file: {e}"))?;
    rustix::fs::fadvise(&big, 0, None, Advice::DontNeed)
        .map_err(|e| format!("cannot make the file cold: {e}"))
}

/// Entries of folders and inodes; pages of files stay.
fn forget_folders() -> bool {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "2").is_ok()
}
