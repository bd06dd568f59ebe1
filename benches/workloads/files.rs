//! Files over HTTP: small ones, long downloads from the page cache, and uploads without sync.

use super::{Goal, Suite, Unit};
use crate::measure::contender::{BIG_FILE, Contender};
use crate::rivals;
use loket::load::test_data::TestData;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;

const WEB: &[&str] = &["nginx", "lighttpd"];
const BARE_LOOP: &[&str] = &["bare loop"];

/// Writes and syncs a file of test data, so that no writeback disturbs a run.
pub fn write_file(path: &Path, size: u64) -> Result<(), String> {
    let write = || {
        let data = TestData::new(loket::config::load::LOAD.period)?;
        let mut out = BufWriter::new(File::create(path)?);
        data.fill(&mut out, size)?;
        out.flush()?;
        out.get_ref().sync_all()
    };
    write().map_err(|e| format!("cannot write {}: {e}", path.display()))
}

pub fn small(suite: &mut Suite) -> Result<(), String> {
    let root = suite.folder("small")?;
    write_file(&root.join("4k"), 4_096)?;
    write_file(&root.join("100"), 100)?;
    for (work, load, deferred, goals) in [
        (
            "HTTP 4 KiB, 64 kept connections",
            "http -c 64 --path /4k",
            false,
            vec![Goal::cpu(WEB, 0.8), Goal::rate(WEB, 1.2)],
        ),
        (
            "HTTP 100 B, 64 kept connections, pipeline 16",
            "http -c 64 --path /100 -p 16",
            false,
            vec![Goal::cpu(WEB, 0.7)],
        ),
        (
            "HTTP 4 KiB, Connection: close",
            "http -c 64 --path /4k --close",
            true,
            vec![Goal::cpu(WEB, 1.0)],
        ),
    ] {
        let (scratch, descriptors) = (suite.scratch.clone(), suite.plan.descriptors);
        suite.compare(
            work,
            Unit::Answer("request"),
            vec![
                (Ok(Contender::loket(&["http"], &root, &[])), load.into()),
                (
                    rivals::nginx(&scratch, &root, descriptors, deferred),
                    load.into(),
                ),
                (rivals::lighttpd(&scratch, &root, descriptors), load.into()),
                (rivals::dufs(&root), load.into()),
            ],
            &goals,
        )?;
    }
    Ok(())
}

pub fn downloads(suite: &mut Suite) -> Result<(), String> {
    for (connections, mib, goals) in [
        (
            64,
            64,
            vec![
                Goal::rate(WEB, 1.0),
                Goal::rate(BARE_LOOP, 0.98),
                Goal::cpu(WEB, 1.0),
            ],
        ),
        (
            1_000,
            4,
            vec![Goal::rate(WEB, 1.1), Goal::rate(BARE_LOOP, 0.98)],
        ),
        (
            1,
            1_024,
            vec![Goal::rate(WEB, 1.0), Goal::rate(BARE_LOOP, 0.98)],
        ),
    ] {
        let work = format!("download {connections} x {mib} MiB");
        if !suite.wants(&work) {
            continue;
        }
        let root = suite.folder(&format!("download-{connections}"))?;
        let path = root.join(BIG_FILE);
        write_file(&path, if mib > 64 { suite.scaled(mib) } else { mib } << 20)?;
        let (scratch, descriptors) = (suite.scratch.clone(), suite.plan.descriptors);
        // The kernel discards the bodies, otherwise the client would be the bottleneck. Before each
        // run one file is compared.
        let load = format!(
            "http -c {} --path /{BIG_FILE} --discard",
            suite.scaled(connections)
        );
        suite.compare(
            &work,
            Unit::Gib,
            vec![
                (Ok(Contender::loket(&["http"], &root, &[])), load.clone()),
                (
                    rivals::nginx(&scratch, &root, descriptors, false),
                    load.clone(),
                ),
                (rivals::lighttpd(&scratch, &root, descriptors), load.clone()),
                (Contender::own("bare loop", "download", &root), load),
            ],
            &goals,
        )?;
        std::fs::remove_file(&path)
            .map_err(|e| format!("cannot remove {}: {e}", path.display()))?;
    }
    Ok(())
}

pub fn uploads(suite: &mut Suite) -> Result<(), String> {
    for (connections, mib, goals) in [
        (
            16,
            64,
            vec![Goal::cpu(BARE_LOOP, 1.03), Goal::cpu(&["nginx"], 0.85)],
        ),
        (1, 1_024, vec![Goal::cpu(BARE_LOOP, 1.03)]),
    ] {
        let (scratch, descriptors) = (suite.scratch.clone(), suite.plan.descriptors);
        let size = suite.scaled(mib);
        warm_memory((connections * size) << 20);
        let ours = suite.folder("up-loket")?;
        let theirs = suite.folder("up-nginx")?;
        let bare = suite.folder("up-bare-loop")?;
        let load = format!("http --put -c {connections} -s {size}M");
        suite.compare(
            &format!("PUT {connections} x {mib} MiB, --no-sync"),
            Unit::Gib,
            vec![
                (
                    Ok(Contender::loket(&["http"], &ours, &["--no-sync"])),
                    load.clone(),
                ),
                (
                    rivals::nginx(&scratch, &theirs, descriptors, false),
                    load.clone(),
                ),
                (Contender::own("bare loop", "upload", &bare), load),
            ],
            &goals,
        )?;
    }
    Ok(())
}

/// Touches more memory than a run needs, and frees it.
fn warm_memory(bytes: u64) {
    // In a virtual machine with free page reporting, memory of deleted files returns to the host
    // after some seconds, and the next server that writes pays 0.5 s per GiB to get it back.
    // Four times the need, because the next run may get other pages.
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    let mut memory = vec![0u8; (bytes as usize * 4).min(kib.unwrap_or(0) * 1024 / 2)];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    black_box(&memory);
}
