//! An echo beside everything that may wait for a disk: commits, cold files, cold folders.
//! Each beside the same echo on the idle server; the aims are printed, the reader judges.

use super::{late_lines, pulse_alone, rounds, start};
use crate::measure::background_load::{self, Burden, Moved};
use crate::measure::plan::Plan;
use crate::measure::scheduled_echo::{Pulse, line, measured, rest};
use crate::measure::server::Server;
use std::fs::File;
use std::io::Write;
use std::path::Path;

const BODY: u64 = 256 << 20;
const PEERS: usize = 8;
const ENTRIES: usize = 200_000;

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
    let [idle, stalls] = rounds(plan, ["idle", "stalls"], |round| {
        let idle = pulse_alone(plan, server, &pulse, round, "idle")?;
        let mut moved = Moved::default();
        let run = measured(server, || {
            let (times, meanwhile) = burdened(plan, server, root, beside, &pulse)?;
            moved = meanwhile;
            Ok(times)
        })?;
        let note = format!(
            "   {:.2} GiB/s, {} whole{}",
            moved.rate(),
            moved.rounds,
            run.note()
        );
        line(&round.to_string(), "stalls", run.figures, &note);
        rest(server)?;
        Ok([idle, run])
    })?;
    let ratio = stalls[1] / idle[1];
    println!("  stalls / idle: {ratio:.2} of the p99");
    Ok(())
}

/// The latencies, and what was moved meanwhile.
fn burdened(
    plan: &Plan,
    server: &Server,
    root: &Path,
    beside: Beside,
    pulse: &Pulse,
) -> Result<(Vec<f64>, Moved), String> {
    let files = server.address("files")?;
    if matches!(beside, Beside::ColdFile | Beside::ColdFolder) {
        return background_load::beside_each(pulse, plan.seconds, || {
            forget(root, beside)?;
            let command = match beside {
                Beside::ColdFile => "download big",
                _ => "ls many",
            };
            Burden::downloads(files, 1, command)
        });
    }
    let mut burdens = Vec::new();
    if beside != Beside::Uploads {
        burdens.push(Burden::downloads(files, PEERS, "download big")?);
    }
    if beside != Beside::Downloads {
        burdens.push(Burden::uploads(files, PEERS, BODY)?);
    }
    background_load::beside(pulse, &mut burdens, plan.seconds)
}

/// Takes out of the kernel's memory what is to be cold.
fn forget(root: &Path, beside: Beside) -> Result<(), String> {
    if beside == Beside::ColdFolder {
        forget_folders();
        return Ok(());
    }
    background_load::make_cold(&root.join("big"))
}

/// Entries of folders and inodes; pages of files stay.
fn forget_folders() -> bool {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "2").is_ok()
}
