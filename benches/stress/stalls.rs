//! Echo latency during operations that wait for the disk: commits, cold files, cold directories.
//! Each is compared with the echo on the idle server. The targets are printed, not enforced.

use super::{echo_alone, late_lines, rounds, start};
use crate::measure::background_load::{self, Load, Transferred};
use crate::measure::plan::Plan;
use crate::measure::scheduled_echo::{ScheduledEcho, measured, print_row, wait_until_idle};
use crate::measure::server::Server;
use std::fs::File;
use std::io::Write;
use std::path::Path;

const BODY: u64 = 256 << 20;
const PEERS: usize = 8;
const ENTRIES: usize = 200_000;

/// The load during the echo.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Uploads,
    Downloads,
    Both,
    ColdFile,
    ColdFolder,
}

const STALLS: [(&str, &[&str], Kind, &str); 7] = [
    ("uploads", &[], Kind::Uploads, "p99 within 5 times idle"),
    ("uploads no-sync", &["--no-sync"], Kind::Uploads, "none"),
    ("downloads", &[], Kind::Downloads, "p99 < 500 us"),
    ("both", &[], Kind::Both, "p99 < 500 us"),
    ("both no-sync", &["--no-sync"], Kind::Both, "p99 < 500 us"),
    ("cold file", &[], Kind::ColdFile, "p99 < 500 us"),
    ("cold folder", &[], Kind::ColdFolder, "none"),
];

pub fn run(plan: &Plan, scratch: &Path) -> Result<(), String> {
    for (title, flags, kind, aim) in STALLS {
        if !title.contains(&plan.only) {
            continue;
        }
        println!(
            "\nstalls: {title}; {PEERS} connections of each kind, {} MiB per body; 1000 echoes/s \
             on a schedule, {} s per run; target: {aim}",
            BODY >> 20,
            plan.seconds
        );
        if kind == Kind::ColdFolder && !forget_folders() {
            println!("SKIPPED cold_folder: only root can drop the kernel's dentry cache");
            continue;
        }
        let name = title.replace(' ', "-");
        let server = start(scratch, &name, flags)?;
        let root = scratch.join(&name);
        prepare(&root, kind)?;
        measure(plan, &server, &root, kind)?;
        let late = late_lines(scratch, &name);
        drop(server);
        println!("  warnings of the server that its loop was late: {late}");
        std::fs::remove_dir_all(&root)
            .map_err(|e| format!("cannot remove the files of a test: {e}"))?;
    }
    Ok(())
}

fn prepare(root: &Path, kind: Kind) -> Result<(), String> {
    let tried = |e: std::io::Error| format!("cannot prepare {}: {e}", root.display());
    match kind {
        Kind::Uploads => {}
        Kind::Downloads | Kind::Both | Kind::ColdFile => {
            let mut file = File::create(root.join("big")).map_err(tried)?;
            let piece = vec![7; 1 << 20];
            for _ in 0..BODY >> 20 {
                file.write_all(&piece).map_err(tried)?;
            }
            file.sync_all().map_err(tried)?;
        }
        Kind::ColdFolder => {
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

fn measure(plan: &Plan, server: &Server, root: &Path, kind: Kind) -> Result<(), String> {
    let echo = ScheduledEcho::connect(server.at)?;
    let [idle, stalls] = rounds(plan, ["idle", "stalls"], |round| {
        let idle = echo_alone(plan, server, &echo, round, "idle")?;
        let mut moved = Transferred::default();
        let run = measured(server, || {
            let (times, meanwhile) = loaded(plan, server, root, kind, &echo)?;
            moved = meanwhile;
            Ok(times)
        })?;
        let note = format!(
            "   {:.2} GiB/s, {} completed{}",
            moved.rate(),
            moved.rounds,
            run.note()
        );
        print_row(&round.to_string(), "stalls", run.percentiles, &note);
        wait_until_idle(server)?;
        Ok([idle, run])
    })?;
    let ratio = stalls[1] / idle[1];
    println!("  stalls / idle: p99 ratio {ratio:.2}");
    Ok(())
}

/// Echo latencies in microseconds during the load, and the data that the load transferred.
fn loaded(
    plan: &Plan,
    server: &Server,
    root: &Path,
    kind: Kind,
    echo: &ScheduledEcho,
) -> Result<(Vec<f64>, Transferred), String> {
    let files = server.address("files")?;
    if matches!(kind, Kind::ColdFile | Kind::ColdFolder) {
        return background_load::echo_during_each(echo, plan.seconds, || {
            forget(root, kind)?;
            let command = match kind {
                Kind::ColdFile => "download big",
                _ => "ls many",
            };
            Load::downloads(files, 1, command)
        });
    }
    let mut loads = Vec::new();
    if kind != Kind::Uploads {
        loads.push(Load::downloads(files, PEERS, "download big")?);
    }
    if kind != Kind::Downloads {
        loads.push(Load::uploads(files, PEERS, BODY)?);
    }
    background_load::echo_during(echo, &mut loads, plan.seconds)
}

/// Drops the file or the directory entries from the kernel's caches.
fn forget(root: &Path, kind: Kind) -> Result<(), String> {
    if kind == Kind::ColdFolder {
        forget_folders();
        return Ok(());
    }
    background_load::make_cold(&root.join("big"))
}

/// Drops cached dentries and inodes; the page cache stays.
fn forget_folders() -> bool {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "2").is_ok()
}
